package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// A node without room for another pod, one whose room is used up, and one that is taken from the cluster in the run.
func TestRoom(t *testing.T) {
	c := need(t)
	tests := []struct {
		name   string
		before func(t *testing.T)
		args   []string
		during func(t *testing.T) // once the collector runs
		want   outcome
	}{
		{name: "as many pods as it takes",
			before: func(t *testing.T) {
				service{c, "node-2", "kubelet"}.freeze(t) // else it says otherwise soon
				c.Must(t, "patch", "node", "node-2", "--subresource=status", "--type=merge", "-p", `{"status":{"allocatable":{"pods":"1"}}}`)
				t.Cleanup(func() {
					c.Must(t, "patch", "node", "node-2", "--subresource=status", "--type=merge", "-p", `{"status":{"allocatable":{"pods":"250"}}}`)
				})
			},
			want: outcome{code: 1, err: []string{"node node-2: ", "it cannot be scheduled (Unschedulable): ", "Too many pods"}}},
		{name: "no CPU is left",
			before: func(t *testing.T) {
				free := c.Must(t, "get", "node", "node-2", "-o", "jsonpath={.status.allocatable.cpu}")
				c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler", "namespace": %q},
					"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-2"}, "terminationGracePeriodSeconds": 0,
					"containers": [{"name": "c", "image": "cosanet-demo:dev", "imagePullPolicy": "Never", "args": ["idle"], "resources": {"requests": {"cpu": %q}}}]}}`,
					namespace, strings.TrimSpace(free)))
				t.Cleanup(func() { c.Must(t, "-n", namespace, "delete", "pod", "filler", "--timeout=30s") })
				c.Must(t, "-n", namespace, "wait", "pod", "filler", "--for=condition=PodScheduled", "--timeout=30s")
			},
			want: outcome{code: 1, err: []string{"node node-2: ", "it cannot be scheduled (Unschedulable): ", "Insufficient cpu"}}},
		{name: "node deleted in the run", args: []string{"--interval", "3s"},
			during: func(t *testing.T) {
				kubelet := service{c, "node-2", "kubelet"}
				c.Must(t, "delete", "node", "node-2")
				t.Cleanup(func() { kubelet.kill(t)() }) // it registers the node when it starts
			},
			want: fine("node-2")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.healed(t, "node-2")
			if tt.before != nil {
				tt.before(t)
			}
			run := c.begin("node-2", tt.args...)
			if tt.during != nil {
				c.collector(t, "node-2", "Running")
				tt.during(t)
			}
			tt.want.check(t, <-run)
		})
	}
	embedded.Eventually(t, "quiet-2 is there", func() error {
		if r := c.Run("-n", namespace, "wait", "pod", "quiet-2", "--for=condition=Ready", "--timeout=1s"); r.Code != 0 {
			return fmt.Errorf("%s", r.Stderr)
		}
		return nil
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "A node without room for a pod, and one that is deleted in the run: the reason, or success"})
	}
}
