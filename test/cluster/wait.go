package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// waiter waits for conditions as long as every process started so far lives.
type waiter struct {
	progress *progress
	daemons  []*daemon
}

func (w *waiter) add(d *daemon, err error) error {
	if err == nil {
		w.daemons = append(w.daemons, d)
	}
	return err
}

// wait polls ready until it returns nil. The error when it never does has the end of the log.
func (w *waiter) wait(ctx context.Context, what, log string, ready func() error) error {
	for {
		err := ready()
		if err == nil {
			return nil
		}
		if err := w.ended(); err != nil {
			return err
		}
		w.progress.tick("waiting for %s: %v", what, err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %v\n%s", what, context.Cause(ctx), err, tail(log))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ended returns an error with the logs of a process that has ended, nil if none has.
func (w *waiter) ended() error {
	for _, d := range w.daemons {
		select {
		case <-d.exited:
		default:
			continue
		}
		text := fmt.Sprintf("%s has ended:\n%s", d.Name, tail(d.log))
		parts, err := filepath.Glob(strings.TrimSuffix(d.log, ".log") + "-*.log") // containerd and kubelet of a node
		if err != nil {
			return fmt.Errorf("listing logs: %w", err)
		}
		for _, log := range parts {
			text += "\n" + tail(log)
		}
		return errors.New(text)
	}
	return nil
}
