package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Carrier is who brings the bytes from a node: what they say is the same.
type Carrier string

const (
	// AnyCarrier is the exporter where one is ready and can answer, else a pod.
	AnyCarrier Carrier = "auto"
	// PodCarrier is a collector pod, made and deleted, on every node.
	PodCarrier Carrier = "pod"
	// ExporterCarrier is the exporter and nothing else: no pod is made.
	ExporterCarrier Carrier = "exporter"
)

// String, Set and Type make a flag of it.
func (c *Carrier) String() string { return string(*c) }

// Set reads the value of --source.
func (c *Carrier) Set(s string) error {
	switch carrier := Carrier(s); carrier {
	case AnyCarrier, PodCarrier, ExporterCarrier:
		*c = carrier
		return nil
	}
	return errors.New("use auto, pod or exporter")
}

// Type is the word for the value in usage texts.
func (c *Carrier) Type() string { return "source" }

// remarks gathers what is to be said of several nodes in one line. It is safe for concurrent use.
type remarks struct {
	mu    sync.Mutex
	nodes map[string][]string // by what is said of them
}

// add notes that something is to be said of a node.
func (r *remarks) add(node, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.nodes == nil {
		r.nodes = map[string][]string{}
	}
	remark := fmt.Sprintf(format, args...)
	r.nodes[remark] = append(r.nodes[remark], node)
}

// lines are the remarks, each after the nodes that it is about.
func (r *remarks) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines []string
	for remark, nodes := range r.nodes {
		slices.Sort(nodes)
		lines = append(lines, "node "+enumerate(nodes)+": "+remark)
	}
	slices.Sort(lines)
	return lines
}

// oneLine joins an error and its advice.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n  ", "; ") }
