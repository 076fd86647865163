package faults

import (
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// A container runtime that hangs or is restarted, before a run and while the collector walks: it writes the log that carries
// the answer, so what it loses is told, never shown as complete. Afterwards the node is as before.
func TestContainerd(t *testing.T) {
	c := need(t)
	aside := func(away time.Duration) func(testing.TB, service) {
		return func(t testing.TB, containerd service) {
			start := containerd.kill(t)
			time.Sleep(away)
			start()
		}
	}
	cut := outcome{code: 1, err: []string{": collector pod in namespace faults: its log did not come whole", "the node's container runtime restarts", "ask again"}}
	tests := []struct {
		name, node string
		before     func(t testing.TB, containerd service)
		during     func(t testing.TB, containerd service) // once the collector runs
		args       []string
		want       []outcome // any of them
	}{
		{name: "restarted between two walks", node: "node-1", args: []string{"--interval", "4s"},
			during: aside(0), want: []outcome{fine("node-1"), cut}},
		{name: "away during a walk", node: "node-2", args: []string{"--interval", "3s", "--timeout", "20s"},
			during: aside(5 * time.Second), want: []outcome{fine("node-2"), cut}},
		{name: "frozen during a walk", node: "node-1", args: []string{"--interval", "3s", "--timeout", "20s"},
			during: func(t testing.TB, containerd service) {
				thaw := containerd.freeze(t)
				time.Sleep(5 * time.Second)
				thaw()
			}, want: []outcome{fine("node-1")}},
		{name: "frozen for good", node: "node-1", args: []string{"--timeout", "4s"},
			before: func(t testing.TB, containerd service) { containerd.freeze(t) },
			want: []outcome{{code: 1, err: []string{"node node-1: no answer within 5s, last pulling the image and creating the container",
				"kubectl get events -n faults", "kubectl describe node node-1"}}}},
		{name: "killed for good", node: "node-2", args: []string{"--timeout", "4s"},
			before: func(t testing.TB, containerd service) { containerd.kill(t) },
			want: []outcome{{code: 1, err: []string{"node node-2: no answer within 5s, last pulling the image and creating the container",
				"FailedCreatePodSandBox", "containerd.sock", "connection refused"}}}},
	}
	group := func(t *testing.T, node string) {
		t.Parallel()
		for _, tt := range tests {
			if tt.node != node {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				containerd := service{c, tt.node, "containerd"}
				c.healed(t, tt.node)
				if tt.before != nil {
					tt.before(t, containerd)
				}
				run := c.begin(tt.node, tt.args...)
				if tt.during != nil {
					c.collector(t, tt.node, "Running")
					tt.during(t, containerd)
				}
				r := <-run
				want := tt.want[0]
				if len(tt.want) > 1 && r.Code != want.code {
					want = tt.want[1]
				}
				want.check(t, r)
			})
		}
	}
	t.Run("nodes", func(t *testing.T) {
		t.Run("node-1", func(t *testing.T) { group(t, "node-1") })
		t.Run("node-2", func(t *testing.T) { group(t, "node-2") })
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "The container runtime hangs, is killed or restarted, before a run and during a walk: a whole answer, or the reason, and the next run is fine"})
	}
}
