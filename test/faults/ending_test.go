package faults

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// A collector pod whose end others bring about in its run: the reason is told, in time.
func TestEndings(t *testing.T) {
	c := need(t)
	t.Parallel()
	const home = "faults-endings"
	c.namespace(t, home, "privileged")
	tests := []struct {
		name   string
		during func(t testing.TB, pod corev1.Pod) // once it runs
		want   outcome
	}{
		{"evicted through the API", func(t testing.TB, pod corev1.Pod) {
			cmd := c.Command("create", "--raw", "/api/v1/namespaces/"+pod.Namespace+"/pods/"+pod.Name+"/eviction", "-f", "-")
			cmd.Stdin = strings.NewReader(`{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "` + pod.Name + `"}}`)
			if r := embedded.Finish(cmd); r.Code != 0 {
				t.Error(r.Stderr)
			}
		}, outcome{code: 1, err: []string{"node node-1: ", "somebody deleted it while it was in use (EvictionByEvictionAPI: ", "ask again, or see kubectl get events -n faults-endings"}}},
		{"deleted", func(t testing.TB, pod corev1.Pod) {
			c.Must(t, "-n", pod.Namespace, "delete", "pod", pod.Name, "--wait=false")
		}, outcome{code: 1, err: []string{"node node-1: ", "somebody deleted it while it was in use"}}},
		{"deleted at once", func(t testing.TB, pod corev1.Pod) {
			c.Must(t, "-n", pod.Namespace, "delete", "pod", pod.Name, "--force")
		}, outcome{code: 1, err: []string{"node node-1: ", "somebody deleted it while it was in use"}}},
		{"collector killed", func(t testing.TB, pod corev1.Pod) {
			c.signal(t, pod, "KILL")
		}, outcome{code: 1, err: []string{"node node-1: ", "the collector was ended by signal 9: it said nothing"}}},
		{"collector told to end", func(t testing.TB, pod corev1.Pod) {
			c.signal(t, pod, "TERM")
		}, outcome{code: 1, err: []string{"node node-1: ", "the collector failed (exit code 1): cosanet-collector: error: terminated signal received\n"}}},
		{"node cordoned and drained of what tolerates nothing", func(t testing.TB, pod corev1.Pod) {
			c.Must(t, "taint", "node", "node-1", "faults.test/drain=now:NoExecute")
			t.Cleanup(func() { c.Must(t, "taint", "node", "node-1", "faults.test/drain-") })
		}, fine("node-1")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := c.begin("node-1", "--interval", "4s", "--collector-namespace", home)
			tt.during(t, c.WaitCollector(t, "Running", home))
			tt.want.check(t, <-run)
			c.WantNothingLeft(t, home)
		})
	}
	t.Run("too little memory", func(t *testing.T) {
		const starved = "faults-starved"
		c.namespace(t, starved, "privileged")
		// The first is less than runc itself needs, the other less than the collector does.
		for _, limit := range []string{"3Mi", "6Mi"} {
			t.Run(limit, func(t *testing.T) {
				c.hook(t, starved, patch{"replace", "/spec/containers/0/resources", map[string]any{"limits": map[string]string{"memory": limit}}})
				r := c.Run("cosanet", "top", "-n", namespace, "quiet-1", "--collector-namespace", starved)
				outcome{code: 1, err: []string{"node node-1: ", "OOMKilled: the collector needed more memory than its limit of " + limit,
					"a webhook of the cluster lowered it from 256Mi"}}.check(t, r)
				c.WantNothingLeft(t, starved)
			})
		}
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests) + 2, Faults: len(tests) + 2, Survived: len(tests) + 2,
			Claim: "A collector pod is evicted, deleted, killed, starved of memory: the reason is told"})
	}
}

// signal sends one to the collector of a pod.
func (c *cluster) signal(t testing.TB, pod corev1.Pod, signal string) {
	t.Helper()
	c.Exec(t, pod.Spec.NodeName, "kill", "-"+signal, c.process(t, pod))
}
