package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// A node whose pods could not be found at all is told from one whose runtime alone did not answer, and from an empty one.
func TestUndiscovered(t *testing.T) {
	discovery := func(source, reason string) metrics.Sample {
		s := metrics.Sample{Metric: known(t, "cosanet_discovery_success"), Labels: []metrics.Label{{Name: "source", Value: source}, {Name: "reason", Value: reason}}}
		if reason == "" {
			s.Value = 1
		}
		return s
	}
	tests := []struct {
		name        string
		cri, cgroup string // why it failed
		want        []string
	}{
		{"both answered", "", "", nil},
		{"no runtime, but pods by their cgroups", "permission denied", "", nil},
		{"a runtime without processes", "", "no process is in the cgroup of a pod", nil},
		{"neither", "no container runtime socket found", "no process is in the cgroup of a pod", []string{
			"node node-1: no pod could be found, only the node itself is shown (cri: no container runtime socket found; " +
				"cgroup: no process is in the cgroup of a pod); name the runtime's socket with --cri-socket"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			self := metrics.Record{Sandbox: metrics.Sandbox{Node: "node-1"}, Samples: []metrics.Sample{discovery("cri", test.cri), discovery("cgroup", test.cgroup)}}
			fleet := Fleet{Observations: []Observation{
				{Node: "node-0"}, // not asked successfully: that is said elsewhere
				{Node: "node-1", Snapshots: []*metrics.Snapshot{{Records: []metrics.Record{self}}}},
			}}
			if diff := cmp.Diff(test.want, fleet.undiscovered()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
