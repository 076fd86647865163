package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// page is how many objects one answer to a listing holds.
const page = 2000

// makePods makes the nodes' own pods that are not there yet, and reports that they run.
func (f *fleet) makePods(ctx context.Context) error {
	owners, err := f.owners(ctx)
	if err != nil {
		return err
	}
	if err := f.adopt(ctx); err != nil {
		return err
	}
	last := time.Now()
	return f.each(ctx, func(ctx context.Context, n *node) error {
		for i := range f.pods {
			if n.uid(i) != "" {
				f.progress.count(func(s *progressState) { s.Pods++ })
				continue
			}
			if err := f.makePod(ctx, n, newOwnPod(n.number, i), owners); err != nil {
				return err
			}
			f.progress.count(func(s *progressState) {
				if s.Pods++; time.Since(last) >= 10*time.Second {
					last = time.Now()
					fmt.Fprintf(f.progress.w, "%8s    %d pods\n", time.Since(f.progress.begin).Round(100*time.Millisecond), s.Pods)
				}
			})
		}
		return nil
	})
}

func (n *node) uid(index int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.uids[index]
}

func (n *node) setUID(index int, uid types.UID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.uids[index] = string(uid)
	n.change.Add(1)
}

func (f *fleet) makePod(ctx context.Context, n *node, p ownPod, owners map[[2]int]types.UID) error {
	client := f.client.CoreV1().Pods(namespaceName(p.namespace))
	pod, err := client.Create(ctx, p.object(owners[[2]int{p.namespace, p.workload}]), metav1.CreateOptions{})
	if err == nil {
		pod, err = f.runPod(ctx, n, p, pod)
	}
	if err != nil {
		return fmt.Errorf("making pod %s/%s: %w", namespaceName(p.namespace), p.name(), err)
	}
	n.setUID(p.index, pod.UID)
	return nil
}

// runPod reports that a pod runs.
func (f *fleet) runPod(ctx context.Context, n *node, p ownPod, pod *corev1.Pod) (*corev1.Pod, error) {
	now := metav1.Now()
	pod.Status = podStatus(pod, stage{phase: corev1.PodRunning, host: n.address, pod: p.address(), arrived: now, started: now})
	running, err := f.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		if running, err = f.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{}); err == nil {
			running.Status = pod.Status
			running, err = f.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, running, metav1.UpdateOptions{})
		}
	}
	return running, err
}

// adopt takes over the pods of an earlier run, and deletes those that are too many now.
func (f *fleet) adopt(ctx context.Context) error {
	known := map[podKey]ownPod{}
	for _, n := range f.nodes {
		for i := range f.pods {
			p := newOwnPod(n.number, i)
			known[podKey{namespaceName(p.namespace), p.name()}] = p
		}
	}
	return f.eachOwnPod(ctx, func(pod *corev1.Pod) error {
		p, ok := known[podKey{pod.Namespace, pod.Name}]
		if !ok || pod.DeletionTimestamp != nil {
			return deleted(f.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}))
		}
		n := f.nodes[p.node-1]
		if pod.Status.Phase != corev1.PodRunning || pod.Status.HostIP != n.address.String() {
			if _, err := f.runPod(ctx, n, p, pod); err != nil {
				return fmt.Errorf("reporting pod %s/%s: %w", pod.Namespace, pod.Name, err)
			}
		}
		n.setUID(p.index, pod.UID)
		return nil
	})
}

// eachOwnPod calls do for every pod of this program that there is.
func (f *fleet) eachOwnPod(ctx context.Context, do func(*corev1.Pod) error) error {
	var errs []error
	options := metav1.ListOptions{LabelSelector: ours, Limit: page}
	for {
		list, err := f.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return fmt.Errorf("listing the pods of an earlier run: %w", err)
		}
		for i := range list.Items {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			errs = append(errs, do(&list.Items[i]))
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return errors.Join(errs...)
		}
	}
}

// deleted takes an object that is gone for one that was deleted.
func deleted(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
