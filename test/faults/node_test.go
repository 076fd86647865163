package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// ordeal is what a service of a node is made to do, around a run on that node.
type ordeal struct {
	name, node string
	args       []string // of kubectl cosanet top, beside the pod
	before     func(t *testing.T, s service)
	during     func(t *testing.T, s service) // once the collector runs
	want       []outcome                     // any of them
	long       bool                          // for COSANET_CHAOS=1
}

// ordeals are those of one service that show one claim.
type ordeals struct {
	claim   string
	service string
	cases   []ordeal
}

// Whatever is done to a node in and before a run: the run ends in time, with the reason or with the answer, and the node's next
// run is fine. The nodes suffer side by side.
func TestNodes(t *testing.T) {
	c := need(t)
	trials := []ordeals{c.kubelets(), c.containerds(), c.rooms()}
	for i := range trials {
		trials[i].cases = slices.DeleteFunc(trials[i].cases, func(o ordeal) bool { return o.long && !trial.Long() })
	}
	t.Run("lanes", func(t *testing.T) {
		for _, node := range []string{"node-1", "node-2"} {
			t.Run(node, func(t *testing.T) {
				t.Parallel()
				for _, o := range trials {
					for _, tt := range o.cases {
						if tt.node == node {
							t.Run(o.service+" "+tt.name, func(t *testing.T) { c.undergo(t, tt, service{c, node, o.service}) })
						}
					}
				}
				if node == "node-2" {
					t.Run("log rotation", c.rotation)
				}
			})
		}
	})
	if t.Failed() {
		return
	}
	for _, o := range trials {
		n := len(o.cases)
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Claim: o.claim, Runs: n, Faults: n, Survived: n})
	}
	trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: 2, Faults: 2, Survived: 2,
		Claim: "The kubelet rotates the collector's log in the run: the whole answer, or that it is cut"})
}

func (c *cluster) undergo(t *testing.T, o ordeal, s service) {
	c.healed(t, o.node)
	if o.before != nil {
		o.before(t, s)
	}
	run := c.begin(o.node, o.args...)
	if o.during != nil {
		c.collector(t, o.node, "Running")
		o.during(t, s)
	}
	r := <-run
	if !slices.ContainsFunc(o.want, func(want outcome) bool { return want.missed(r) == nil }) {
		o.want[0].check(t, r)
	}
}

// service is the kubelet or the containerd of a node.
type service struct {
	*cluster
	node, name string
}

// pid is that of the service in its node, empty when it does not run.
func (s service) pid() string {
	return strings.TrimSpace(s.Control("exec", s.node, "--", "pgrep", "-x", s.name).Stdout)
}

// freeze stops the service as SIGSTOP does: its connections stay open and nobody answers. The test's end, if not the
// returned function before, lets it go on.
func (s service) freeze(t testing.TB) (thaw func()) {
	t.Helper()
	pid := s.pid()
	s.Exec(t, s.node, "kill", "-STOP", pid)
	thaw = func() { s.Exec(t, s.node, "kill", "-CONT", pid) }
	t.Cleanup(thaw)
	return thaw
}

// kill ends the service, whose connections are then refused, until start or the test's end.
func (s service) kill(t testing.TB) (start func()) {
	t.Helper()
	file, pid := "/run/"+s.name+".held", s.pid()
	s.Exec(t, s.node, "touch", file)
	start = func() {
		s.Exec(t, s.node, "rm", "-f", file)
		embedded.Eventually(t, s.name+" of "+s.node+" runs again", func() error {
			if now := s.pid(); now == "" || now == pid {
				return fmt.Errorf("its pid is %q", now)
			}
			return nil
		})
	}
	t.Cleanup(start)
	s.Exec(t, s.node, "kill", "-KILL", pid)
	embedded.Eventually(t, "the end of "+s.name+" of "+s.node, func() error {
		if now := s.pid(); now != "" {
			return fmt.Errorf("its pid is %q", now)
		}
		return nil
	})
	return start
}

// healed waits, at the end of a test that hurt a node, until the node is well again: it is Ready, no collector runs on it,
// and a plain run shows its pod. Called first, it is done after what mends the node.
func (c *cluster) healed(t testing.TB, node string) {
	t.Helper()
	t.Cleanup(func() {
		embedded.Eventually(t, node+" is well again", func() error {
			if r := c.Run("wait", "node", node, "--for=condition=Ready", "--timeout=1s"); r.Code != 0 {
				return fmt.Errorf("%s", r.Stderr)
			}
			if r := c.Control("exec", node, "--", "pgrep", "-x", "cosanet-collect"); r.Stdout != "" { // 15 bytes of its name
				return fmt.Errorf("a collector runs: pid %s", r.Stdout)
			}
			for _, pod := range c.Pods(t, embedded.Ours, namespace) {
				if pod.Spec.NodeName == node {
					return fmt.Errorf("%s is left", pod.Name)
				}
			}
			return nil
		})
		if r := c.top(node); r.Code != 0 || !strings.Contains(r.Stdout, quiet(node)) {
			t.Errorf("the next run: exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
		}
	})
}

// quiet is the suite's pod on a node.
func quiet(node string) string { return strings.Replace(node, "node", "quiet", 1) }

// top runs kubectl cosanet top on the suite's pod of a node, with the collector beside it.
func (c *cluster) top(node string, args ...string) embedded.Result {
	return c.Run(append([]string{"cosanet", "top", "-n", namespace, quiet(node), "--collector-namespace", namespace}, args...)...)
}

// begin is top in the background.
func (c *cluster) begin(node string, args ...string) <-chan embedded.Result {
	done := make(chan embedded.Result, 1)
	go func() { done <- c.top(node, args...) }()
	return done
}

// collector waits for the collector pod of a node.
func (c *cluster) collector(t testing.TB, node string, phase corev1.PodPhase) corev1.Pod {
	t.Helper()
	var found corev1.Pod
	embedded.Eventually(t, "a collector pod on "+node, func() error {
		for _, pod := range c.Pods(t, embedded.Ours, namespace) {
			if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil && (phase == "" || pod.Status.Phase == phase) {
				found = pod
				return nil
			}
		}
		return fmt.Errorf("there is none that is %s", phase)
	})
	return found
}

// ready sets what a node says of itself. Its kubelet must be frozen, else it says otherwise soon.
func (c *cluster) ready(t testing.TB, node, status string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionStatus(status), Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.",
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Must(t, "patch", "node", node, "--subresource=status", "--type=strategic", "-p", string(patch))
}

// outcome is how a run is to end.
type outcome struct {
	code int
	out  []string // words on standard output
	err  []string // and on standard error
}

// fine is a run that shows the suite's pod.
func fine(node string) outcome { return outcome{out: []string{quiet(node)}} }

// check fails the test unless a run ended as it should.
func (want outcome) check(t testing.TB, r embedded.Result) {
	t.Helper()
	for _, miss := range want.missed(r) {
		t.Error(miss)
	}
	if t.Failed() {
		t.Logf("exit code %d\nstdout:\n%s\nstderr:\n%s", r.Code, r.Stdout, r.Stderr)
	}
}

// missed is in what a run did not end as it should.
func (want outcome) missed(r embedded.Result) (misses []string) {
	if r.Code != want.code {
		misses = append(misses, fmt.Sprintf("exit code %d, want %d", r.Code, want.code))
	}
	for _, word := range want.out {
		if !strings.Contains(r.Stdout, word) {
			misses = append(misses, fmt.Sprintf("standard output does not say %q", word))
		}
	}
	for _, word := range want.err {
		if !strings.Contains(r.Stderr, word) {
			misses = append(misses, fmt.Sprintf("standard error does not say %q", word))
		}
	}
	if want.code != 0 && len(want.out) == 0 && r.Stdout != "" {
		misses = append(misses, "a run that failed wrote to standard output")
	}
	return misses
}
