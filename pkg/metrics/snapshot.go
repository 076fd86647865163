package metrics

import (
	"slices"
	"time"
)

// HostNamespace is the namespace and netns label of the node's own row, as the original exporter wrote it.
const HostNamespace = "HOST"

// Snapshot is what one walk counted. A walk of one node makes one Snapshot; Snapshots of several nodes may be
// concatenated, since every Record names its node.
type Snapshot struct {
	Time    time.Time // when the walk began, by the node's clock; zero when the text did not say
	Records []Record
}

// Record is what was counted in one network namespace, or (see Sandbox.Self) by the collector about itself.
type Record struct {
	Sandbox Sandbox
	Samples []Sample
}

// Sandbox is the identity of a network namespace as the labels of its series show it.
type Sandbox struct {
	Node           string // cosanet_node
	Namespace      string // cosanet_namespace; HostNamespace for the node itself, empty where no runtime named the pod
	Pod            string // cosanet_pod; empty for the node
	NetNS          string // cosanet_netnsname: the name below /run/netns, else net:[inode], else the pod's UID; HostNamespace for the node
	ControllerKind string // cosanet_pod_controller_kind, cosanet_pod_controller_name: both or neither
	ControllerName string

	// The rest is only on cosanet_sandbox_info.
	UID         string // of the pod, as the API server knows it (for a static pod: of its mirror, when the runtime says so)
	Inode       uint64 // of the network namespace; 0 where it may not be asked for
	Handler     string // runtime handler: runc, kata, runsc, ...
	HostNetwork bool   // the pod lives in the node's namespace: its counters are the host row's
	SharedWith  string // "namespace/pod" of the record that carries the counters, when two sandboxes share a namespace
	Unsupported bool   // the pod's own kernel (Kata, gVisor, Firecracker) counts where the node cannot see it
}

// Host tells whether the record is the node's own namespace.
func (s *Sandbox) Host() bool { return s.Namespace == HostNamespace && s.Pod == "" }

// Self tells whether the record is not a namespace at all but what the collector says of its own walk.
func (s *Sandbox) Self() bool { return s.NetNS == "" }

// Label is a label of a sample beside the identity of its sandbox.
type Label struct{ Name, Value string }

// Sample is one value of one family. Values are float64, as in the exposition format: counters above 2^53 are rounded.
type Sample struct {
	Metric *Metric
	Labels []Label // in the order of Metric.Labels
	Value  float64
}

// Value returns the record's sample of a family whose further labels have exactly the given values.
// ok is false when it is absent: not counted by this kernel, not asked for, or not readable (see FailedSources).
func (r *Record) Value(name string, labels ...string) (v float64, ok bool) {
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Metric.Name == name && s.matches(labels) {
			return s.Value, true
		}
	}
	return 0, false
}

// FailedSources returns the sources of the record that could not be read, sorted: those whose cosanet_read_success is 0.
func (r *Record) FailedSources() []string {
	var sources []string
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Value == 0 && s.Metric.Name == "cosanet_read_success" && len(s.Labels) == 1 {
			sources = append(sources, s.Labels[0].Value)
		}
	}
	slices.Sort(sources)
	return sources
}

func (s *Sample) matches(values []string) bool {
	if len(s.Labels) != len(values) {
		return false
	}
	for i, l := range s.Labels {
		if l.Value != values[i] {
			return false
		}
	}
	return true
}
