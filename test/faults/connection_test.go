package faults

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// severed is where collectors are made whose plugin reaches the API server through a proxy of the test.
const severed = "faults-severed"

// abreast runs subtests, so many at the same time. t.Parallel would run as many as there are processors, and all that these
// do is wait.
func abreast[T any](t *testing.T, most int, cases []T, name func(T) string, run func(t *testing.T, c T)) {
	var all sync.WaitGroup
	slots := make(chan struct{}, most)
	for _, c := range cases {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			t.Run(name(c), func(t *testing.T) { run(t, c) })
		})
	}
	all.Wait()
}

// series are the names and labels of what raw prints: those of a quiet pod are the same each time, and one less is a short answer.
func series(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			names = append(names, line[:i])
		}
	}
	slices.Sort(names)
	return names
}

// ask is a run whose answer is known beforehand.
type ask struct {
	args []string
	want []string // the series of an undisturbed run
}

// asks runs raw undisturbed on a selection.
func (c *cluster) asks(t testing.TB, home string, selection ...string) *ask {
	t.Helper()
	a := &ask{args: append([]string{"cosanet", "raw", "-n", namespace, "--collector-namespace", home, "--source", "pod"}, selection...)}
	r := c.Run(a.args...)
	if a.want = series(r.Stdout); r.Code != 0 || len(a.want) < 100 {
		t.Fatalf("an undisturbed run: exit code %d, %d series: %s", r.Code, len(a.want), r.Stderr)
	}
	return a
}

// through runs an ask through a proxy, and holds the run to what holds whatever happens: one pod a node at most; the whole
// answer, or exit code 1 with the reason; and no pod is left, or it is named with the command that deletes it.
func (c *cluster) through(t testing.TB, p *proxy, a *ask, args ...string) embedded.Result {
	t.Helper()
	r := c.Run(slices.Concat(a.args, []string{"--kubeconfig", p.kubeconfig}, args)...)
	c.honest(t, p, a, r)
	return r
}

func (c *cluster) honest(t testing.TB, p *proxy, a *ask, r embedded.Result) {
	t.Helper()
	got := series(r.Stdout)
	for _, node := range []string{"node-1", "node-2"} {
		if got, want := of(got, node), of(a.want, node); len(got) > 0 && !slices.Equal(got, want) {
			t.Errorf("it shows %d series of %s, an undisturbed run %d", len(got), node, len(want))
		}
	}
	switch {
	case r.Code == 0 && len(got) != len(a.want):
		t.Errorf("it shows %d series as complete, an undisturbed run %d", len(got), len(a.want))
	case r.Code == 1 && !strings.HasPrefix(r.Stderr, "error: "): // nor what a library thinks of it
		t.Error("it fails without a reason")
	case r.Code != 0 && r.Code != 1:
		t.Errorf("exit code %d", r.Code)
	}
	nodes := map[string]bool{}
	for _, pod := range p.wanted() {
		node := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
		if nodes[node] {
			t.Errorf("a second pod on %s", node)
		}
		nodes[node] = true
		if strings.Contains(r.Stderr, "kubectl delete pod -n "+pod.Namespace+" "+pod.Name) {
			c.Must(t, "-n", pod.Namespace, "delete", "pod", pod.Name, "--ignore-not-found", "--wait=false")
			continue
		}
		c.wantGone(t, pod.Namespace, pod.Name)
	}
	if t.Failed() {
		t.Logf("exit code %d, %d pods\nstderr:\n%s", r.Code, len(p.pods()), r.Stderr)
	}
}

// of are the series of a node.
func of(series []string, node string) []string {
	return slices.DeleteFunc(slices.Clone(series), func(s string) bool { return !strings.Contains(s, `cosanet_node="`+node+`"`) })
}

// wantGone fails the test if a pod is there and nobody deletes it.
func (c *cluster) wantGone(t testing.TB, namespace, name string) {
	t.Helper()
	left := c.Must(t, "-n", namespace, "get", "pod", name, "--ignore-not-found", "-o", "jsonpath={.metadata.name}{.metadata.deletionTimestamp}")
	if left == name {
		t.Errorf("pod %s is left behind, and not a word of it", name)
	}
}

// disturbance is a fault that happens to the first requests of a verb, and how the run is to end.
type disturbance struct {
	verb, name string
	times      int           // 0: always
	timeout    time.Duration // 0: more than it takes
	do         mischief
	want       outcome
}

// A connection to the API server that fails at each thing that is asked of it, in each way: a whole answer or the reason, one pod at most,
// and it is deleted.
func TestConnection(t *testing.T) {
	c := need(t)
	t.Parallel()
	c.namespace(t, severed, "privileged")
	a := c.asks(t, severed, "quiet-1")
	const trailer = "# cosanet-trailer"
	internal := refuses(http.StatusInternalServerError, metav1.StatusReasonInternalError)
	busy := refuses(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)
	timeout := refuses(http.StatusGatewayTimeout, metav1.StatusReasonTimeout)
	unavailable := refuses(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	gone := refuses(http.StatusGone, metav1.StatusReasonExpired)
	whole := outcome{}
	failed := func(words ...string) outcome { return outcome{code: 1, err: append([]string{"error: "}, words...)} }
	tests := []disturbance{
		// Those that take longest, first.
		{"delete pods", "hangs", 0, 0, hangs, outcome{code: 1, err: []string{"deleting collector pod", "kubectl delete pod -n " + severed}}},
		{"create pods", "hangs, not made", 0, 3 * time.Second, hangs, failed("creating")},
		{"create pods", "made, and hangs", 1, 3 * time.Second, loses(hangs), failed("no answer within")},
		{"list pods", "hangs", 0, 0, hangs, whole},

		{"get pods", "internal error", 1, 0, internal, failed()},
		{"get pods", "too many requests", 2, 0, busy, whole},
		{"get pods", "reset", 1, 0, breaks, whole},
		{"get pods", "aborted", 1, 0, aborts, failed()},
		{"get pods", "hangs", 0, 3 * time.Second, hangs, failed("the API server did not answer within")},
		{"get pods", "bad gateway", 1, 0, gateway, failed()},
		{"get pods", "half an answer", 1, 0, promises, failed()},
		{"get pods", "drips", 0, 0, drips, whole},

		{"get nodes", "internal error", 1, 0, internal, failed()},
		{"get nodes", "too many requests", 2, 0, busy, whole},
		{"get nodes", "reset", 1, 0, breaks, whole},
		{"get nodes", "hangs", 0, 3 * time.Second, hangs, failed("no answer within", "checking the node")},
		{"get nodes", "drips", 0, 0, drips, whole},

		{"list pods", "internal error", 0, 0, internal, whole}, // what earlier runs left is not worth a failure

		{"create pods", "internal error, not made", 1, 0, internal, whole},
		{"create pods", "internal error, always", 0, 0, internal, failed("creating collector pod")},
		{"create pods", "too many requests", 2, 0, busy, whole},
		{"create pods", "reset, not made", 1, 0, breaks, whole},
		{"create pods", "made, and reset", 1, 0, loses(breaks), whole},
		{"create pods", "made, and aborted", 1, 0, loses(aborts), whole},
		{"create pods", "made, and timed out", 1, 0, loses(timeout), whole},
		{"create pods", "made, and unavailable", 1, 0, loses(unavailable), whole},
		{"create pods", "made, and bad gateway", 1, 0, loses(gateway), whole},
		{"create pods", "made, and half an answer", 1, 0, promises, whole},
		{"create pods", "drips", 0, 0, drips, whole},

		{"watch pods", "internal error", 2, 0, internal, whole},
		{"watch pods", "too many requests", 2, 0, busy, whole},
		{"watch pods", "gone", 2, 0, gone, whole},
		{"watch pods", "expires", 2, 0, expires, whole},
		{"watch pods", "reset", 2, 0, breaks, whole},
		{"watch pods", "ends at once", 2, 0, cuts(after(0), nil), whole},
		{"watch pods", "cut within an event", 2, 0, cuts(after(100), aborts), whole},
		{"watch pods", "cut within an event, in order", 2, 0, cuts(after(100), nil), whole},
		{"watch pods", "reset within an event", 1, 0, cuts(after(1000), breaks), whole},
		{"watch pods", "hangs", 0, 0, hangs, whole}, // a pod of which nothing is heard is asked for itself
		{"watch pods", "drips", 0, 0, drips, whole},

		{"get pods/log", "internal error", 2, 0, internal, whole},
		{"get pods/log", "too many requests", 2, 0, busy, whole},
		{"get pods/log", "bad gateway", 2, 0, gateway, whole},
		{"get pods/log", "reset", 2, 0, breaks, whole},
		{"get pods/log", "ends at once", 2, 0, cuts(after(0), nil), whole},
		{"get pods/log", "cut in the first line", 2, 0, cuts(after(30), nil), whole},
		{"get pods/log", "cut in the middle", 2, 0, cuts(after(1000), nil), whole},
		{"get pods/log", "aborted in the middle", 2, 0, cuts(after(1000), aborts), whole},
		{"get pods/log", "reset in the middle", 2, 0, cuts(after(1000), breaks), whole},
		{"get pods/log", "cut before the trailer", 2, 0, cuts(until(trailer, 1), nil), whole},
		{"get pods/log", "cut before the trailer, always", 0, 0, cuts(until(trailer, 1), nil), failed("its log did not come whole")},
		{"get pods/log", "aborted before the trailer, always", 0, 0, cuts(until(trailer, 1), aborts), failed("its log did not come whole")},
		{"get pods/log", "hangs in the middle", 0, 8 * time.Second, cuts(after(1000), hangs), failed("node node-1: ")},
		{"get pods/log", "hangs", 0, 8 * time.Second, hangs, failed("node node-1: ")},
		{"get pods/log", "drips", 0, 0, drips, whole},

		{"delete pods", "internal error", 2, 0, internal, whole},
		{"delete pods", "too many requests", 2, 0, busy, whole},
		{"delete pods", "reset", 2, 0, breaks, whole},
		{"delete pods", "deleted, and reset", 1, 0, loses(breaks), whole},
		{"delete pods", "deleted, and bad gateway", 1, 0, loses(gateway), whole},
		{"delete pods", "internal error, always", 0, 0, internal, outcome{code: 1, err: []string{"deleting collector pod", "kubectl delete pod -n " + severed}}},
		{"delete pods", "drips", 0, 0, drips, whole},
	}
	abreast(t, 8, tests, func(tt disturbance) string { return tt.verb + " " + tt.name }, func(t *testing.T, tt disturbance) {
		p := c.between(t, &fault{tt.verb, 1, tt.times, tt.do})
		r := c.through(t, p, a, "--timeout", cmp.Or(tt.timeout, time.Minute).String())
		if p.requests(tt.verb) == 0 {
			t.Errorf("it never asked to %s: the test shows nothing", tt.verb)
		}
		if r.Code != tt.want.code {
			t.Errorf("exit code %d, want %d: %s", r.Code, tt.want.code, r.Stderr)
		}
		for _, word := range tt.want.err {
			if !strings.Contains(r.Stderr, word) {
				t.Errorf("standard error does not say %q: %s", word, r.Stderr)
			}
		}
	})
	c.WantNothingLeft(t, severed)
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "The connection to the API server fails at every verb, in every way: the whole answer or the reason, one pod at most, and it is deleted"})
	}
}
