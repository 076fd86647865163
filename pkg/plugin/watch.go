package plugin

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// start waits until the container runs or ran, or until something is in the way for longer than it may be.
func (v *visit) start(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	var patience *time.Timer
	defer func() {
		if patience != nil {
			patience.Stop()
		}
	}()
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

// watch shows look every state of the pod that there is to be seen, from the one that is known, until look is done or fails.
// It returns the cause when ctx ends before.
func (v *visit) watch(ctx context.Context, look func(*corev1.Pod) (done bool, err error)) error {
	for {
		if done, err := look(v.pod); done || err != nil {
			return err
		}
		if err := v.await(ctx); err != nil {
			return err
		}
	}
}

// await returns when something is known of the pod that may not have been before.
func (v *visit) await(ctx context.Context) error {
	silence := time.NewTimer(v.watched.quiet)
	defer silence.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-silence.C:
		return v.glance(ctx)
	case <-v.inbox.news:
	}
	news := v.watched.take(v.inbox)
	switch {
	case news.gone:
		return deleted(news.pod)
	case news.pod != nil:
		v.pod = news.pod
	case news.broken != nil:
		return fmt.Errorf("watching it: %w", news.broken)
	case news.missed:
		return v.look(ctx)
	}
	return nil
}

// glance looks at a pod of which the watch tells nothing. What does not answer soon is no reason not to listen to the watch.
func (v *visit) glance(ctx context.Context) error {
	brief, cancel := context.WithTimeout(ctx, v.watched.quiet)
	defer cancel()
	if err := v.look(brief); brief.Err() == nil || ctx.Err() != nil {
		return err
	}
	return nil
}

// look asks for the pod itself, as often as it takes to get an answer. Who may watch pods and not get them has to do with what
// the watch tells, which begins with the state of all.
func (v *visit) look(ctx context.Context) error {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		pod, err := v.pods().Get(ctx, v.order.name, metav1.GetOptions{})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case apierrors.IsNotFound(err):
			return deleted(v.pod)
		case apierrors.IsForbidden(err):
			return nil
		case err != nil && !passing(err):
			return fmt.Errorf("getting it: %w", err)
		case err == nil:
			v.pod = pod
			return nil
		}
		sleep(ctx, pause)
	}
}
