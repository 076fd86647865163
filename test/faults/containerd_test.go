package faults

import (
	"testing"
	"time"
)

// containerds are container runtimes that hang or are restarted, before a run and while the collector walks: a runtime writes
// the log that carries the answer, so what it loses is told, never shown as complete.
func (c *cluster) containerds() ordeals {
	aside := func(away time.Duration) func(*testing.T, service) {
		return func(t *testing.T, containerd service) {
			start := containerd.kill(t)
			time.Sleep(away)
			start()
		}
	}
	cut := outcome{code: 1, err: []string{": collector pod in namespace faults: its log did not come whole", "the node's container runtime restarts", "ask again"}}
	lost := outcome{code: 1, err: []string{": the node's container runtime does not know how the collector ended (Unknown, exit code 255)", "ask again"}} // containerd 2
	return ordeals{"The container runtime hangs, is killed or restarted, before a run and during a walk: a whole answer, or the reason", "containerd", []ordeal{
		{name: "restarted between two walks", node: "node-1", args: []string{"--interval", "4s"},
			during: aside(0), want: []outcome{fine("node-1"), cut, lost}},
		{name: "away during a walk", node: "node-2", args: []string{"--interval", "3s", "--timeout", "20s"},
			during: aside(5 * time.Second), want: []outcome{fine("node-2"), cut, lost}},
		{name: "frozen during a walk", node: "node-1", args: []string{"--interval", "3s", "--timeout", "20s"},
			during: func(t *testing.T, containerd service) {
				thaw := containerd.freeze(t)
				time.Sleep(5 * time.Second)
				thaw()
			}, want: []outcome{fine("node-1")}},
		{name: "frozen for good", node: "node-1", args: []string{"--timeout", "9s"},
			before: func(t *testing.T, containerd service) { containerd.freeze(t) },
			want: []outcome{{code: 1, err: []string{"node node-1: no answer within 10s, last ",
				"kubectl get events -n faults", "kubectl describe node node-1"}}}},
		{name: "killed for good", node: "node-2", args: []string{"--timeout", "9s"},
			before: func(t *testing.T, containerd service) { containerd.kill(t) },
			want: []outcome{{code: 1, err: []string{"node node-2: no answer within 10s, last ",
				"FailedCreatePodSandBox", "containerd.sock", "connection refused"}}}},
	}}
}
