package plugin

import (
	"slices"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// current is what is known in a watch by now: of each node its last two frames.
type current struct {
	pods  []livePod
	nodes map[string]*nodeNow
	said  []string // remarks on nodes, each once
}

// nodeNow is a node of a watch.
type nodeNow struct {
	before, last *metrics.Snapshot // nil: not come yet
	err          error             // why it does not answer; nil: it does
	doing        string            // what is being waited for
	fresh        bool              // there is a frame that was not shown yet
}

func newCurrent() *current { return &current{nodes: map[string]*nodeNow{}} }

// hear takes what the nodes say.
func (c *current) hear(w word) {
	if w.pods != nil {
		c.pods = w.pods
		for _, node := range w.nodes {
			c.node(node)
		}
	}
	if w.node == "" {
		return
	}
	n := c.node(w.node)
	switch {
	case w.left:
		delete(c.nodes, w.node)
	case w.snapshot != nil:
		if n.err != nil {
			n.last = nil // a rate over the time without an answer is not one of now
		}
		n.before, n.last = n.last, w.snapshot
		n.err, n.doing, n.fresh = nil, "", true
	case w.err != nil:
		n.err, n.doing = w.err, ""
	case w.remark != "":
		if line := "node " + w.node + ": " + w.remark; !slices.Contains(c.said, line) {
			c.said = append(c.said, line)
		}
	default:
		n.doing = w.doing
	}
}

func (c *current) node(name string) *nodeNow {
	if c.nodes[name] == nil {
		c.nodes[name] = &nodeNow{doing: "waiting"}
	}
	return c.nodes[name]
}

// fleet is what a view makes rows of. A node that does not answer by now has none: its last numbers are not those of now.
func (c *current) fleet() *Fleet {
	fleet := &Fleet{Pods: c.pods}
	for name, n := range c.nodes {
		o := Observation{Node: name, Err: n.err}
		if n.err == nil && n.before != nil {
			o.Snapshots = []*metrics.Snapshot{n.before, n.last}
		}
		fleet.Observations = append(fleet.Observations, o)
	}
	slices.SortFunc(fleet.Observations, func(a, b Observation) int { return strings.Compare(a.Node, b.Node) })
	return fleet
}

// round tells whether every node that answers has something new to show.
func (c *current) round() bool {
	fresh := false
	for _, n := range c.nodes {
		if n.err == nil && !(n.fresh && n.before != nil) {
			return false
		}
		fresh = fresh || n.err == nil
	}
	return fresh
}

// shown marks all as shown.
func (c *current) shown() {
	for _, n := range c.nodes {
		n.fresh = false
	}
}

// answering counts the nodes of which there are two frames.
func (c *current) answering() int {
	count := 0
	for _, n := range c.nodes {
		if n.err == nil && n.before != nil {
			count++
		}
	}
	return count
}

// waits says what is being waited for, of nodes that answer no more or not yet; troubles why.
func (c *current) waits() (lines []string) {
	doing := map[string][]string{}
	for name, n := range c.nodes {
		switch {
		case n.err != nil:
		case n.doing != "":
			doing[n.doing] = append(doing[n.doing], name)
		case n.before == nil:
			doing["waiting for a second sample"] = append(doing["waiting for a second sample"], name)
		}
	}
	for what, nodes := range doing {
		slices.Sort(nodes)
		lines = append(lines, "node "+enumerate(nodes)+": "+what)
	}
	slices.Sort(lines)
	return lines
}

func (c *current) troubles() (lines []string) {
	for _, t := range c.fleet().troubles() {
		lines = append(lines, strings.ReplaceAll(t.String(), "\n  ", "; "))
	}
	return lines
}

// latest is when the newest frame was counted.
func (c *current) latest() time.Time {
	var at time.Time
	for _, n := range c.nodes {
		if n.last != nil && n.last.Time.After(at) {
			at = n.last.Time
		}
	}
	return at
}
