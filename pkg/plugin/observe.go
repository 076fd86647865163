package plugin

import (
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Selection says which pods or nodes a view is about. It is parsed once, from flags and arguments.
type Selection struct {
	Namespace string          // of Pods without their own and of a listing; empty for all namespaces
	Pods      []PodRef        // named pods; empty for every pod that the selectors let through
	Kin       bool            // with the one pod that is named also the others of its workload
	Labels    labels.Selector // never nil
	Fields    fields.Selector // never nil
	Nodes     []string        // only these nodes; empty for the nodes of the selected pods
	HostsOnly bool            // the nodes' own rows and no pod: none is listed
	AllNodes  bool            // every node, also one without a selected pod
	NodeLabel labels.Selector // only nodes with these labels, as if each were named; nil for no such choice
	Sample    Sample          // of the nodes
	Hosts     bool            // with the rows of all nodes that are asked
}

// PodRef names a pod.
type PodRef struct{ Namespace, Name string }

func (p PodRef) String() string { return p.Namespace + "/" + p.Name }

// Ask is what the collectors are asked to do.
type Ask struct {
	Metrics  metrics.Set
	Sockets  bool          // count sockets per state by sock_diag as well, whatever the set
	Sources  []string      // sources that the set does not bring by itself, see optionalSources
	Samples  int           // frames each collector sends: 1 for totals, 2 for rates
	Interval time.Duration // between two frames
	Only     []string      // families that the view reads, beside what the collector says of itself; nil for all of Metrics
	Grown    []growth      // levels of which the value at the first sample is read, too, as that of every counter is
	Implied  bool          // nobody chose the interval: an exporter, which has no pod to start, takes a shorter one
}

// Observation is what one node answered, or why it did not.
type Observation struct {
	Node      string
	Snapshots []*metrics.Snapshot // in time order; len is Ask.Samples unless Err says why not
	rows      []*row              // in place of the snapshots' records, where a view took them
	Err       error               // nil, or the object, the reason and the next command
}

// Fleet is what all asked nodes answered.
type Fleet struct {
	Observations []Observation // sorted by node
	Pods         []livePod     // the selected pods as the API server lists them; nil when read from a file
	remarks      []string      // what is to be said of how they were asked, one line each
}
