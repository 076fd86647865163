package faults

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// Where the collectors of TestSignals are made. Those whose plugin is killed stay behind, and are cleaned up together.
const (
	signalled = "faults-signalled"
	killed    = "faults-killed"
)

// moment is how far a run has come when signals reach it. Requests that are not answered hold it there, or an image that does
// not come.
type moment struct {
	name string
	hold func(*gate) []*fault // nil: the image
	runs bool                 // a collector does
	over bool                 // the answer is printed: an interruption is too late to change it
}

func moments() []moment {
	at := func(verb string, do func(*gate) mischief) func(*gate) []*fault {
		return func(g *gate) []*fault { return []*fault{{verb, 1, 1, do(g)}} }
	}
	before := func(g *gate) mischief { return g.before }
	after := func(g *gate) mischief { return g.after }
	amid := func(g *gate) mischief { return cuts(until("# EOF", 1), g.before) } // between two samples
	unheard := func(g *gate) []*fault {                                         // what becomes of the pod that was made
		return []*fault{{"watch pods", 1, 0, g.hold}, {"create pods", 1, 1, g.announces}}
	}
	return []moment{
		{name: "before the creation", hold: at("get nodes", before)},
		{name: "creating", hold: at("create pods", before)},
		{name: "created, without an answer", hold: at("create pods", after)},
		{name: "pending", hold: unheard},
		{name: "pulling"},
		{name: "running", hold: at("get pods/log", before), runs: true},
		{name: "streaming", hold: at("get pods/log", amid), runs: true},
		{name: "deleting", hold: at("delete pods", before), over: true},
	}
}

// interruption is a run that gets signals at a moment.
type interruption struct {
	moment
	signals []syscall.Signal
	node    string
}

func (i interruption) String() string {
	var names []string
	for _, s := range i.signals {
		names = append(names, s.String())
	}
	return strings.Join(names, " and ") + ", " + i.name
}

func (i interruption) kills() bool { return slices.Contains(i.signals, syscall.SIGKILL) }

// begin starts a run and returns when its moment has come.
func (i interruption) begin(t *testing.T, c *cluster, home string, faults ...*fault) (*run, *gate) {
	g := newGate()
	t.Cleanup(g.lift)
	args := []string{"top", "-n", namespace, quiet(i.node), "--collector-namespace", home, "--source", "pod", "--timeout", "20s"}
	switch {
	case i.runs && i.kills(): // its process is looked for, on a node that may have much to do
		args = append(args, "--interval", "10s")
	case i.runs:
		args = append(args, "--interval", "4s")
	default:
		args = append(args, "--interval", "0")
	}
	if i.hold == nil {
		args = append(args, "--image", c.registry(t, g), "--image-pull-policy", "Always")
	} else {
		faults = append(faults, i.hold(g)...)
	}
	r := c.start(t, faults, args...)
	r.at(t, g)
	return r, g
}

// interruptions are every signal at every moment, so often.
func interruptions(rounds int) (all []interruption) {
	for range rounds {
		for _, m := range moments() {
			for _, signals := range [][]syscall.Signal{{syscall.SIGINT}, {syscall.SIGTERM}, {syscall.SIGHUP}, {syscall.SIGKILL}, {syscall.SIGTERM, syscall.SIGINT}} {
				if len(signals) > 1 && m.name != "streaming" {
					continue // as timeout(1) does: one wish
				}
				all = append(all, interruption{m, signals, fmt.Sprintf("node-%d", 1+len(all)%2)})
			}
		}
	}
	return all
}

// A signal at whatever moment: the run ends with 130 and no pod is left. A run that is killed leaves a pod, whose collector ends by
// itself, and which cleanup and the next run delete.
func TestSignals(t *testing.T) {
	c := need(t)
	t.Parallel()
	c.namespace(t, signalled, "privileged")
	c.namespace(t, killed, "privileged")
	tests := interruptions(trial.Rounds(1, 4))
	var mu sync.Mutex
	var left []corev1.Pod
	abreast(t, 6, tests, interruption.String, func(t *testing.T, i interruption) {
		if !i.kills() {
			i.caught(t, c)
			return
		}
		pods := i.killed(t, c)
		mu.Lock()
		defer mu.Unlock()
		left = append(left, pods...)
	})
	c.WantNothingLeft(t, signalled)
	t.Run("what is left", func(t *testing.T) { c.leftBehind(t, left) })
	if t.Failed() {
		return
	}
	kills := 0
	for _, i := range tests {
		if i.kills() {
			kills++
		}
	}
	n := len(tests) - kills
	trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: n, Faults: n, Survived: n,
		Claim: "SIGINT, SIGTERM and SIGHUP at every moment of a run: it ends in order and no pod is left"})
	trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: kills, Faults: kills, Survived: kills,
		Claim: "SIGKILL at every moment of a run: the collector ends by itself, cleanup and the next run delete what is left"})
}

// caught is of signals that the plugin gets to know.
func (i interruption) caught(t *testing.T, c *cluster) {
	r, g := i.begin(t, c, signalled)
	for _, s := range i.signals {
		if err := r.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	g.lift()
	got := r.end()
	want := outcome{code: 130}
	if i.over {
		want = fine(i.node)
	}
	want.check(t, got)
	if !i.over && got.Stderr != "" {
		t.Errorf("whoever interrupts a run need not be told: %s", got.Stderr)
	}
	for _, pod := range r.pods() {
		c.wantGone(t, pod.Namespace, pod.Name)
	}
}

// killed is of SIGKILL. It returns the pods that are left, of which no process runs.
func (i interruption) killed(t *testing.T, c *cluster) []corev1.Pod {
	r, _ := i.begin(t, c, killed)
	pods := r.pods()
	var pid string
	if i.runs {
		pod := c.Pod(t, killed, pods[0].Name)
		pid = c.process(t, pod)
		if trial.Long() && i.name == "running" { // one that hangs is ended by the kubelet, at the pod's deadline
			c.signal(t, pod, "STOP")
		}
	}
	if err := r.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	r.end()
	if i.runs {
		c.Exec(t, i.node, "sh", "-c", "while kill -0 "+pid+" 2>/dev/null; do sleep 0.1; done")
	}
	for _, pod := range pods {
		if now := c.Pod(t, pod.Namespace, pod.Name); now.DeletionTimestamp != nil {
			t.Errorf("somebody deletes %s: the test shows nothing", pod.Name)
		}
	}
	return pods
}

// leftBehind sees to what killed runs left: no process, and objects that the next run deletes when they are old, and cleanup before that.
func (c *cluster) leftBehind(t *testing.T, pods []corev1.Pod) {
	if len(pods) < len(moments())-2 {
		t.Fatalf("only %d pods are left: the test shows nothing", len(pods))
	}
	var ended string
	for _, pod := range pods {
		if now := c.Pod(t, killed, pod.Name); len(now.Status.ContainerStatuses) > 0 && now.Status.ContainerStatuses[0].State.Terminated != nil {
			ended = pod.Name
		}
	}
	longAgo := time.Now().Add(-10 * time.Minute).UTC().Format(time.RFC3339)
	embedded.Eventually(t, "the next run deletes what ended long ago", func() error {
		// Until it is deleted, the kubelet may put its own view of it back.
		c.Run("-n", killed, "patch", "pod", ended, "--subresource=status", "--type=json",
			"-p", `[{"op":"replace","path":"/status/containerStatuses/0/state/terminated/finishedAt","value":"`+longAgo+`"}]`)
		if r := c.Run("cosanet", "top", "-n", namespace, "quiet-1", "--collector-namespace", killed, "--interval", "0"); r.Code != 0 {
			return fmt.Errorf("exit code %d: %s", r.Code, r.Stderr)
		}
		if left := c.Run("-n", killed, "get", "pod", ended, "--ignore-not-found", "-o", "name"); left.Stdout != "" {
			return fmt.Errorf("%s is there", left.Stdout)
		}
		return nil
	})
	r := c.Cosanet(t, 0, "cleanup", "--all", "--collector-namespace", killed)
	for _, pod := range pods {
		if pod.Name != ended && !strings.Contains(r.Stdout, fmt.Sprintf("pod %q deleted from %s namespace\n", pod.Name, killed)) {
			t.Errorf("cleanup does not say that it deleted %s: %s%s", pod.Name, r.Stdout, r.Stderr)
		}
	}
	c.WantNothingLeft(t, killed)
}

// Whoever presses Ctrl-C again while the pod is being deleted is let go at once, and told what is left and how to delete it.
func TestInterruptedTwice(t *testing.T) {
	c := need(t)
	t.Parallel()
	const home = "faults-twice"
	c.namespace(t, home, "privileged")
	deleting := newGate()
	defer deleting.lift()
	streaming := moments()[slices.IndexFunc(moments(), func(m moment) bool { return m.name == "streaming" })]
	r, g := interruption{moment: streaming, node: "node-1"}.begin(t, c, home, &fault{"delete pods", 1, 0, deleting.before})
	r.cmd.Process.Signal(syscall.SIGINT)
	g.lift()
	r.at(t, deleting)
	for over := false; !over; { // signals within a moment of the first one are one wish with it
		r.cmd.Process.Signal(syscall.SIGINT)
		select {
		case <-r.done:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	pod := r.pods()[0]
	command := "kubectl delete pod -n " + home + " " + pod.Name
	got := r.end()
	outcome{code: 130, err: []string{"collector pods may be left behind; delete them with:\n  " + command + "\n"}}.check(t, got)
	c.Pod(t, home, pod.Name) // it is there
	c.follow(t, got, command)
	c.WantNothingLeft(t, home)
}
