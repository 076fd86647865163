package faults

import (
	"testing"
	"time"
)

// kubelets are kubelets that hang or are away, before a run and in it.
func (c *cluster) kubelets() ordeals {
	return ordeals{"The kubelet hangs, is killed or its node goes NotReady, before a run and in it: the reason in time, or success", "kubelet", []ordeal{
		{name: "frozen before", node: "node-1", args: []string{"--timeout", "3s"},
			before: func(t *testing.T, k service) { k.freeze(t) },
			want: []outcome{{code: 1, err: []string{"node node-1: no answer within 4s, last waiting for the kubelet",
				"the kubelet does not answer the API server", "kubectl describe node node-1"}}}},
		{name: "killed before", node: "node-2", args: []string{"--timeout", "3s"},
			before: func(t *testing.T, k service) { k.kill(t) },
			want: []outcome{{code: 1, err: []string{"node node-2: no answer within 4s, last waiting for the kubelet",
				"the kubelet does not answer the API server", "connection refused", "kubectl describe node node-2"}}}},
		{name: "frozen for a moment", node: "node-1", args: []string{"--interval", "3s"},
			during: func(t *testing.T, k service) {
				thaw := k.freeze(t)
				time.Sleep(2 * time.Second)
				thaw()
			}, want: []outcome{fine("node-1")}},
		{name: "restarted", node: "node-1", args: []string{"--interval", "3s"},
			during: func(t *testing.T, k service) { k.kill(t)() }, want: []outcome{fine("node-1")}},
		{name: "frozen for good", long: true, node: "node-2", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t *testing.T, k service) { k.freeze(t) },
			want: []outcome{{code: 1, err: []string{"node node-2: no answer within 8s, last counting",
				"the kubelet does not answer the API server", "kubectl describe node node-2"}}}},
		{name: "killed for good", node: "node-2", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t *testing.T, k service) { k.kill(t) },
			want: []outcome{{code: 1, err: []string{"node node-2: no answer within 8s, last waiting for the kubelet to be back",
				"connection refused", "kubectl describe node node-2"}}}},
		{name: "NotReady in the run", node: "node-1", args: []string{"--interval", "3s", "--timeout", "5s"},
			during: func(t *testing.T, k service) { k.freeze(t); k.ready(t, "node-1", "Unknown") },
			want: []outcome{{code: 1, err: []string{"node node-1: no answer within 8s",
				"by now it is NotReady: NodeStatusUnknown: Kubelet stopped posting node status.", "kubectl describe node node-1"}}}},
		{name: "silent until its node is NotReady", long: true, node: "node-1", args: []string{"--timeout", "90s"},
			before: func(t *testing.T, k service) { k.freeze(t) },
			want: []outcome{{code: 1, err: []string{"node node-1: no answer within 1m31s, last waiting for the kubelet",
				"by now it is NotReady: NodeStatusUnknown: Kubelet stopped posting node status.", "kubectl describe node node-1"}}}},
	}}
}
