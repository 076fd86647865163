package faults

import (
	"fmt"
	"strings"
	"testing"
)

// rooms are a node without room for another pod, one whose room is used up, and one that is taken from the cluster in the run.
func (c *cluster) rooms() ordeals {
	return ordeals{"A node without room for a pod, and one that is deleted in the run: the reason, or success", "kubelet", []ordeal{
		{name: "as many pods as it takes",
			before: func(t *testing.T, kubelet service) {
				kubelet.freeze(t) // else it says otherwise soon
				c.Must(t, "patch", "node", "node-1", "--subresource=status", "--type=merge", "-p", `{"status":{"allocatable":{"pods":"1"}}}`)
				t.Cleanup(func() {
					c.Must(t, "patch", "node", "node-1", "--subresource=status", "--type=merge", "-p", `{"status":{"allocatable":{"pods":"250"}}}`)
				})
			},
			want: []outcome{{code: 1, err: []string{"node node-1: ", "it cannot be scheduled (Unschedulable): ", "Too many pods"}}}},
		{name: "no CPU is left",
			before: func(t *testing.T, kubelet service) {
				free := c.Must(t, "get", "node", "node-1", "-o", "jsonpath={.status.allocatable.cpu}")
				c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler", "namespace": %q},
					"spec": {"nodeSelector": {"kubernetes.io/hostname": "node-1"}, "terminationGracePeriodSeconds": 0,
					"containers": [{"name": "c", "image": "cosanet-demo:dev", "imagePullPolicy": "Never", "args": ["idle"], "resources": {"requests": {"cpu": %q}}}]}}`,
					namespace, strings.TrimSpace(free)))
				t.Cleanup(func() { c.Must(t, "-n", namespace, "delete", "pod", "filler", "--timeout=30s") })
				c.Must(t, "-n", namespace, "wait", "pod", "filler", "--for=condition=PodScheduled", "--timeout=30s")
			},
			want: []outcome{{code: 1, err: []string{"node node-1: ", "it cannot be scheduled (Unschedulable): ", "Insufficient cpu"}}}},
		{name: "node deleted in the run", args: []string{"--interval", "3s"},
			during: func(t *testing.T, kubelet service) {
				c.Must(t, "delete", "node", "node-1")
				t.Cleanup(func() { kubelet.kill(t)() }) // it registers the node when it starts
			},
			want: []outcome{fine("node-1")}},
	}}
}
