package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// recordInterval is the time between two samples of a recording, unless another is given.
const recordInterval = 5 * time.Second

// recording is one run of snapshot --duration.
type recording struct {
	*recorder
	*snapshot
	f         *factory
	selection Selection
	ask       Ask
	admits    func(*metrics.Sandbox) bool
	said      map[string]bool
	stop      context.CancelCauseFunc
}

// record writes what all nodes answer over the duration to the file. Interrupted before, it keeps what it has.
func (s *snapshot) record(ctx context.Context, f *factory, selection Selection, ask Ask) error {
	client, err := f.clientFor(s.source.collection.Concurrency)
	if err != nil {
		return err
	}
	r := &recording{recorder: newRecorder(s.file, f.streams.Out), snapshot: s, f: f, selection: selection, ask: ask, said: map[string]bool{}}
	follow, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	err = s.source.collection.Follow(follow, client, selection, ask, s.duration, r.hear)
	s.source.collection.progress.clear()
	if err != nil {
		err = unreachable(err)
	}
	if failed := context.Cause(follow); err == nil && ctx.Err() == nil && failed != nil {
		err = failed
	}
	return r.end(ctx, errors.Join(err, r.close(true)))
}

// hear takes what the nodes say.
func (r *recording) hear(w word) {
	switch {
	case w.pods != nil:
		r.admits = r.selection.admission(w.pods)
	case w.snapshot != nil:
		whose := &Fleet{Observations: []Observation{{Node: w.node, Snapshots: []*metrics.Snapshot{w.snapshot}}}}
		for _, line := range whose.undiscovered() {
			r.say(line)
		}
		// The nodes' own rows are always recorded: what is wrong with a pod is often wrong with its node.
		if err := r.write(w.node, only(w.snapshot, true, r.admits)); err != nil {
			r.stop(err)
		}
		for node, of := range r.nodes {
			if of.err != nil {
				r.say(failing(node, of.err))
			}
		}
		r.source.collection.progress.show(r.progressed())
	case w.err != nil:
		r.node(w.node).err = w.err
		if r.frames > 0 { // before the first answer it may be the end
			r.say(failing(w.node, w.err))
		}
	case w.remark != "":
		r.say("node " + w.node + ": " + w.remark)
	case w.doing != "" && r.frames == 0:
		r.source.collection.progress.show(w.node + ": " + w.doing)
	}
}

// say says something on standard error, once.
func (r *recording) say(line string) {
	if !r.said[line] {
		r.said[line] = true
		r.source.collection.progress.clear()
		fmt.Fprintln(r.f.streams.ErrOut, line)
	}
}

func (r *recording) progressed() string {
	left := max(0, r.duration-r.length).Round(time.Second)
	return fmt.Sprintf("%s of %s recorded, about %s left", plural(r.moments, "moment"), plural(r.answered(), "node"), left)
}

// end says what there is, and what of it is missing.
func (r *recording) end(ctx context.Context, err error) error {
	if r.frames > 0 && r.path != "-" {
		word := "Recorded"
		if ctx.Err() != nil {
			word = "Interrupted, recorded"
		}
		fmt.Fprintf(r.f.streams.ErrOut, "%s %s of %s of %s over %s to %s.\n", word, plural(r.moments, "moment"),
			plural(len(r.pods), "pod"), plural(r.answered(), "node"), r.length.Round(100*time.Millisecond), r.path)
	}
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case r.frames == 0 && len(r.nodes) == 0:
		nothing(r.f.streams.ErrOut, &r.selection)
	}
	fleet := &Fleet{}
	for node, of := range r.nodes {
		fleet.Observations = append(fleet.Observations, Observation{Node: node, Err: of.err})
	}
	slices.SortFunc(fleet.Observations, func(a, b Observation) int { return strings.Compare(a.Node, b.Node) })
	return fleet.failure()
}

// recut writes those frames of a saved file that are of the moments and the pods that were chosen.
func (s *snapshot) recut(ctx context.Context, f *factory, selection Selection, ask Ask) error {
	r := newRecorder(s.file, f.streams.Out)
	m, begun := s.source.moments.moment, false
	whole, err := eachSaved(ctx, s.source.from, f.streams.In, func(frame *saved) error {
		if !begun {
			m.resolve(frame.at)
			begun = true
		}
		if !m.admits(frame.at) || len(selection.Nodes) > 0 && !slices.Contains(selection.Nodes, frame.node) {
			return nil
		}
		snapshot, err := frame.decode()
		if err != nil {
			return err
		}
		keepSet(snapshot, ask)
		return r.write(frame.node, only(snapshot, true, selection.admits))
	})
	if err = errors.Join(err, r.close(whole)); err != nil {
		return err
	}
	if !whole {
		fmt.Fprintln(f.streams.ErrOut, noEnd)
	}
	if r.frames == 0 && begun && m.to.given() {
		return fmt.Errorf("reading %s: %s", s.source.from, m.missing())
	}
	if s.file != "-" && r.frames > 0 {
		moments := ""
		if r.moments > 2 { // a recording
			moments = plural(r.moments, "moment") + " of "
		}
		fmt.Fprintf(f.streams.ErrOut, "Saved %s%s of %s to %s.\n", moments, plural(len(r.pods), "pod"), plural(r.answered(), "node"), s.file)
	}
	return r.missing(&selection, s.source.from)
}

// missing says which nodes and pods that were asked for by name a file does not have.
func (r *recorder) missing(selection *Selection, path string) error {
	var missing []error
	for _, node := range selection.Nodes {
		if r.nodes[node] == nil {
			missing = append(missing, fmt.Errorf("node %s: the file has nothing of it", node))
		}
	}
	for _, ref := range selection.Pods {
		found := false
		for pod := range r.pods {
			found = found || pod.Name == ref.Name && (ref.Namespace == "" || ref.Namespace == pod.Namespace)
		}
		if !found {
			missing = append(missing, fmt.Errorf("pods %q not found in %s", strings.TrimPrefix(ref.String(), "/"), path))
		}
	}
	return errors.Join(missing...)
}
