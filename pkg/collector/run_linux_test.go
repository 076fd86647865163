package collector

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestRunWritesFrames(t *testing.T) {
	needsRoot(t)
	for _, encoding := range []metrics.Encoding{metrics.Text, metrics.Gzip} {
		c := noRuntime(t)
		c.Run, c.Samples, c.Interval, c.Encoding = "4f2a", 3, 30*time.Millisecond, encoding
		var out bytes.Buffer
		begin := time.Now()
		if err := Run(context.Background(), c, &out); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 60*time.Millisecond {
			t.Errorf("three frames 30 ms apart after %s", took)
		}
		frames := metrics.NewFrameReader(&out, "4f2a")
		var times []time.Time
		for {
			f, err := frames.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Trailer.Number != len(times)+1 {
				t.Errorf("frame %d says that it is number %d", len(times)+1, f.Trailer.Number)
			}
			s, err := f.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if !s.Records[0].Sandbox.Host() && !s.Records[1].Sandbox.Host() {
				t.Error("no host row")
			}
			times = append(times, s.Time)
		}
		if len(times) != 3 || !times[0].Before(times[1]) || !times[1].Before(times[2]) {
			t.Errorf("frames of %v, want three in order", times)
		}
	}
}

// TestRunEnds wants no trailer and an error when the time is over, the asking side goes, or the log cannot be written.
func TestRunEnds(t *testing.T) {
	needsRoot(t)
	stuck, never := io.Pipe()
	defer stuck.Close()
	for _, test := range []struct {
		name   string
		change func(*Config) (context.Context, io.Writer)
		want   string
	}{
		{"deadline", func(c *Config) (context.Context, io.Writer) {
			c.Samples, c.Interval, c.Deadline = 2, time.Hour, 200*time.Millisecond
			return context.Background(), io.Discard
		}, "not done after 200ms"},
		{"signal", func(c *Config) (context.Context, io.Writer) {
			c.Samples, c.Interval = 2, time.Hour
			ctx, cancel := context.WithCancelCause(context.Background())
			time.AfterFunc(200*time.Millisecond, func() { cancel(errors.New("terminated")) })
			return ctx, io.Discard
		}, "terminated"},
		{"before it begins", func(c *Config) (context.Context, io.Writer) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			return ctx, io.Discard
		}, "canceled"},
		{"a writer that hangs", func(c *Config) (context.Context, io.Writer) {
			c.Deadline = 500 * time.Millisecond
			return context.Background(), never
		}, "not done after 500ms"},
		{"a writer that fails", func(c *Config) (context.Context, io.Writer) {
			r, w := io.Pipe()
			r.Close()
			return context.Background(), w
		}, "writing frame 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := noRuntime(t)
			ctx, w := test.change(c)
			err := Run(ctx, c, w)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
