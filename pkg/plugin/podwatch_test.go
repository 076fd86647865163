package plugin

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// However often the watch ends or is not to be had, every node's pod is seen to start.
func TestPodWatchThatEnds(t *testing.T) {
	refusals := []*metav1.Status{
		failure(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "storage is (re)initializing"),
		failure(http.StatusGone, metav1.StatusReasonExpired, "too old resource version"),
		failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "apiserver is shutting down"),
		failure(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "the request timed out"),
	}
	var nodes []string
	for i := range 20 {
		nodes = append(nodes, fmt.Sprintf("node-%02d", i))
	}
	s, c := newAPIServer(t, nodes...), testCollection()
	c.Concurrency = 4
	s.life = []corev1.PodStatus{waitingFor("ContainerCreating", ""), waitingFor("ContainerCreating", "again"), running}
	s.watching = func(w http.ResponseWriter, nth int) bool {
		switch {
		case nth <= len(refusals):
			answer(w, refusals[nth-1])
		case nth%2 == 0: // ended in order, before anything came
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
		default:
			return false
		}
		return true
	}
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || left != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
	}
	gone(t, s, c)
}

// A watch of which nothing comes, open or not, is no reason to wait: the pod itself tells how it is.
func TestPodWatchThatIsSilent(t *testing.T) {
	for name, open := range map[string]bool{"open": true, "never opened": false} {
		t.Run(name, func(t *testing.T) {
			s, c := newAPIServer(t, "a", "b"), testCollection()
			c.quiet = 100 * time.Millisecond
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			s.watching = func(w http.ResponseWriter, _ int) bool {
				if open {
					w.Header().Set("Content-Type", "application/json")
					w.(http.Flusher).Flush()
				}
				<-over
				return true
			}
			s.life = []corev1.PodStatus{waitingFor("ContainerCreating", ""), running}
			began := time.Now()
			fleet, err, left := observe(t, s, c, Ask{Samples: 2})
			if err != nil || left != nil || fleet.failure() != nil {
				t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
			}
			if took := time.Since(began); took > c.Timeout/2 {
				t.Errorf("it took %s", took)
			}
			if s.watches != 1 {
				t.Errorf("%d watches, want the silent one alone", s.watches)
			}
			gone(t, s, c)
		})
	}
}

// Who may watch pods and not get them waits for a slow node like everybody else.
func TestPodWatchThatIsSilentForWhoMayNotGet(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	c.quiet = 50 * time.Millisecond
	s.watching = func(http.ResponseWriter, int) bool {
		time.Sleep(10 * c.quiet)
		return false
	}
	asked := s.mayNotGet(math.MaxInt32)
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || left != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
	}
	if asked.Load() == 0 {
		t.Error("nobody looked at the pod in the silence")
	}
	gone(t, s, c)
}

// Of a watch that is silent it shows, too, that the pod was deleted.
func TestPodWatchThatIsSilentMissesDeletion(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	c.quiet = 100 * time.Millisecond
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	s.watching = func(http.ResponseWriter, int) bool {
		<-over
		return true
	}
	s.life = nil
	s.created = func(_ http.ResponseWriter, pod *corev1.Pod) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.pods, pod.Namespace+"/"+pod.Name)
		return false
	}
	wantGone(t, s, c)
}

// wantGone wants of a look at one node that its pod was deleted meanwhile, and that nothing is left.
func wantGone(t *testing.T, s *apiServer, c *Collection) {
	t.Helper()
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	if got := fleet.Observations[0].Err; got == nil || !strings.Contains(got.Error(), errGone.Error()) {
		t.Errorf("error %v, want %v", got, errGone)
	}
	gone(t, s, c)
}

// A pod that is deleted while nobody watches is missed when the next watch is open.
func TestPodWatchMissesDeletion(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	s.life = nil
	s.watching = func(w http.ResponseWriter, nth int) bool {
		if nth > 1 {
			return false
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return true
		}
		conn.Close()
		return true
	}
	s.created = func(_ http.ResponseWriter, pod *corev1.Pod) bool {
		s.mu.Lock()
		delete(s.pods, pod.Namespace+"/"+pod.Name)
		s.mu.Unlock()
		s.tell("DELETED", pod) // on a busy machine the next watch may be open by now
		return false
	}
	wantGone(t, s, c)
}

// Who may not watch is told so once, with the command that helps, and the nodes that were not yet asked are not.
func TestPodWatchForbidden(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "c", "d", "e", "f"), testCollection()
	c.Concurrency = 1
	s.watching = func(w http.ResponseWriter, _ int) bool {
		answer(w, failure(http.StatusForbidden, metav1.StatusReasonForbidden,
			`pods is forbidden: User "jo" cannot watch resource "pods" in API group "" in the namespace "default"`))
		return true
	}
	s.life = []corev1.PodStatus{waitingFor("ContainerCreating", "")}
	fleet, err, left := observe(t, s, c, Ask{})
	if fleet != nil || left != nil || err == nil {
		t.Fatalf("Observe = %v, %v, %v; want an error alone", fleet, err, left)
	}
	for _, part := range []string{"collector pod in namespace default: watching it: ", `cannot watch resource "pods"`, "--verb=create,get,list,watch,delete", `--user="jo"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q, want it to contain %q", err, part)
		}
	}
	if s.creates != 1 || s.watches != 1 {
		t.Errorf("%d pods were tried and %d watches, want one of each", s.creates, s.watches)
	}
	gone(t, s, c)
}
