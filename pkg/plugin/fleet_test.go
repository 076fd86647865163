package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func testCollection() *Collection {
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	c := newCollection(&factory{streams: streams, build: Build{Version: "v0.1.0", Image: "collector:v0.1.0"}, ledger: new(Ledger)})
	c.Timeout = 10 * time.Second
	return c
}

func everyNodeSelected() Selection {
	return Selection{Labels: labels.Everything(), Fields: fields.Everything(), AllNodes: true}
}

// observe runs once over every node and settles.
func observe(t *testing.T, s *apiServer, c *Collection, ask Ask) (*Fleet, error, error) {
	t.Helper()
	fleet, err := c.Observe(t.Context(), s.client(t), everyNodeSelected(), ask)
	return fleet, err, c.ledger.settle()
}

// gone checks that nothing is left of a run, on the server and in the ledger.
func gone(t *testing.T, s *apiServer, c *Collection) {
	t.Helper()
	if left := s.left(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if text := c.ledger.Farewell(); text != "" {
		t.Errorf("the ledger still has: %s", text)
	}
}

func TestObserve(t *testing.T) {
	s, c := newAPIServer(t, "b", "a"), testCollection()
	fleet, err, left := observe(t, s, c, Ask{Samples: 2, Interval: time.Millisecond})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	for i, node := range []string{"a", "b"} {
		o := fleet.Observations[i]
		if o.Node != node || o.Err != nil || len(o.Snapshots) != 2 || o.Snapshots[1].Records[0].Sandbox.Node != node {
			t.Errorf("observation %d: %+v, want two snapshots of node %s", i, o, node)
		}
	}
	gone(t, s, c)
	if len(s.deletes) != 2 {
		t.Errorf("%d pods deleted, want 2", len(s.deletes))
	}
	for key, opts := range s.deletes {
		_, name, _ := strings.Cut(key, "/")
		if opts.Preconditions == nil || string(*opts.Preconditions.UID) != "uid-of-"+name || *opts.GracePeriodSeconds != 0 {
			t.Errorf("%s deleted with %+v, want its UID as a precondition and no grace", key, opts)
		}
	}
}

func TestObserveSoManyAtATime(t *testing.T) {
	var nodes []string
	for i := range 12 {
		nodes = append(nodes, fmt.Sprintf("node-%02d", i))
	}
	s, c := newAPIServer(t, nodes...), testCollection()
	c.Concurrency = 3
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	for _, o := range fleet.Observations {
		if o.Err != nil {
			t.Error(o.Err)
		}
	}
	// The deletion of one pod may overlap with the creation of the next.
	if s.most > 2*c.Concurrency {
		t.Errorf("%d collector pods at the same time, want at most 3 and those being deleted", s.most)
	}
	gone(t, s, c)
}

// What goes wrong on one node is told in its words, and nothing is left behind.
func TestObserveFailures(t *testing.T) {
	cut := func(w http.ResponseWriter) { // the connection breaks
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}
	for _, tt := range []struct {
		name string
		harm func(s *apiServer, c *Collection)
		want []string // parts of the node's error; none: it goes well
	}{
		{"answer to create lost", func(s *apiServer, _ *Collection) {
			s.created = func(w http.ResponseWriter, pod *corev1.Pod) bool {
				go s.live(pod.DeepCopy())
				cut(w)
				return true
			}
		}, nil},
		{"answer to create lost at a gateway", func(s *apiServer, _ *Collection) {
			s.created = func(w http.ResponseWriter, pod *corev1.Pod) bool {
				go s.live(pod.DeepCopy())
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
		}, nil},
		{"never created", func(s *apiServer, _ *Collection) {
			s.admit = func(*corev1.Pod) *metav1.Status {
				return failure(500, metav1.StatusReasonInternalError, "etcdserver: no leader")
			}
		}, []string{"creating collector pod default/cosanet-", "etcdserver: no leader"}},
		{"created for somebody else", func(s *apiServer, _ *Collection) {
			s.admit = func(pod *corev1.Pod) *metav1.Status {
				other := pod.DeepCopy()
				other.Namespace, other.Annotations, other.Labels = "default", nil, nil
				s.put(other)
				return failure(409, metav1.StatusReasonAlreadyExists, fmt.Sprintf("pods %q already exists", pod.Name))
			}
		}, []string{"already exists"}},
		{"stripped by a webhook", func(s *apiServer, _ *Collection) {
			s.admit = func(pod *corev1.Pod) *metav1.Status {
				pod.Spec.HostPID, pod.Spec.Containers[0].SecurityContext = false, nil
				return nil
			}
		}, []string{"a webhook of the cluster changed collector pod default/cosanet-", "hostPID is false, not true", "securityContext.privileged is <nil>, not true"}},
		{"watch cut, then too old, then ended", func(s *apiServer, _ *Collection) {
			s.watching = func(w http.ResponseWriter, nth int) bool {
				switch nth {
				case 1:
					cut(w)
				case 2:
					answer(w, failure(410, metav1.StatusReasonExpired, "too old resource version: 1 (7)"))
				case 3:
					fmt.Fprint(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","code":410,"reason":"Expired"}}`)
				}
				return nth <= 3
			}
		}, nil},
		{"image not to be had", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{waitingFor("ContainerCreating", ""), waitingFor("ErrImagePull", "no such host"), waitingFor("ImagePullBackOff", "Back-off pulling")}
		}, []string{"ImagePullBackOff: Back-off pulling", "--image-pull-secret"}},
		{"deleted while it waits", func(s *apiServer, _ *Collection) {
			s.life = nil
			s.created = func(_ http.ResponseWriter, pod *corev1.Pod) bool {
				go func() {
					for !s.watched(pod) { // as it will be, or the test fails
						time.Sleep(time.Millisecond)
					}
					s.mu.Lock()
					delete(s.pods, pod.Namespace+"/"+pod.Name)
					s.mu.Unlock()
					s.tell("DELETED", pod)
				}()
				return false
			}
		}, []string{"somebody deleted it"}},
		{"no answer in time", func(s *apiServer, c *Collection) {
			c.Timeout = 3 * time.Second
			s.life = []corev1.PodStatus{waitingFor("ContainerCreating", "")}
			s.events = []corev1.Event{{Reason: "FailedCreatePodSandBox", Message: "no runtime for \"kata\" is configured"}}
			s.log = func(w http.ResponseWriter, _ *corev1.Pod, _ int) {
				answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "the container is waiting to start: ContainerCreating"))
			}
		}, []string{"no answer within 3s, last ", ": FailedCreatePodSandBox: no runtime", "kubectl get events -n default", "--timeout"}},
		{"log cut once", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, reading int) {
				frames := framesOf(pod)
				if reading == 1 {
					frames = frames[:len(frames)-20]
				}
				w.Write(frames)
			}
		}, nil},
		{"log not there yet", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, reading int) {
				if reading == 1 {
					answer(w, failure(400, metav1.StatusReasonBadRequest, `container "collector" in pod "x" is waiting to start: ContainerCreating`))
					return
				}
				w.Write(framesOf(pod))
			}
		}, nil},
		{"log never whole", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { w.Write(framesOf(pod)[:40]) }
		}, []string{"its log did not come whole in 3 readings: the stream is not whole"}},
		{"log of another run", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
				w.Write(bytes.ReplaceAll(framesOf(pod), []byte("run="), []byte("run=x")))
			}
		}, []string{"it is of run \"x"}},
		{"one frame of two", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
				frames := framesOf(pod)
				w.Write(frames[:bytes.Index(frames, []byte("# EOF\n"))+6])
			}
		}, []string{"1 of 2 frames"}},
		{"collector fails", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(1, "cosanet-collector: error: reading /proc: permission denied\n")}
			s.log = func(w http.ResponseWriter, _ *corev1.Pod, _ int) {
				io.WriteString(w, "cosanet-collector: error: reading /proc: permission denied\n")
			}
		}, []string{"the collector failed (exit code 1): cosanet-collector: error: reading /proc: permission denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) { harmed(t, tt.harm, tt.want) })
	}
}

// harmed observes one node while something is wrong. It wants all parts of want in the node's error, and where there are none
// both of its samples; and in any case no pod left.
func harmed(t *testing.T, harm func(*apiServer, *Collection), want []string) {
	t.Parallel()
	s, c := newAPIServer(t, "a"), testCollection()
	harm(s, c)
	fleet, err, left := observe(t, s, c, Ask{Samples: 2})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	got := fleet.Observations[0].Err
	if len(want) == 0 && (got != nil || len(fleet.Observations[0].Snapshots) != 2) {
		t.Errorf("error %v and %d snapshots, want none and 2", got, len(fleet.Observations[0].Snapshots))
	}
	for _, part := range want {
		if got == nil || !strings.Contains(got.Error(), part) {
			t.Errorf("error %v, want it to contain %q", got, part)
		}
	}
	gone(t, s, c)
}

func waitingFor(reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: collectorName, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
	}}}
}

// What holds for every node is said once, and not tried on the others.
func TestObserveRefused(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "c", "d", "e", "f"), testCollection()
	c.Concurrency = 1
	s.admit = func(pod *corev1.Pod) *metav1.Status {
		return failure(403, metav1.StatusReasonForbidden, fmt.Sprintf("pods %q is forbidden: violates PodSecurity \"baseline:latest\": host namespaces", pod.Name))
	}
	fleet, err, left := observe(t, s, c, Ask{})
	if fleet != nil || err == nil || left != nil || !strings.Contains(err.Error(), "kubectl label namespace default pod-security.kubernetes.io/enforce=privileged --overwrite") {
		t.Errorf("Observe = %v, %v, %v; want only an error that says how to label the namespace", fleet, err, left)
	}
	if s.creates != 1 {
		t.Errorf("%d pods tried, want 1", s.creates)
	}
	gone(t, s, c)
}

func TestObserveWithoutAPIServer(t *testing.T) {
	s, c := newAPIServer(t), testCollection()
	c.Timeout = 50 * time.Millisecond
	block := make(chan struct{})
	s.listable = func(string) *metav1.Status { <-block; return nil }
	_, err := c.Observe(t.Context(), s.client(t), everyNodeSelected(), Ask{})
	close(block)
	if err == nil || !strings.HasPrefix(err.Error(), "the API server did not answer within 50ms\n") {
		t.Errorf("a server that is silent: %v", err)
	}
	s.url = "http://127.0.0.1:1" // nothing listens on tcpmux
	c.Timeout = time.Second
	_, err = c.Observe(t.Context(), s.client(t), everyNodeSelected(), Ask{})
	if err == nil || !strings.HasPrefix(err.Error(), "listing nodes: Get ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("no server: %v", err)
	}
}

// One node that fails does not take the others with it.
func TestObserveSomeNodes(t *testing.T) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	sel := everyNodeSelected()
	sel.AllNodes, sel.Nodes = false, []string{"a", "nosuch", "b", "a"}
	fleet, err := c.Observe(t.Context(), s.client(t), sel, Ask{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range fleet.Observations {
		got = append(got, fmt.Sprintf("%s %d %v", o.Node, len(o.Snapshots), o.Err))
	}
	want := []string{"a 1 <nil>", "b 1 <nil>", "nosuch 0 nodes \"nosuch\" not found\n  kubectl get nodes"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
	if err := c.ledger.settle(); err != nil {
		t.Error(err)
	}
	gone(t, s, c)
}

func TestObserveInterrupted(t *testing.T) {
	for _, moment := range []string{"creating", "waiting", "reading"} {
		t.Run(moment, func(t *testing.T) {
			s, c := newAPIServer(t, "a", "b"), testCollection()
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			switch moment {
			case "creating":
				s.created = func(http.ResponseWriter, *corev1.Pod) bool { interrupt(); return false }
			case "waiting":
				s.life = []corev1.PodStatus{waitingFor("ContainerCreating", "")}
				s.created = func(http.ResponseWriter, *corev1.Pod) bool {
					time.AfterFunc(100*time.Millisecond, interrupt)
					return false
				}
			case "reading":
				s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
					w.Write(framesOf(pod)[:50])
					w.(http.Flusher).Flush()
					interrupt()
					<-ctx.Done()
				}
			}
			fleet, err := c.Observe(ctx, s.client(t), everyNodeSelected(), Ask{})
			if fleet != nil || !errors.Is(err, context.Canceled) || ExitCode(err) != ExitInterrupted {
				t.Errorf("Observe = %v, %v; want context.Canceled alone", fleet, err)
			}
			if err := c.ledger.settle(); err != nil {
				t.Error(err)
			}
			gone(t, s, c)
		})
	}
}

// A pod that cannot be deleted is named, with the command for it.
func TestObserveCannotDelete(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	s.deletable = func(pod *corev1.Pod) *metav1.Status {
		return failure(403, metav1.StatusReasonForbidden, fmt.Sprintf("pods %q is forbidden", pod.Name))
	}
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || fleet.Observations[0].Err != nil {
		t.Fatalf("Observe: %v, %v; want what was counted all the same", err, fleet)
	}
	pod := c.ledger.Open()[0]
	command := "kubectl delete pod -n default " + pod.Name
	if left == nil || !strings.Contains(left.Error(), pod.String()) || !strings.Contains(left.Error(), command) {
		t.Errorf("settle = %v, want %s", left, command)
	}
	if text := c.ledger.Farewell(); !strings.Contains(text, command) {
		t.Errorf("Farewell = %q, want %s", text, command)
	}
	if err := c.ledger.settle(); err != nil {
		t.Errorf("settle said it twice: %v", err)
	}
}

// The API server fails for a moment just when the pod is to be deleted.
func TestObserveDeletesAgain(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	tries := 0
	s.deletable = func(*corev1.Pod) *metav1.Status {
		if tries++; tries < 3 {
			return failure(503, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down")
		}
		return nil
	}
	if _, err, left := observe(t, s, c, Ask{}); err != nil || left != nil {
		t.Errorf("Observe: %v, %v", err, left)
	}
	gone(t, s, c)
}
