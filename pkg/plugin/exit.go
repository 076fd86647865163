package plugin

import (
	"context"
	"errors"
	"fmt"
)

// Exit codes of the plugin. They are part of its interface: scripts depend on them.
const (
	ExitOK          = 0   // all that was asked for was shown; for diff: no difference
	ExitFailed      = 1   // something failed, be it one node of many; for diff: the two differ
	ExitUsage       = 2   // wrong flags or arguments; for diff: any error
	ExitInterrupted = 130 // ended by SIGINT, as a shell counts it
)

// ExitError is an error that knows the exit code it calls for. Wrapping keeps the code.
type ExitError struct {
	Code int
	Err  error // nil: the code says it all, nothing is to be printed
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return ""
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

// ExitCode is the exit code that err calls for: its ExitError's, ExitInterrupted for a cancelled context, else ExitFailed.
func ExitCode(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.Is(err, context.Canceled):
		return ExitInterrupted
	}
	return ExitFailed
}

// usageError marks err as the caller's: wrong flags or arguments.
func usageError(err error) error { return &ExitError{Code: ExitUsage, Err: err} }

// advise adds the command, or the flag, that helps against err.
func advise(err error, format string, args ...any) error {
	return fmt.Errorf("%w\n  %s", err, fmt.Sprintf(format, args...))
}
