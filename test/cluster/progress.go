package main

import (
	"fmt"
	"io"
	"time"
)

// progress tells on stderr what goes on and how long it has taken.
type progress struct {
	w     io.Writer
	start time.Time
	last  time.Time
}

func newProgress(w io.Writer) *progress {
	now := time.Now()
	return &progress{w: w, start: now, last: now}
}

func (p *progress) elapsed() time.Duration { return time.Since(p.start).Round(100 * time.Millisecond) }

// step says what comes next.
func (p *progress) step(format string, args ...any) {
	p.last = time.Now()
	fmt.Fprintf(p.w, "%7s  %s\n", p.elapsed(), fmt.Sprintf(format, args...))
}

// tick says how far a long step has come, at most every ten seconds.
func (p *progress) tick(format string, args ...any) {
	if time.Since(p.last) >= 10*time.Second {
		p.step("  "+format, args...)
	}
}
