package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// maxSaved bounds what is held of one file: two frames of 9 MB each of 64 nodes.
const maxSaved = 1 << 30

// readFleet reads of a file, as kubectl cosanet snapshot saves it and as the logs of collectors are, the frames that make
// the state of a moment. Errors: those of eachSaved; a moment that is not in the file.
func readFleet(ctx context.Context, path string, stdin io.Reader, m moment) (*Fleet, error) {
	c := newChoice(m)
	whole, err := eachSaved(ctx, path, stdin, c.take)
	if err != nil {
		return nil, err
	}
	fleet, err := c.fleet()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if !whole {
		fleet.remarks = append(fleet.remarks, noEnd)
	}
	return fleet, nil
}

// choice takes of the frames of a file those that a view needs.
type choice struct {
	moment
	begin, end time.Time           // of the file
	shown      time.Time           // the last one that was chosen
	nodes      map[string][]*saved // the chosen ones in time order, two at most unless whole; none: all are of another time
	seen       map[string]int      // frames of each node
	held       int                 // bytes of text
}

func newChoice(m moment) *choice {
	return &choice{moment: m, nodes: map[string][]*saved{}, seen: map[string]int{}}
}

// take looks at one frame after the other.
func (c *choice) take(s *saved) error {
	if c.begin.IsZero() {
		c.begin = s.at
		c.resolve(s.at)
	}
	if s.at.After(c.end) {
		c.end = s.at
	}
	c.seen[s.node]++
	kept := c.nodes[s.node]
	if !c.admits(s.at) {
		c.nodes[s.node] = kept
		return nil
	}
	if c.whole() {
		s.frame.Text = bytes.Clone(c.every.spare(s.frame.Text)) // or a minute of a large node would be half a gigabyte
	}
	at := len(kept)
	for at > 0 && kept[at-1].at.After(s.at) {
		at--
	}
	kept = slices.Insert(kept, at, s)
	c.held += len(s.frame.Text)
	if len(kept) > 2 && !c.whole() {
		drop := 0 // the state of a moment is its last two frames
		if c.spans() {
			drop = 1 // that of a span its first and its last
		}
		c.held -= len(kept[drop].frame.Text)
		kept = slices.Delete(kept, drop, drop+1)
	}
	c.nodes[s.node] = kept
	if c.held > maxSaved {
		return fmt.Errorf("there are more than %d MiB of it to hold at once: choose less with --between, or with snapshot --from", maxSaved>>20)
	}
	return nil
}

// whole tells whether every sample is wanted: of a span or of all the file. The state of one moment has none in between.
func (c *choice) whole() bool { return c.every != nil && (c.spans() || !c.to.given()) }

// fleet decodes what was chosen.
func (c *choice) fleet() (*Fleet, error) {
	fleet := &Fleet{}
	for node, kept := range c.nodes {
		o := Observation{Node: node}
		for i, s := range kept {
			if s.at.After(c.shown) {
				c.shown = s.at
			}
			snapshot, err := s.decode()
			if err != nil {
				return nil, fmt.Errorf("a frame of node %s: %w", node, err)
			}
			kept[i] = nil // its text is not needed any more
			o.Snapshots = append(o.Snapshots, snapshot)
		}
		if len(kept) == 0 {
			o.Err = errors.New(c.missing())
		}
		fleet.Observations = append(fleet.Observations, o)
	}
	slices.SortFunc(fleet.Observations, func(a, b Observation) int { return strings.Compare(a.Node, b.Node) })
	if !slices.ContainsFunc(fleet.Observations, func(o Observation) bool { return o.Err == nil }) {
		return nil, fmt.Errorf("%s: it is of %s to %s", c.missing(), stamp(c.begin), stamp(c.end))
	}
	if remark := c.remark(); remark != "" {
		fleet.remarks = append(fleet.remarks, remark)
	}
	return fleet, nil
}

// remark says of a recording which moment is shown: of a file with no more than that there is nothing to say.
func (c *choice) remark() string {
	most := 0
	for _, frames := range c.seen {
		most = max(most, frames)
	}
	if most <= 2 || c.whole() && !c.spans() {
		return ""
	}
	of := fmt.Sprintf("of a recording of %s from %s to %s", plural(most, "moment"), stamp(c.begin), stamp(c.end))
	switch {
	case c.spans():
		return fmt.Sprintf("between %s and %s, %s", stamp(c.from.time), stamp(c.to.time), of)
	case c.to.given() && c.to.time.After(c.end):
		return fmt.Sprintf("at %s, the last moment %s", stamp(c.shown), of)
	case c.to.given():
		return fmt.Sprintf("at %s, %s", stamp(c.shown), of)
	}
	return fmt.Sprintf("at %s, the last moment %s (others: --at, --between)", stamp(c.shown), of)
}
