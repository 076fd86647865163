package plugin

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Of a thousand nodes with a hundred pods each, two whole snapshots are gigabytes, and the text that they are parsed from is
// as much again. A view that says which families it reads is spared all others: as text before they are parsed, and once
// the node has answered, of what is left all that makes no cell.

// wholly tells whether a view reads everything that is counted.
func (ask Ask) wholly() bool { return ask.Only == nil }

// reads tells whether a view has a use for a family.
func (ask Ask) reads(family string) bool {
	if ask.wholly() || slices.Contains(ask.Only, family) {
		return true
	}
	m, ok := metrics.Lookup(family)
	return ok && (own(m) || slices.Contains(ask.Only, m.Family().Name))
}

// spare leaves in a frame's text the families that the view reads. The frame has proved by then that it is whole.
func (ask Ask) spare(text []byte) []byte {
	if ask.wholly() {
		return text
	}
	kept := text[:0]
	var family string
	wanted := true
	for line := range bytes.Lines(text) {
		if !continues(line, family) {
			if name := familyOf(line); name != nil {
				family = string(name)
				wanted = ask.reads(family)
			}
		}
		if wanted {
			kept = append(kept, line...)
		}
	}
	return kept
}

// reduce keeps of a node's snapshots what makes cells: of the last one values and what could not be read, of those before
// it the counters, and the levels whose change is told. Names are held once.
func (ask Ask) reduce(snapshots []*metrics.Snapshot) {
	if ask.wholly() {
		return
	}
	names := map[string]string{}
	for n, s := range snapshots {
		last := n == len(snapshots)-1
		s.Records = slices.Clip(s.Records)
		for i := range s.Records {
			r := &s.Records[i]
			for _, name := range namesOfSandbox(&r.Sandbox) {
				*name = held(names, *name)
			}
			var kept []metrics.Sample
			for _, sample := range r.Samples {
				if !ask.tells(&r.Sandbox, &sample, last) {
					continue
				}
				for j := range sample.Labels {
					sample.Labels[j].Name = held(names, sample.Labels[j].Name)
					sample.Labels[j].Value = held(names, sample.Labels[j].Value)
				}
				kept = append(kept, sample)
			}
			r.Samples = slices.Clip(kept)
		}
	}
}

// tells tells whether a sample of a reduced snapshot is of use to anybody.
func (ask Ask) tells(box *metrics.Sandbox, s *metrics.Sample, last bool) bool {
	switch {
	case !own(s.Metric):
		return last || s.Metric.Type == metrics.Counter || ask.grows(s)
	case s.Metric.Name == readSuccess:
		return last && (s.Value == 0 || label(s, "source") == "listen") // of which there may be none
	}
	return last && box.Self()
}

func held(names map[string]string, name string) string {
	if once, ok := names[name]; ok {
		return once
	}
	names[name] = name
	return name
}

// readBy are the families that make the cells of columns.
func readBy(columns []column) []string {
	families := []string{}
	for i := range columns {
		families = append(families, columns[i].families()...)
		if limit, _ := columns[i].limit(true); limit != "" {
			families = append(families, limit) // which the cell says the share of
		}
	}
	if slices.ContainsFunc(families, func(family string) bool { return isOf(family, "tcp") }) {
		families = append(families, sampledRatio) // by which it is said
	}
	slices.Sort(families)
	return slices.Compact(families)
}

// decoding bounds how many answers are decoded at the same time: more than there are processors are no faster, and each
// takes many times its size.
type decoding chan struct{}

func newDecoding() decoding { return make(decoding, runtime.GOMAXPROCS(0)) }

// frames reads the frames of a log, of which only the text that the view reads is held for longer than its turn.
func (d decoding) frames(log io.Reader, run string, ask Ask) *metrics.FrameReader {
	frames := metrics.NewFrameReader(log, run)
	frames.Within = func(check func() (*metrics.Frame, error)) (*metrics.Frame, error) {
		d <- struct{}{}
		defer func() { <-d }()
		frame, err := check()
		if err == nil && !ask.wholly() {
			frame.Text = bytes.Clone(ask.spare(frame.Text))
		}
		return frame, err
	}
	return frames
}

// decode decodes a frame. Its errors are those of decode.
func (d decoding) decode(frame *metrics.Frame) (*metrics.Snapshot, error) {
	d <- struct{}{}
	defer func() { <-d }()
	snapshot, err := decode(frame)
	if err != nil {
		return nil, fmt.Errorf("decoding it: %w", err)
	}
	return snapshot, nil
}
