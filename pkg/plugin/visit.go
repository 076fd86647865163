package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// afterlife is how long a request that must not be given up may go on after the run was interrupted.
const afterlife = 10 * time.Second

// deletionTime is how long the deletion of a pod may take: the API server may have to be asked again and again, where it has
// too much to do. Who cannot wait ends the process by a second signal.
const deletionTime = 30 * time.Second

// visit is one collector pod on one node, from before its creation until after its deletion.
type visit struct {
	client   kubernetes.Interface
	ledger   *Ledger
	progress *progress
	order    *order
	decoding decoding
	refusals map[string]error        // of the nodes that were listed
	watched  *podWatch               // of all pods of the run
	inbox    *inbox                  // what it tells of this one
	pod      *corev1.Pod             // as the API server made it; nil before
	doing    string                  // what is being waited for
	take     func(*metrics.Snapshot) // is given every frame as it comes
	doings   func(string)            // is told what is being waited for; nil: nobody

	// What has come of the log.
	came     int       // number of the last frame
	last     time.Time // when it was begun, by the node's clock
	numbered bool      // the collector numbers its frames
	stale    bool      // reading from that time on brought nothing
}

// observe makes the pod, reads all that it counts and deletes it, whatever happens in between.
func (v *visit) observe(ctx context.Context) Observation {
	o := Observation{Node: v.order.node}
	v.take = func(s *metrics.Snapshot) { o.Snapshots = append(o.Snapshots, s) }
	if err := v.attend(ctx); err != nil {
		return Observation{Node: v.order.node, Err: err}
	}
	v.order.ask.reduce(o.Snapshots)
	return o
}

// attend makes the pod, hands out what it counts as it comes, and deletes it. Patience, where there is any, is how long the
// first frame may take, else all of them may take as long as the pod.
func (v *visit) attend(ctx context.Context) error {
	timed, cancel := context.WithTimeout(ctx, v.order.timeout)
	defer cancel()
	defer v.remove()
	if v.order.patience > 0 {
		late, take := time.AfterFunc(v.order.patience, cancel), v.take
		defer late.Stop()
		v.take = func(s *metrics.Snapshot) {
			late.Stop()
			take(s)
		}
	}
	err := v.run(timed)
	if err != nil && timed.Err() != nil && ctx.Err() == nil {
		return v.late(ctx)
	}
	return err
}

// run leaves the pod to be removed, and does not name it in its errors: it is deleted when they are read, and nodes with one
// trouble can be told as one.
func (v *visit) run(ctx context.Context) error {
	v.say("checking the node")
	if err := v.checkNode(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	v.inbox = v.watched.enter(v.order.name)
	defer v.watched.leave(v.order.name)
	v.say("creating the collector pod")
	if err := v.create(ctx); err != nil {
		return err
	}
	v.watched.created(v.inbox)
	if err := v.start(ctx); err != nil {
		return fmt.Errorf("collector pod in namespace %s: %w", v.order.namespace, err)
	}
	if v.order.pullOnly {
		return v.ran(ctx)
	}
	v.say("counting")
	if err := v.stream(ctx); err != nil {
		return fmt.Errorf("collector pod in namespace %s: %w", v.order.namespace, err)
	}
	return nil
}

// checkNode refuses a node that could not run a collector: by what a listing of all nodes said, else by asking for it.
func (v *visit) checkNode(ctx context.Context) error {
	if refusal, ok := v.refusals[v.order.node]; ok {
		return refusal
	}
	return preflight(ctx, v.client, v.order.node)
}

func (v *visit) say(doing string) {
	v.doing = doing
	v.progress.say(v.order.node, doing)
	if v.doings != nil {
		v.doings(doing)
	}
}

func (v *visit) ref() PodRef { return PodRef{v.order.namespace, v.order.name} }

func (v *visit) pods() typedcorev1.PodInterface { return v.client.CoreV1().Pods(v.order.namespace) }

// create makes the pod. An interruption does not stop the request: only its answer tells what there is to delete.
func (v *visit) create(ctx context.Context) error {
	ctx, cancel := outliving(ctx, afterlife)
	defer cancel()
	asked := v.order.pod()
	v.ledger.enter(v.ref())
	pod, err := v.ensure(ctx, asked)
	if err != nil && lost(err) { // its name is this run's alone: asking once more makes no second pod
		pod, err = v.ensure(ctx, asked)
	}
	if err != nil && !lost(err) {
		v.ledger.strike(v.ref()) // a clear no: it never was
	}
	if err != nil {
		return fmt.Errorf("creating collector pod %s: %w", v.ref(), explainCreate(err, asked))
	}
	v.pod = pod
	if changes := altered(asked, pod); len(changes) > 0 {
		return advise(fmt.Errorf("a webhook of the cluster changed collector pod %s: %s", v.ref(), strings.Join(changes, ", ")), "%s", exempt)
	}
	return nil
}

// ensure asks for the pod, and looks for it where the answer does not say whether it was made.
func (v *visit) ensure(ctx context.Context, asked *corev1.Pod) (pod *corev1.Pod, err error) {
	err = patiently(ctx, func() (err error) {
		pod, err = v.pods().Create(ctx, asked, metav1.CreateOptions{})
		return err
	})
	if err != nil && (lost(err) || apierrors.IsAlreadyExists(err)) {
		return v.find(ctx, err)
	}
	return pod, err
}

// find looks for the pod of this very run after the answer to its creation was lost. It looks again: what the API
// server was asked may come to pass after the connection broke.
func (v *visit) find(ctx context.Context, lost error) (*corev1.Pod, error) {
	var pod *corev1.Pod
	err := again(ctx, func() (err error) {
		pod, err = v.pods().Get(ctx, v.order.name, metav1.GetOptions{})
		return err
	})
	switch {
	case err == nil && pod.Annotations[runIDAnnotation] == v.order.run:
		return pod, nil
	case err == nil || apierrors.IsNotFound(err):
		return nil, lost
	}
	// In words alone: that it was refused to look is an answer, but none to whether the pod was made.
	return nil, fmt.Errorf("%v; and looking if it exists: %v", lost, err)
}

// remove deletes the pod in the background, under a context of its own: on every way out, also that of an interruption.
func (v *visit) remove() {
	if !v.ledger.has(v.ref()) {
		return
	}
	v.ledger.remove(v.ref(), func() error {
		ctx, cancel := context.WithTimeout(context.Background(), deletionTime)
		defer cancel()
		if v.pod != nil {
			return deletePod(ctx, v.client, v.pod)
		}
		pod, err := v.find(ctx, errNoAnswer)
		switch {
		case pod != nil:
			return deletePod(ctx, v.client, pod)
		case err == errNoAnswer: // it is not there
			return nil
		}
		return undeleted(v.ref(), err)
	})
}

// deletePod deletes exactly this pod, not one that got its name later. It is gone when deletePod returns: the collector
// ends with its last frame or at its own deadline, so there is nothing whose end would have to be waited for.
func deletePod(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	now, background := int64(0), metav1.DeletePropagationBackground
	opts := metav1.DeleteOptions{
		GracePeriodSeconds: &now,
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
		PropagationPolicy:  &background,
	}
	err := again(ctx, func() error { return client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, opts) })
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: another pod has its name by now
		return nil
	}
	return undeleted(PodRef{pod.Namespace, pod.Name}, err)
}

func undeleted(pod PodRef, err error) error {
	return advise(fmt.Errorf("deleting collector pod %s: %w", pod, err), "kubectl delete pod -n %s %s", pod.Namespace, pod.Name)
}

// again does a request once more, and at last a third time, while it cannot be known if it was done. NotFound counts
// as such: the object may be about to come.
func again(ctx context.Context, request func() error) error {
	err := patiently(ctx, request)
	for _, pause := range []time.Duration{200 * time.Millisecond, time.Second} {
		if err == nil || !lost(err) && !apierrors.IsNotFound(err) || !sleep(ctx, pause) {
			return err
		}
		err = patiently(ctx, request)
	}
	return err
}

// patiently does a request again for as long as the API server has too much to do (API priority and fairness). By then
// client-go has done it ten times, and waited before each for as long as the answer's Retry-After said.
func patiently(ctx context.Context, request func() error) error {
	for {
		err := request()
		if !apierrors.IsTooManyRequests(err) || !sleep(ctx, leastPause) {
			return err
		}
	}
}

// sleep returns false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// outliving returns a context that ends so much later than ctx is cancelled.
func outliving(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}

// errNoAnswer is the error of a creation of which nothing is known.
var errNoAnswer = errors.New("no answer")
