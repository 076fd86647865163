package plugin

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// lateness is how much later than the others a node may be before a table is shown without its newest numbers.
const lateness = 2 * time.Second

// appended shows a watch where there is no terminal: one table after the other, each below the line that says of when it is.
type appended struct {
	view *topView
	f    *factory
	now  *current
	said map[string]bool
	done bool
	end  error // of writing
}

// append follows the nodes and writes a table an interval, until ctx ends or nobody reads any more.
func (v *topView) append(ctx context.Context, f *factory) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a := &appended{view: v, f: f, now: newCurrent(), said: map[string]bool{}}
	var mu sync.Mutex
	locked := func(do func()) {
		mu.Lock()
		defer mu.Unlock()
		if do(); a.end != nil {
			stop()
		}
	}
	var late *time.Timer // guarded by mu
	hear := func(w word) {
		locked(func() {
			a.hear(w)
			switch {
			case w.snapshot == nil && w.err == nil:
			case a.now.round():
				a.write()
				if late != nil {
					late.Stop()
					late = nil
				}
			case a.pending() && late == nil:
				late = time.AfterFunc(v.ask.Interval+lateness, func() {
					locked(func() {
						late = nil
						a.write()
					})
				})
			}
		})
	}
	err := v.follow(ctx, f, hear)
	mu.Lock()
	defer mu.Unlock()
	a.done = true
	if a.end != nil {
		return a.end
	}
	return err
}

// pending tells whether a frame came that is in no table yet.
func (a *appended) pending() bool {
	for _, n := range a.now.nodes {
		if n.fresh && n.before != nil {
			return true
		}
	}
	return false
}

// hear takes what the nodes say; what is no number is said on standard error, once.
func (a *appended) hear(w word) {
	a.now.hear(w)
	switch {
	case w.err != nil && !a.now.latest().IsZero(): // before the first answer it may be the end
		a.say(failing(w.node, w.err))
	case w.remark != "":
		a.say("node " + w.node + ": " + w.remark)
	}
}

func (a *appended) say(line string) {
	if !a.said[line] {
		a.said[line] = true
		fmt.Fprintln(a.f.streams.ErrOut, line)
	}
}

// write writes a table of what is known by now.
func (a *appended) write() {
	if a.done || a.end != nil || !a.pending() {
		return
	}
	fleet := a.now.fleet()
	rates := fleet.rates(true)
	rows := rowsOf(fleet, &a.view.selection, rates)
	total := len(rows)
	rows = ranked(rows, a.view.sortBy, a.view.limit)
	a.now.shown()
	for _, o := range fleet.Observations {
		if n := a.now.nodes[o.Node]; n.err != nil {
			a.say(failing(o.Node, n.err))
		}
	}
	for _, line := range append(append(fleet.undiscovered(), notes(rows)...), failures(rows)...) {
		a.say(line)
	}
	a.end = a.table(a.f.streams.Out, rows, total)
}

func (a *appended) table(w io.Writer, rows []*row, total int) error {
	of := plural(len(rows), "row")
	if len(rows) < total {
		of = fmt.Sprintf("%d of %s", len(rows), plural(total, "row"))
	}
	nodes := fmt.Sprintf("%d of %s", a.now.answering(), plural(len(a.now.nodes), "node"))
	if a.now.answering() == len(a.now.nodes) {
		nodes = plural(len(a.now.nodes), "node")
	}
	if !a.view.output.noHeaders {
		if _, err := fmt.Fprintf(w, "%s  %s on %s\n", a.now.latest().UTC().Format(time.RFC3339), of, nodes); err != nil {
			return err
		}
	}
	if err := a.view.table(rows, true).write(w); err != nil {
		return err
	}
	if a.view.output.noHeaders {
		return nil
	}
	_, err := fmt.Fprintln(w)
	return err
}
