package plugin

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// heard collects the words of a watch, and ends it when they are enough.
type heard struct {
	frames   map[string][]float64 // by node, what each frame counted
	times    map[string][]time.Time
	troubles []string
	remarks  []string
}

// follow runs a watch until enough says so.
func follow(t *testing.T, s *apiServer, c *Collection, ask Ask, span time.Duration, enough func(*heard) bool) (*heard, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	h := &heard{frames: map[string][]float64{}, times: map[string][]time.Time{}}
	err := c.Follow(ctx, s.client(t), everyNodeSelected(), ask, span, func(w word) {
		switch {
		case w.snapshot != nil:
			for i := range w.snapshot.Records {
				if v, ok := w.snapshot.Records[i].Value("cosanet_conntrack_curr"); ok {
					h.frames[w.node] = append(h.frames[w.node], v)
				}
			}
			h.times[w.node] = append(h.times[w.node], w.snapshot.Time)
		case w.remark != "":
			h.remarks = append(h.remarks, w.node+": "+w.remark)
		case w.err != nil:
			h.troubles = append(h.troubles, w.node+": "+w.err.Error())
		}
		if enough != nil && enough(h) {
			cancel()
		}
	})
	if ctx.Err() == context.DeadlineExceeded {
		t.Errorf("after 30 s: %+v", h)
	}
	if left := c.ledger.settle(); left != nil {
		t.Error(left)
	}
	gone(t, s, c)
	return h, err
}

func frames(node string, n int) func(*heard) bool {
	return func(h *heard) bool { return len(h.frames[node]) >= n }
}

// A log that is cut is read again from about where it was, and no frame is handed out twice or is missing.
func TestFollowReadsTheLogAgain(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	counts := newCounter(t, 20*time.Millisecond)
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, reading int) {
		switch reading {
		case 1: // cut inside the third frame
			counts.write(w, pod, 1, 2)
			w.Write(counts.frame(pod, 3)[:200])
		case 2: // what was asked for begins inside the first frame
			frame := counts.frame(pod, 1)
			w.Write(frame[len(frame)-150:])
			counts.write(w, pod, 2, 5)
		default:
			counts.write(w, pod, 4, 1000)
		}
	}
	h, err := follow(t, s, c, Ask{Interval: counts.interval}, 0, frames("a", 12))
	if err != nil || len(h.troubles) > 0 {
		t.Errorf("error %v, troubles %q", err, h.troubles)
	}
	for i, v := range h.frames["a"] {
		if v != float64(i+1) {
			t.Fatalf("frames %v, want each once", h.frames["a"])
		}
	}
	if s.creates != 1 {
		t.Errorf("%d pods, want one for the whole watch", s.creates)
	}
	if since := s.asked[len(s.asked)-1].Get("sinceTime"); since == "" || s.asked[0].Has("sinceTime") {
		t.Errorf("the log was asked for by %v: want all of it first, then what came since the last frame", s.asked)
	}
}

// A log that is opened again and of which nothing comes, not even that it is open, is given up and opened once more.
func TestFollowLogThatIsSilent(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	c.Timeout = time.Second
	counts := newCounter(t, 20*time.Millisecond)
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	s.life = []corev1.PodStatus{running, exited(0, "")} // what is worth another reading shows at once
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, reading int) {
		switch reading {
		case 1:
			counts.write(w, pod, 1, 2)
		case 2:
			<-over
		default:
			counts.write(w, pod, 2, 1000)
		}
	}
	h, err := follow(t, s, c, Ask{Interval: counts.interval}, 0, frames("a", 6))
	if err != nil || len(h.troubles) > 0 || s.creates != 1 {
		t.Errorf("error %v, troubles %q, %d pods; want the log of the one pod to be read on", err, h.troubles, s.creates)
	}
	for i, v := range h.frames["a"] {
		if v != float64(i+1) {
			t.Fatalf("frames %v, want each once", h.frames["a"])
		}
	}
}

// A pod whose life is about to end is relieved by the next one, without a gap.
func TestFollowRelieves(t *testing.T) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	counts := newCounter(t, 20*time.Millisecond)
	c.podLife = 600 * time.Millisecond
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { counts.write(w, pod, 1, 1000) }
	pods := func(h *heard) int { // every pod counts from 1
		n := 0
		for _, v := range h.frames["a"] {
			if v <= 2 {
				n++
			}
		}
		return n
	}
	h, err := follow(t, s, c, Ask{Interval: counts.interval}, 0, func(h *heard) bool { return pods(h) > 6 && len(h.frames["b"]) > 60 })
	if err != nil || len(h.troubles) > 0 {
		t.Errorf("error %v, troubles %q", err, h.troubles)
	}
	for node, times := range h.times {
		for i := 1; i < len(times); i++ {
			if between := times[i].Sub(times[i-1]); between < counts.interval/2 {
				t.Errorf("node %s: frame %d is %s after the one before", node, i, between)
			}
		}
	}
	if most := 2 * 2; s.most > most+2 { // deletions take a moment
		t.Errorf("%d pods at the same time on 2 nodes", s.most)
	}
}

// A pod that dies is replaced, and why is said.
func TestFollowReplaces(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	counts := newCounter(t, 20*time.Millisecond)
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
		s.mu.Lock()
		first := s.creates == 1
		s.mu.Unlock()
		if first {
			counts.write(w, pod, 1, 3)
			s.step(pod.DeepCopy(), exited(1, "killed by a test"))
			return
		}
		counts.write(w, pod, 1, 1000)
	}
	h, err := follow(t, s, c, Ask{Interval: counts.interval}, 0, frames("a", 6))
	if err != nil || len(h.troubles) != 1 || !strings.Contains(h.troubles[0], "killed by a test") {
		t.Errorf("error %v, troubles %q, want that of the first pod", err, h.troubles)
	}
	if s.creates != 2 {
		t.Errorf("%d pods, want 2", s.creates)
	}
}

// A span ends by itself, with as many frames of each node as it takes.
func TestFollowForASpan(t *testing.T) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	counts := newCounter(t, 50*time.Millisecond)
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { counts.write(w, pod, 1, 1000) }
	h, err := follow(t, s, c, Ask{Interval: counts.interval}, 250*time.Millisecond, nil)
	if err != nil || len(h.frames["a"]) != 6 || len(h.frames["b"]) != 6 {
		t.Errorf("error %v, frames %v, want 6 of each node", err, h.frames)
	}
}

// Where an exporter runs it is asked at the interval, and no pod is made; one that fails meanwhile is relieved by a pod.
func TestFollowExporters(t *testing.T) {
	s, c := exporting(t)
	counts := newCounter(t, 20*time.Millisecond)
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { counts.write(w, pod, 1, 1000) }
	s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) {
		if nodeOfProxied(r) == "b" && nth > 8 {
			http.Error(w, "going away", http.StatusServiceUnavailable)
			return
		}
		w.Write(scrapeOf(nodeOfProxied(r), nth, countsDefault))
	}
	h, err := follow(t, s, c, Ask{Metrics: metrics.Default, Interval: counts.interval}, 0, func(h *heard) bool {
		return len(h.frames["a"]) > 8 && len(h.frames["b"]) > 12
	})
	if err != nil || len(h.troubles) > 0 {
		t.Errorf("error %v, troubles %q", err, h.troubles)
	}
	if s.creates != 1 || len(h.remarks) != 1 || !strings.HasPrefix(h.remarks[0], "b: asked by a pod, since ") {
		t.Errorf("%d pods, want one on node b; remarks %q", s.creates, h.remarks)
	}
}

// What concerns all nodes ends the watch; what concerns one is said, and the others go on.
func TestFollowFailures(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		s, c := newAPIServer(t, "a", "b"), testCollection()
		s.admit = func(*corev1.Pod) *metav1.Status {
			return failure(http.StatusForbidden, metav1.StatusReasonForbidden, `violates PodSecurity "baseline:latest"`)
		}
		if _, err := follow(t, s, c, Ask{Interval: time.Second}, 0, nil); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
			t.Errorf("error %v, want that of the refusal", err)
		}
	})
	t.Run("one of two", func(t *testing.T) {
		s, c := newAPIServer(t, "a", "b"), testCollection()
		counts := newCounter(t, 20*time.Millisecond)
		s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
			if pod.Spec.NodeName == "b" {
				s.step(pod.DeepCopy(), exited(1, "no such thing"))
				return
			}
			counts.write(w, pod, 1, 1000)
		}
		h, err := follow(t, s, c, Ask{Interval: counts.interval}, 0, func(h *heard) bool { return len(h.frames["a"]) > 5 && len(h.troubles) > 0 })
		if err != nil || len(h.frames["b"]) > 0 || !strings.HasPrefix(h.troubles[0], "b: ") {
			t.Errorf("error %v, heard %+v", err, h)
		}
	})
}
