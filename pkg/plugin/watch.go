package plugin

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// start waits until the container runs or ran, or until something is in the way for longer than it may be.
func (v *visit) start(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var patience *time.Timer
	return v.watch(ctx, func(pod *corev1.Pod) (done bool, err error) {
		s := judge(pod)
		if s.doing != "" {
			v.say(s.doing)
		}
		switch {
		case s.trouble == nil && patience != nil:
			patience.Stop()
			patience = nil
		case s.trouble != nil && s.patience == noPatience:
			return false, s.trouble
		case s.trouble != nil && patience == nil:
			patience = time.AfterFunc(s.patience, func() { giveUp(s.trouble) })
		}
		return s.started, nil
	})
}

// ending waits until the container has ended and returns nil when it ended well, else why it did not.
func (v *visit) ending(ctx context.Context) error {
	return v.watch(ctx, func(pod *corev1.Pod) (done bool, err error) {
		status := collectorStatus(pod)
		bad := status != nil && status.State.Terminated != nil && status.State.Terminated.ExitCode != 0
		switch {
		case bad && pod.DeletionTimestamp != nil:
			return true, deleted(pod)
		case bad:
			return true, terminated(pod, status.State.Terminated)
		case status != nil && status.State.Terminated != nil:
			return true, nil
		case pod.Status.Phase == corev1.PodFailed:
			return true, failed(pod)
		}
		return false, nil
	})
}

// watch shows look every state of the pod, from the one that is known, until look is done or fails. It returns the
// cause when ctx ends before.
func (v *visit) watch(ctx context.Context, look func(*corev1.Pod) (done bool, err error)) error {
	for {
		if done, err := look(v.pod); done || err != nil {
			return err
		}
		done, err := v.watchOnce(ctx, look)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if done || err != nil {
			return err
		}
		// The API server ends every watch after a while and forgets old versions: begin anew from what is now.
		sleep(ctx, 100*time.Millisecond)
		pod, err := v.pods().Get(ctx, v.order.name, metav1.GetOptions{})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case apierrors.IsNotFound(err):
			return deleted(v.pod)
		case err != nil && !lost(err):
			return fmt.Errorf("getting it: %w", explainForbidden(err))
		case err == nil:
			v.pod = pod
		}
	}
}

// watchOnce is one watch of the API, which ends at the server's will.
func (v *visit) watchOnce(ctx context.Context, look func(*corev1.Pod) (done bool, err error)) (bool, error) {
	w, err := v.pods().Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector("metadata.name", v.order.name).String(),
		ResourceVersion: v.pod.ResourceVersion,
	})
	if err != nil {
		if lost(err) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			return false, nil
		}
		return false, fmt.Errorf("watching it: %w", explainForbidden(err))
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case event, ok := <-w.ResultChan():
			pod, isPod := event.Object.(*corev1.Pod)
			switch {
			case !ok || !isPod: // the end, or an error such as 410 Gone
				return false, nil
			case event.Type == watch.Deleted:
				return false, deleted(pod)
			}
			v.pod = pod
			if done, err := look(pod); done || err != nil {
				return done, err
			}
		}
	}
}
