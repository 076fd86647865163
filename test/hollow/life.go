package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const (
	// relist is how long it takes the kubelet to see that a container has ended: half of its period, on average
	// (pkg/kubelet: plegRelistPeriod).
	relist = 500 * time.Millisecond
	// pullBackOff is how long after a failed pull the kubelet looks again and says that it waits (pkg/kubelet: backOffPeriod).
	pullBackOff = 10 * time.Second
)

// life is a pod of somebody else's on a hollow node, from its arrival on.
type life struct {
	fleet   *fleet
	node    *node
	pod     *corev1.Pod
	program program
	ip      netip.Addr // that it serves something at; not valid where it does not
	forget  func()     // ends the life when the pod is gone

	once    sync.Once
	leaving chan struct{} // closed when it is to be deleted
	grace   time.Duration

	mu      sync.Mutex
	started time.Time // zero: it waits
	ended   time.Time // zero: it runs
}

func newLife(f *fleet, n *node, pod *corev1.Pod) *life {
	return &life{fleet: f, node: n, pod: pod, program: programOf(pod), leaving: make(chan struct{})}
}

// leave is called when the pod is to be deleted, perhaps more than once.
func (l *life) leave(pod *corev1.Pod) {
	l.once.Do(func() {
		if pod.DeletionGracePeriodSeconds != nil {
			l.grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
		}
		close(l.leaving)
	})
}

func (l *life) times() (started, ended time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started, l.ended
}

// live does with the pod what a kubelet does, until it is gone.
func (l *life) live(ctx context.Context) {
	err := l.run(ctx)
	if errors.Is(err, errLeaving) {
		err = l.end(ctx)
	}
	if err != nil && ctx.Err() == nil {
		l.fleet.progress.step("%v", err)
	}
}

// errLeaving says that the pod is to be deleted.
var errLeaving = errors.New("it is to be deleted")

// wait waits, unless the pod is to be deleted or gone before.
func (l *life) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-l.leaving:
		return errLeaving
	default:
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-l.leaving:
		return errLeaving
	case <-time.After(d):
		return nil
	}
}

// forever waits until the pod is to be deleted or gone.
func (l *life) forever(ctx context.Context) error { return l.wait(ctx, 1<<62) }

func (l *life) stage() stage {
	s := stage{host: l.node.address, arrived: metav1.NewTime(time.Now())}
	if l.pod.Status.StartTime != nil { // a kubelet before this one has seen it
		s.arrived = *l.pod.Status.StartTime
	}
	return s
}

func (l *life) report(ctx context.Context, s stage) error {
	return l.fleet.patchStatus(ctx, l.pod, s)
}

// run is the life of a pod from its arrival to its own end.
func (l *life) run(ctx context.Context) error {
	if phase := l.pod.Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
		return l.forever(ctx)
	}
	s := l.stage()
	s.phase, s.waiting = corev1.PodPending, corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
	if err := l.report(ctx, s); err != nil {
		return err
	}
	image := l.pod.Spec.Containers[0].Image
	if l.node.trouble == imagePullBackOff {
		return l.failPull(ctx, s, image)
	}
	delay := l.node.delay
	if l.node.pulls(image) {
		delay += l.node.pull
	}
	if err := l.wait(ctx, delay); err != nil {
		return err
	}
	return l.work(ctx, l.start(ctx, s))
}

// failPull is what shows of a node that cannot pull.
func (l *life) failPull(ctx context.Context, s stage, image string) error {
	if err := l.wait(ctx, l.node.delay); err != nil {
		return err
	}
	why := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: dial tcp: lookup registry on this node: no such host", image, image)
	s.waiting = corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: why}
	if err := l.report(ctx, s); err != nil {
		return err
	}
	l.fleet.tell(ctx, l.node, l.pod, corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %s", image, why))
	if err := l.wait(ctx, pullBackOff); err != nil {
		return err
	}
	s.waiting = corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", image, why)}
	if err := l.report(ctx, s); err != nil {
		return err
	}
	return l.forever(ctx)
}

// start starts the containers: from here on there is a log, and a network namespace.
func (l *life) start(ctx context.Context, s stage) stage {
	now := time.Now()
	l.mu.Lock()
	l.started = now
	l.mu.Unlock()
	s.phase, s.started, s.pod = corev1.PodRunning, metav1.NewTime(now), l.ip
	if l.pod.Spec.HostNetwork {
		s.pod = l.node.address
	} else {
		l.node.host(podKey{l.pod.Namespace, l.pod.Name}, l.sandbox())
	}
	image := l.pod.Spec.Containers[0].Image
	l.fleet.tell(ctx, l.node, l.pod, corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine", image))
	l.fleet.tell(ctx, l.node, l.pod, corev1.EventTypeNormal, "Created", "Container created")
	l.fleet.tell(ctx, l.node, l.pod, corev1.EventTypeNormal, "Started", "Container started")
	return s
}

// sandbox is the pod as a collector sees it.
func (l *life) sandbox() metrics.Sandbox {
	box := metrics.Sandbox{
		Node: l.node.name, Namespace: l.pod.Namespace, Pod: l.pod.Name, UID: string(l.pod.UID),
		NetNS: "cni-" + uuid(string(l.pod.UID), 0), Inode: inode(string(l.pod.UID)),
	}
	if owner := metav1.GetControllerOf(l.pod); owner != nil && owner.Kind == "DaemonSet" {
		box.ControllerKind, box.ControllerName = owner.Kind, owner.Name
	}
	return box
}

// inode is a number such as the kernel gives to namespaces.
func inode(uid string) uint64 { return 4026531840 + hash(uid)%1e6 }

// work reports that the containers run, and when their program has ended that it has.
func (l *life) work(ctx context.Context, s stage) error {
	if err := l.report(ctx, s); err != nil {
		return err
	}
	lifetime := l.program.lifetime()
	if lifetime == 0 {
		return l.forever(ctx)
	}
	if err := l.wait(ctx, time.Until(s.started.Add(lifetime))); err != nil {
		return err
	}
	now := time.Now()
	l.mu.Lock()
	l.ended = now
	l.mu.Unlock()
	if err := l.wait(ctx, relist); err != nil {
		return err
	}
	s.phase, s.finished, s.exitCode = corev1.PodSucceeded, metav1.NewTime(now), l.program.exitCode
	if s.exitCode != 0 {
		s.phase, s.message = corev1.PodFailed, l.program.says
	}
	l.node.forgetGuest(podKey{l.pod.Namespace, l.pod.Name})
	if err := l.report(ctx, s); err != nil {
		return err
	}
	return l.forever(ctx)
}

// end ends the containers in the time they take, and removes the object, as only the kubelet may.
func (l *life) end(ctx context.Context) error {
	started, ended := l.times()
	if !started.IsZero() && ended.IsZero() && !sleep(ctx, l.program.farewell(l.grace)) {
		return ctx.Err()
	}
	l.mu.Lock()
	l.ended = time.Now()
	l.mu.Unlock()
	now := int64(0)
	err := l.fleet.client.CoreV1().Pods(l.pod.Namespace).Delete(ctx, l.pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &l.pod.UID},
	})
	if err := deleted(err); err != nil {
		return fmt.Errorf("removing pod %s/%s: %w", l.pod.Namespace, l.pod.Name, err)
	}
	return nil
}
