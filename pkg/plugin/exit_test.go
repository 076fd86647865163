package plugin

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestExitCode(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"none", nil, ExitOK},
		{"any", failed, ExitFailed},
		{"usage", usageError(failed), ExitUsage},
		{"wrapped", fmt.Errorf("top: %w", usageError(failed)), ExitUsage},
		{"joined", errors.Join(failed, &ExitError{Code: 3, Err: failed}), 3},
		{"silent", &ExitError{Code: 1}, 1},
		{"interrupted", fmt.Errorf("node a: %w", context.Canceled), ExitInterrupted},
		{"timed out", context.DeadlineExceeded, ExitFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ExitCode(tt.err); got != tt.want {
				t.Errorf("ExitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}
