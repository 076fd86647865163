//go:build linux

package collector

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Run walks the node c.Samples times, c.Interval apart, and writes each Snapshot to w as a frame. It ends at once when ctx
// does, and at the deadline, even while a read of the kernel or a write hangs; the error then says so and w has no
// further trailer. Run must not be called again after an error: what hangs may hang still.
func Run(ctx context.Context, c *Config, w io.Writer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.deadline(), fmt.Errorf("not done after %s", c.deadline()))
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- frames(ctx, c, w) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func frames(ctx context.Context, c *Config, w io.Writer) error {
	walker := NewWalker(c)
	defer walker.Close()
	begin := time.Now()
	for i := range max(1, c.Samples) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Until(begin.Add(time.Duration(i) * c.Interval))):
		}
		snapshot := walker.Walk(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx) // half a walk is no frame
		}
		frame := metrics.NewFrame(c.Run, snapshot)
		frame.Trailer.Number = i + 1
		if err := frame.Write(w, c.Encoding); err != nil {
			return fmt.Errorf("writing frame %d: %w", i+1, err)
		}
		walker.Recycle(snapshot)
	}
	return nil
}
