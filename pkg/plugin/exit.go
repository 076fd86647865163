package plugin

import (
	"context"
	"errors"
	"fmt"
)

// Exit codes of the plugin. They are part of its interface: scripts depend on them.
const (
	ExitOK          = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitFindings    = 3        // of explain --check
	ExitUnknown     = 4        // of doctor
	ExitInterrupted = 128 + 2  // as a shell counts a program that SIGINT ended
	ExitPipe        = 128 + 13 // SIGPIPE
)

// exitCode says what an exit code means, for diff in its own words.
type exitCode struct {
	code          int
	meaning, diff string
}

// exitCodes is where the exit codes are explained; docs/reference.md is made of it.
func exitCodes() []exitCode {
	return []exitCode{
		{ExitOK, "all that was asked for was shown, or done", "no difference"},
		{ExitFailed, "something failed, be it one node of many: what could be had is on standard output, what failed on standard error", "the two differ"},
		{ExitUsage, "wrong flags or arguments: nothing was asked of the cluster", "any error"},
		{ExitFindings, "explain --check found something, and every node answered", "-"},
		{ExitUnknown, "doctor found nothing in the way, and not all of it shows without a run", "-"},
		{ExitInterrupted, "interrupted by SIGINT, SIGTERM or SIGHUP before all was shown; the pods of the run are deleted, or named after a second signal", "the same"},
		{ExitPipe, "whoever read standard output stopped reading: head, less", "the same"},
	}
}

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
