package faults

import (
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// A kubelet that hangs or is away, before a run and in it: the run ends in time and says so, or goes well when the kubelet is
// back. Afterwards the node is as before.
func TestKubelet(t *testing.T) {
	c := need(t)
	tests := []struct {
		name, node string
		before     func(t testing.TB, kubelet service)
		during     func(t testing.TB, kubelet service) // once the collector runs
		args       []string
		want       outcome
	}{
		{name: "frozen before", node: "node-1", args: []string{"--timeout", "3s"},
			before: func(t testing.TB, k service) { k.freeze(t) },
			want: outcome{code: 1, err: []string{"node node-1: no answer within 4s, last waiting for the kubelet",
				"the kubelet does not answer the API server", "kubectl describe node node-1"}}},
		{name: "killed before", node: "node-2", args: []string{"--timeout", "3s"},
			before: func(t testing.TB, k service) { k.kill(t) },
			want: outcome{code: 1, err: []string{"node node-2: no answer within 4s, last waiting for the kubelet",
				"the kubelet does not answer the API server", "connection refused", "kubectl describe node node-2"}}},
		{name: "frozen for a moment", node: "node-1", args: []string{"--interval", "3s"},
			during: func(t testing.TB, k service) {
				thaw := k.freeze(t)
				time.Sleep(2 * time.Second)
				thaw()
			}, want: fine("node-1")},
		{name: "restarted", node: "node-1", args: []string{"--interval", "3s"},
			during: func(t testing.TB, k service) { k.kill(t)() }, want: fine("node-1")},
		{name: "frozen for good", node: "node-2", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t testing.TB, k service) { k.freeze(t) },
			want: outcome{code: 1, err: []string{"node node-2: no answer within 8s, last counting",
				"the kubelet does not answer the API server", "kubectl describe node node-2"}}},
		{name: "killed for good", node: "node-2", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t testing.TB, k service) { k.kill(t) },
			want: outcome{code: 1, err: []string{"node node-2: no answer within 8s, last waiting for the kubelet to be back",
				"connection refused", "kubectl describe node node-2"}}},
		{name: "NotReady in the run", node: "node-1", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t testing.TB, k service) { k.freeze(t); k.ready(t, "node-1", "Unknown") },
			want: outcome{code: 1, err: []string{"node node-1: no answer within 8s",
				"by now it is NotReady: NodeStatusUnknown: Kubelet stopped posting node status.", "kubectl describe node node-1"}}},
	}
	group := func(t *testing.T, node string) {
		t.Parallel()
		for _, tt := range tests {
			if tt.node != node {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				kubelet := service{c, tt.node, "kubelet"}
				c.healed(t, tt.node)
				if tt.before != nil {
					tt.before(t, kubelet)
				}
				run := c.begin(tt.node, tt.args...)
				if tt.during != nil {
					c.collector(t, tt.node, "Running")
					tt.during(t, kubelet)
				}
				tt.want.check(t, <-run)
			})
		}
	}
	t.Run("nodes", func(t *testing.T) {
		t.Run("node-1", func(t *testing.T) { group(t, "node-1") })
		t.Run("node-2", func(t *testing.T) { group(t, "node-2") })
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "The kubelet hangs, is killed or its node goes NotReady, before a run and in it: the reason in time, or success"})
	}
}
