package plugin

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// podWatch is one watch of the API for all collector pods of a run, by their runLabel: the API server holds one connection
// for a run over a thousand nodes, and no request more for each of them. It goes on until it is closed, over the ends that
// every watch comes to.
type podWatch struct {
	client    kubernetes.Interface
	namespace string
	run       string        // value of the runLabel
	quiet     time.Duration // until a pod of which nothing is told is asked for itself

	mu      sync.Mutex
	inboxes map[string]*inbox // by the pod's name
	broken  error             // why nothing can be watched, now or later
	opened  bool              // a watch was opened, or could not be
	lapses  int               // how often it broke, or was opened anew
	stop    context.CancelFunc
	running sync.WaitGroup
}

// inbox is what the watch has to tell of one pod. Only the last state counts: what was not looked at is overwritten.
type inbox struct {
	news   chan struct{} // of capacity 1: something is in here
	since  int           // the watch's lapses when the pod was about to be created
	made   bool          // the pod was created
	pod    *corev1.Pod   // its last state, nil while there is none that was not taken
	gone   bool          // it was deleted, in that state
	missed bool          // something may have come to pass unseen: the pod itself is to be asked for
	broken error
}

// How long after the end of a watch the next is opened. It doubles while nothing comes of it.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 2 * time.Second
)

// podQuiet is how long nothing may be told of a pod that is waited for. A connection that is dead is found out by client-go, by
// HTTP/2's ping, within 45 s; but a proxy may keep a watch open, or have its answer wait for a whole that never comes, and let
// all other requests through.
const podQuiet = 5 * time.Second

// enter makes an inbox for a pod that is about to be created. The first one opens the watch: it is open, as a rule, when the
// answer to the creation comes.
func (w *podWatch) enter(name string) *inbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	in := &inbox{news: make(chan struct{}, 1), since: w.lapses}
	if w.inboxes == nil {
		w.inboxes = map[string]*inbox{}
		var ctx context.Context
		ctx, w.stop = context.WithCancel(context.Background())
		w.running.Go(func() { w.keep(ctx) })
	}
	w.inboxes[name] = in
	if w.broken != nil {
		in.broken = w.broken
		in.ring()
	}
	return in
}

// created notes that a pod is there: from now on it could be missed, and was perhaps, where the watch broke in the meantime.
func (w *podWatch) created(in *inbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	in.made = true
	if w.lapses != in.since {
		in.missed = true
		in.ring()
	}
}

// leave ends the interest in a pod.
func (w *podWatch) leave(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.inboxes, name)
}

// take empties an inbox.
func (w *podWatch) take(in *inbox) inbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := *in
	in.pod, in.gone, in.missed = nil, false, false
	if in.broken != nil {
		in.ring() // this holds on
	}
	return was
}

// close ends the watch.
func (w *podWatch) close() {
	w.mu.Lock()
	stop := w.stop
	w.mu.Unlock()
	if stop != nil {
		stop()
		w.running.Wait()
	}
}

// keep opens one watch after the other: the API server ends each after a while, and may for a time have none to give.
func (w *podWatch) keep(ctx context.Context) {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		seen, err := w.once(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !passing(err):
			w.fail(&refusedError{explainForbidden(err)})
			return
		case err != nil:
			w.miss() // until there is a watch again, the pods themselves are asked for
		case seen:
			pause = leastPause
		}
		sleep(ctx, pause)
	}
}

// passing tells whether another try may go better: the connection broke, the server has too much to do, or has forgotten
// the moment that it was asked for.
func passing(err error) bool {
	return lost(err) || apierrors.IsTooManyRequests(err) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// once is one watch, from its opening to its end. It begins with the state of all pods that are there: resource version 0 is
// any that the API server has at hand, so it need not ask etcd, and whatever comes after it is told
// (https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch).
func (w *podWatch) once(ctx context.Context) (seen bool, err error) {
	open, err := w.client.CoreV1().Pods(w.namespace).Watch(ctx, metav1.ListOptions{LabelSelector: runLabel + "=" + w.run, ResourceVersion: "0"})
	if err != nil {
		return false, err
	}
	defer open.Stop()
	w.miss()
	for {
		select {
		case <-ctx.Done():
			return seen, nil
		case event, ok := <-open.ResultChan():
			pod, isPod := event.Object.(*corev1.Pod)
			if !ok || !isPod { // the end, or an error such as 410 Gone
				return seen, nil
			}
			seen = true
			w.tell(pod, event.Type == watch.Deleted)
		}
	}
}

// tell puts a state of a pod into its inbox.
func (w *podWatch) tell(pod *corev1.Pod, gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if in := w.inboxes[pod.Name]; in != nil {
		in.pod, in.gone, in.missed = pod, gone, false
		in.ring()
	}
}

// miss tells of all pods that are there that something may have been missed: also that one was deleted.
func (w *podWatch) miss() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened {
		w.lapses++
	}
	w.opened = true
	for _, in := range w.inboxes {
		if in.made {
			in.missed = true
			in.ring()
		}
	}
}

// fail tells of all pods, and of those to come, that they cannot be watched.
func (w *podWatch) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
	for _, in := range w.inboxes {
		in.broken = err
		in.ring()
	}
}

func (in *inbox) ring() {
	select {
	case in.news <- struct{}{}:
	default: // it has rung already
	}
}
