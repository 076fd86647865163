package plugin

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A run may ask as fast as its visits need, and never slower than kubectl.
func TestPaced(t *testing.T) {
	for _, tt := range []struct {
		nodes int
		qps   float32
		burst int
	}{{1, 50, 300}, {16, 128, 300}, {32, 256, 512}, {100, 800, 1600}} {
		if qps, burst := paced(tt.nodes); qps != tt.qps || burst != tt.burst {
			t.Errorf("paced(%d) = %v, %d; want %v, %d", tt.nodes, qps, burst, tt.qps, tt.burst)
		}
	}
}

// An API server that has enough to do is asked again when it says so, whatever was asked of it and also after client-go gave
// up (ten tries), and no node fails for it.
func TestObserveTooManyRequests(t *testing.T) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	var mu sync.Mutex
	refused := map[string]int{} // by what was asked
	s.throttle = func(w http.ResponseWriter, r *http.Request) bool {
		what := r.Method + " " + path.Base(r.URL.Path)
		switch {
		case r.URL.Query().Has("watch"):
			what = "WATCH"
		case r.Method == http.MethodDelete:
			what = r.Method
		}
		mu.Lock()
		defer mu.Unlock()
		if refused[what] == 25 {
			return false
		}
		refused[what]++
		w.Header().Set("Retry-After", "0")
		answer(w, failure(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later"))
		return true
	}
	fleet, err, left := observe(t, s, c, Ask{Samples: 2})
	if err != nil || left != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
	}
	for _, what := range []string{"GET nodes", "GET pods", "GET cosanet", "POST pods", "WATCH", "GET log", "DELETE"} {
		if refused[what] != 25 {
			t.Errorf("%s was refused %d times, want 25", what, refused[what])
		}
	}
	gone(t, s, c)
}

// The API server is asked three times a node, and a few times for the run: nodes that were listed are not got, and all pods
// are seen by one watch.
func TestObserveRequests(t *testing.T) {
	var nodes []string
	for i := range 40 {
		nodes = append(nodes, fmt.Sprintf("node-%02d", i))
	}
	s, c := newAPIServer(t, nodes...), testCollection()
	s.life = []corev1.PodStatus{waitingFor("ContainerCreating", ""), waitingFor("ErrImagePull", "once"), running}
	var requests, gets atomic.Int32
	s.throttle = func(_ http.ResponseWriter, r *http.Request) bool {
		requests.Add(1)
		if strings.HasPrefix(r.URL.Path, "/api/v1/nodes/") {
			gets.Add(1)
		}
		return false
	}
	fleet, err, left := observe(t, s, c, Ask{Samples: 2})
	if err != nil || left != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
	}
	const once = 40 // lists, the watch, and the pods that were created before it was open, each asked for
	if most := int32(3*len(nodes) + once); requests.Load() > most || gets.Load() > 0 || s.watches != 1 {
		t.Errorf("%d requests for %d nodes, %d of them for a node and %d watches; want at most %d, none and one", requests.Load(), len(nodes), gets.Load(), s.watches, most)
	}
	gone(t, s, c)
}
