package plugin

import (
	"math"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// mayNotGet refuses so often that a collector pod is asked for, and counts how often it is asked.
func (s *apiServer) mayNotGet(times int32) *atomic.Int32 {
	var asked atomic.Int32
	s.throttle = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasPrefix(path.Base(r.URL.Path), "cosanet-") || asked.Add(1) > times {
			return false
		}
		answer(w, failure(http.StatusForbidden, metav1.StatusReasonForbidden, `User "jane" cannot get resource "pods"`))
		return true
	}
	return &asked
}

// A pod whose creation was not answered, and which nobody may look at, is one that may be left behind: that is told, with the command
// that deletes it. Where the refusal passes, it is found.
func TestObserveCreationUnseen(t *testing.T) {
	for _, tt := range []struct {
		name     string
		refusals int32
		left     bool
	}{{"once", 1, false}, {"always", math.MaxInt32, true}} {
		t.Run(tt.name, func(t *testing.T) {
			s, c := newAPIServer(t, "a"), testCollection()
			s.created = func(w http.ResponseWriter, pod *corev1.Pod) bool {
				go s.live(pod.DeepCopy())
				w.WriteHeader(http.StatusBadGateway)
				return true
			}
			s.mayNotGet(tt.refusals)
			fleet, err, left := observe(t, s, c, Ask{})
			if err != nil {
				t.Fatal(err)
			}
			if !tt.left {
				if left != nil || fleet.failure() != nil {
					t.Errorf("%v, %v: want the pod found", fleet.failure(), left)
				}
				gone(t, s, c)
				return
			}
			if fleet.failure() == nil || left == nil || !strings.Contains(left.Error(), "kubectl delete pod -n default cosanet-") {
				t.Errorf("%v, %v: want how to delete what may be left", fleet.failure(), left)
			}
		})
	}
}
