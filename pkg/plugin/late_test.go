package plugin

import (
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A kubelet that is away for long, or only for a moment.
func TestObserveSilentKubelet(t *testing.T) {
	for _, tt := range []struct {
		name string
		harm func(s *apiServer, c *Collection)
		want []string // parts of the node's error; none: it goes well
	}{
		{"no answer of the kubelet", func(s *apiServer, c *Collection) {
			c.Timeout = 3 * time.Second
			s.life = []corev1.PodStatus{{}}
			s.log = func(w http.ResponseWriter, _ *corev1.Pod, _ int) {
				answer(w, failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "dial tcp 192.0.2.1:10250: connect: connection refused"))
			}
		}, []string{"no answer within 3s, last waiting for the kubelet: the kubelet does not answer the API server: dial tcp 192.0.2.1:10250", "kubectl describe node a"}},
		{"kubelet that hangs", func(s *apiServer, c *Collection) {
			c.Timeout = 3 * time.Second
			s.log = func(w http.ResponseWriter, _ *corev1.Pod, _ int) { time.Sleep(shortPatience + time.Second) }
		}, []string{"no answer within 3s, last counting: the kubelet does not answer the API server: it hangs or is cut off", "kubectl describe node a"}},
		{"kubelet restarted", func(s *apiServer, _ *Collection) {
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, reading int) {
				if reading <= 2 {
					answer(w, failure(http.StatusInternalServerError, metav1.StatusReasonInternalError, "dial tcp 192.0.2.1:10250: connect: connection refused"))
					return
				}
				w.Write(framesOf(pod))
			}
			s.life = []corev1.PodStatus{running, exited(0, "")}
		}, nil},
		{"pod deleted after its end", func(s *apiServer, _ *Collection) {
			s.life = []corev1.PodStatus{running, exited(0, "")}
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
				s.mu.Lock()
				delete(s.pods, pod.Namespace+"/"+pod.Name)
				s.mu.Unlock()
				notFound(w, "pods", pod.Name)
			}
		}, []string{"somebody deleted it"}},
	} {
		t.Run(tt.name, func(t *testing.T) { harmed(t, tt.harm, tt.want) })
	}
}

// The event that was seen last is not the last one of a listing.
func TestLatestEvent(t *testing.T) {
	at := func(second int) time.Time { return began.Add(time.Duration(second) * time.Second) }
	counted := corev1.Event{Reason: "counted", FirstTimestamp: metav1.NewTime(at(1)), LastTimestamp: metav1.NewTime(at(20)), Count: 9}
	once := corev1.Event{Reason: "once", EventTime: metav1.NewMicroTime(at(10))}
	series := corev1.Event{Reason: "series", EventTime: metav1.NewMicroTime(at(2)), Series: &corev1.EventSeries{Count: 3, LastObservedTime: metav1.NewMicroTime(at(30))}}
	for _, test := range []struct {
		events []corev1.Event
		want   string
	}{
		{[]corev1.Event{once}, "once"},
		{[]corev1.Event{counted, once}, "counted"},
		{[]corev1.Event{series, counted, once}, "series"},
		{[]corev1.Event{once, {Reason: "without a time"}}, "once"},
	} {
		if got := latest(test.events).Reason; got != test.want {
			t.Errorf("%s, want %s", got, test.want)
		}
	}
}
