package plugin

import (
	"net/http"
	"sync/atomic"
	"testing"

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

// An API server that has enough to do is asked again when it says so, and no node fails for it.
func TestObserveTooManyRequests(t *testing.T) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	var refused atomic.Int32
	s.throttle = func(w http.ResponseWriter, r *http.Request) bool {
		if refused.Add(1)%2 == 0 {
			return false
		}
		w.Header().Set("Retry-After", "0")
		answer(w, failure(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests, "too many requests, please try again later"))
		return true
	}
	fleet, err, left := observe(t, s, c, Ask{Samples: 2})
	if err != nil || left != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
	}
	if refused.Load() < 10 {
		t.Errorf("%d requests came: nothing was asked again", refused.Load())
	}
	gone(t, s, c)
}
