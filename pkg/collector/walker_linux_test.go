package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// node is a runtime whose list the test decides, with pods that are real processes in real namespaces.
type node struct {
	t      testing.TB
	socket string
	list   atomic.Pointer[func(context.Context) (*cri.ListPodSandboxResponse, error)]
	lists  atomic.Int64 // how often it was asked
	server *grpc.Server
}

func startNode(t testing.TB) *node {
	n := &node{t: t, socket: filepath.Join(t.TempDir(), "cri.sock")}
	n.answers()
	n.start()
	t.Cleanup(func() { n.server.Stop() })
	return n
}

// start listens on the socket, which must not be there.
func (n *node) start() {
	n.t.Helper()
	l, err := net.Listen("unix", n.socket)
	if err != nil {
		n.t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // a runtime that dies leaves its socket behind
	n.server = grpc.NewServer()
	cri.RegisterRuntimeServiceServer(n.server, &faultyRuntime{
		list: func(ctx context.Context) (*cri.ListPodSandboxResponse, error) {
			n.lists.Add(1)
			return (*n.list.Load())(ctx)
		},
		status: func(string) (*cri.PodSandboxStatusResponse, error) {
			return nil, errors.New("a status was asked for")
		},
	})
	go n.server.Serve(l)
}

// answers makes the runtime list pods.
func (n *node) answers(pods ...*testPod) {
	var items []*cri.PodSandbox
	for _, p := range pods {
		items = append(items, sandbox(p.id, "default", "pod-"+p.uid[:8], p.uid))
	}
	list := answer(items...)
	n.list.Store(&list)
}

// hangs makes the runtime not answer.
func (n *node) hangs() {
	list := func(ctx context.Context) (*cri.ListPodSandboxResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	n.list.Store(&list)
}

func (n *node) config() *Config {
	c := noRuntime(n.t)
	c.CRISocket, c.Protocols, c.Listen, c.TCPInfo, c.Ports = n.socket, nil, false, false, false
	return c
}

func (n *node) walker() *Walker {
	w := NewWalker(n.config())
	n.t.Cleanup(func() { w.Close() })
	return w
}

// walkEqual walks and wants what a walk says that has no past: the same records in the same order with the same families.
func (n *node) walkEqual(w *Walker) *metrics.Snapshot {
	n.t.Helper()
	s := w.Walk(n.t.Context())
	wantSameNode(n.t, Walk(n.t.Context(), w.config), s)
	return s
}

// fleeting are the families with a series for each socket, state or port that there is at the moment: on the host, others than
// a moment ago.
var fleeting = regexp.MustCompile(`^cosanet_(tcp_|listen_|ports_|proc_net_(tcp|udp|udplite|raw|icmp)$)`)

func wantSameNode(t testing.TB, want, got *metrics.Snapshot) {
	t.Helper()
	outline := func(s *metrics.Snapshot) []string {
		var lines []string
		for i := range s.Records {
			r := &s.Records[i]
			lines = append(lines, fmt.Sprintf("%+v %q", r.Sandbox, r.FailedSources()))
			for _, smp := range r.Samples {
				if smp.Metric.Name == "cosanet_walk_sandboxes" {
					lines = append(lines, fmt.Sprint(smp.Labels, smp.Value))
				}
				if smp.Metric.Name == "cosanet_sandbox_info" {
					lines = append(lines, fmt.Sprint(smp.Labels))
				}
			}
			lines = append(lines, slices.DeleteFunc(namesOf(r), fleeting.MatchString)...)
		}
		return lines
	}
	if diff := cmp.Diff(outline(want), outline(got)); diff != "" {
		t.Errorf("a walk without a past (-), this one (+):\n%s", diff)
	}
}

// wantNamed wants the record of a pod, with its name or without, and its counters.
func wantNamed(t *testing.T, s *metrics.Snapshot, p *testPod, named bool) *metrics.Record {
	t.Helper()
	r := recordOf(t, s, p.uid)
	if got := r.Sandbox.Pod == "pod-"+p.uid[:8]; got != named {
		t.Errorf("%s is called %q; named: %v, want %v", p, r.Sandbox.Pod, got, named)
	}
	if r.Sandbox.Inode == 0 {
		t.Errorf("%s: no namespace", p)
	}
	wantValue(t, r, 1, "cosanet_read_success", "snmp")
	return r
}

func wantReason(t *testing.T, s *metrics.Snapshot, want string) {
	t.Helper()
	if got := discoveryReasons(&s.Records[len(s.Records)-1])["cri"]; !mustCompile(t, want).MatchString(got) || (got == "") != (want == "") {
		t.Errorf("the runtime failed because %q, want %q", got, want)
	}
}

// end ends a pod, and waits until it has left its namespace.
func (p *testPod) end() {
	syscall.Kill(p.pid, syscall.SIGKILL)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		q, err := openProcess(p.pid)
		if err != nil {
			return
		}
		_, err = q.netInode()
		q.close()
		if err != nil {
			return
		}
	}
	p.t.Fatalf("%s lives on", p)
}

func startIdle(t testing.TB) *testPod { return startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity") }

// TestWalkerFollows pods that come and go between the walks, by one list a walk and no status.
func TestWalkerFollows(t *testing.T) {
	needsRoot(t)
	n := startNode(t)
	w := n.walker()
	n.walkEqual(w) // an empty node
	a, b, c := startIdle(t), startIdle(t), startIdle(t)
	for _, pods := range [][]*testPod{{a}, {a, b}, {a, b, c}, {b, c}, {}, {a, b, c}} {
		n.answers(pods...)
		before := n.lists.Load()
		w.Recycle(n.walkEqual(w))
		w.Recycle(n.walkEqual(w))
		if asked := n.lists.Load() - before; asked != 4 { // twice by this walker, twice by those without a past
			t.Errorf("%d lists were asked for by four walks", asked)
		}
		if len(w.byID) != len(pods) || len(w.sandboxes) != len(pods) {
			t.Errorf("%d sandboxes are remembered of %d", len(w.byID), len(pods))
		}
	}
	b.end()
	wantNamed(t, n.walkEqual(w), a, true) // the runtime has not noticed
}

// TestWalkerWithoutAnswer wants names to stay while the runtime does not answer: they are true as long as the processes
// live. What has come meanwhile is known by its cgroup.
func TestWalkerWithoutAnswer(t *testing.T) {
	needsRoot(t)
	for _, test := range []struct {
		name   string
		fail   func(*node)
		reason string
	}{
		{"it hangs", (*node).hangs, "DeadlineExceeded"},
		{"it has ended", func(n *node) { n.server.Stop() }, "connection refused"},
		{"its socket is gone", func(n *node) { n.server.Stop(); os.Remove(n.socket) }, "no container runtime socket found|permission denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := startNode(t)
			old, gone := startIdle(t), startIdle(t)
			n.answers(old, gone)
			w := n.walker()
			w.Recycle(n.walkEqual(w))

			test.fail(n)
			gone.end()
			next := startIdle(t)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			for range 2 {
				s := w.Walk(ctx)
				if ctx.Err() != nil {
					t.Fatal("the runtime has taken all of the time")
				}
				wantReason(t, s, test.reason)
				wantNamed(t, s, old, true)
				wantNamed(t, s, next, false)
				for _, r := range s.Records {
					if r.Sandbox.UID == gone.uid {
						t.Errorf("a record of %d samples for a pod that has gone", len(r.Samples))
					}
				}
				w.Recycle(s)
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), 4*time.Second)
				defer cancel()
			}

			n.server.Stop()
			os.Remove(n.socket)
			n.answers(old, next)
			n.start()
			s := n.walkEqual(w)
			wantReason(t, s, "")
			wantNamed(t, s, old, true)
			wantNamed(t, s, next, true)
		})
	}
}

// TestWalkerFiltersWithoutAnswer leaves a pod out whose name is known, though its cgroup tells nothing of that.
func TestWalkerFiltersWithoutAnswer(t *testing.T) {
	needsRoot(t)
	n := startNode(t)
	pod, hidden := startIdle(t), startIdle(t)
	n.answers(pod, hidden)
	c := n.config()
	c.PodFilter = mustCompile(t, "pod-"+pod.uid[:8])
	w := NewWalker(c)
	defer w.Close()
	for range 2 {
		s := w.Walk(t.Context())
		wantNamed(t, s, pod, true)
		wantValue(t, &s.Records[len(s.Records)-1], 1, "cosanet_walk_sandboxes", "filtered")
		for _, r := range s.Records {
			if r.Sandbox.UID == hidden.uid {
				t.Error("the pod that the filter leaves out has a record")
			}
		}
		n.server.Stop()
	}
}

// TestWalkerAfterRestart replaces the runtime between walks, in the ways that this happens.
func TestWalkerAfterRestart(t *testing.T) {
	needsRoot(t)
	n := startNode(t)
	first, second := startIdle(t), startIdle(t)
	n.answers(first)
	w := n.walker()
	wantNamed(t, n.walkEqual(w), first, true)

	n.server.Stop() // and a new one on a new socket
	os.Remove(n.socket)
	n.start()
	n.answers(first, second)
	wantNamed(t, n.walkEqual(w), second, true)

	// A new one takes the socket's name while the old still answers whoever is connected to it.
	old := n.server
	defer old.Stop()
	os.Remove(n.socket)
	n.start()
	n.answers(second)
	s := n.walkEqual(w)
	wantReason(t, s, "")
	wantNamed(t, s, second, true)
	for range 5 {
		w.Recycle(n.walkEqual(w))
	}
}

// TestWalkerIsNotFooled puts another process under the pid that was remembered of a sandbox.
func TestWalkerIsNotFooled(t *testing.T) {
	needsRoot(t, "nsenter", "unshare")
	n := startNode(t)
	pod, other := startIdle(t), startIdle(t)
	n.answers(pod)
	w := n.walker()
	own := wantNamed(t, n.walkEqual(w), pod, true).Sandbox.Inode

	inside := startPod(t, 0, "nsenter", "-t", fmt.Sprint(pod.pid), "-n", "unshare", "-n", "sleep", "infinity")
	inside.join(filepath.Join("kubepods-test-"+randomHex(8), "pod"+pod.uid, randomHex(64)))
	for _, test := range []struct {
		name string
		pid  int
	}{
		{"another pod's", other.pid},
		{"the host's", os.Getpid()},
		{"nobody's", 1 << 22},
		{"the pod's own, in a namespace that it made", inside.pid},
	} {
		w.byID[pod.id].pid = test.pid
		s := w.Walk(t.Context())
		if got := wantNamed(t, s, pod, true).Sandbox.Inode; got != own {
			t.Errorf("a process that is %s: namespace %d, want %d", test.name, got, own)
		}
		w.Recycle(s)
	}

	// The sandbox's own process dies, and the same pid becomes another pod's.
	pod.end()
	w.byID[pod.id].pid = other.pid
	s := w.Walk(t.Context())
	for _, r := range s.Records {
		if r.Sandbox.Pod != "" && r.Sandbox.Inode == inode(t, other.pid) {
			t.Errorf("%s has the namespace of another", r.Sandbox.Pod)
		}
	}
}

// TestWalkerFindsTheRestOfAPod reads a pod whose pause process has died by the process that it has left, and again after
// that one was replaced too, as in CRI-O a restarted container replaces it.
func TestWalkerFindsTheRestOfAPod(t *testing.T) {
	needsRoot(t, "nsenter")
	n := startNode(t)
	pod := startIdle(t)
	n.answers(pod)
	w := n.walker()
	own := wantNamed(t, n.walkEqual(w), pod, true).Sandbox.Inode
	last := pod
	for range 3 {
		next := startInside(t, last)
		next.join(filepath.Join("kubepods-test-"+randomHex(8), "pod"+pod.uid, randomHex(64)))
		last.end()
		last = next
		if got := wantNamed(t, n.walkEqual(w), pod, true).Sandbox.Inode; got != own {
			t.Errorf("namespace %d, want %d", got, own)
		}
	}
}
