package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// watch watches the pods that others put on the nodes, all by one watch, and lives the life of each. The nodes' own pods
// are not among them: nothing ever happens to those.
func (f *fleet) watch(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(f.client, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.LabelSelector = hollowLabel + "!=true"
		o.FieldSelector = "spec.nodeName!="
	}))
	informer := factory.Core().V1().Pods().Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { f.see(ctx, object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { f.see(ctx, object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			f.lose(object.(*corev1.Pod))
		},
	})
	if err != nil {
		return fmt.Errorf("watching the pods: %w", err)
	}
	informer.RunWithContext(ctx)
	return nil
}

// see begins the life of a pod that is new, and the end of one that is to be deleted.
func (f *fleet) see(ctx context.Context, pod *corev1.Pod) {
	n := f.byName[pod.Spec.NodeName]
	if n == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := podKey{pod.Namespace, pod.Name}
	l := f.lives[key]
	if l != nil && l.pod.UID != pod.UID {
		l.forget()
		l = nil
	}
	if l == nil {
		l = newLife(f, n, pod)
		if l.program.kind == exports || !pod.Spec.HostNetwork {
			l.ip = f.freeAddress(n)
			f.byIP[l.ip] = l
		}
		f.lives[key] = l
		ctx, l.forget = context.WithCancel(ctx)
		go l.live(ctx)
	}
	if pod.DeletionTimestamp != nil {
		l.leave(pod)
	}
}

// lose forgets a pod that is gone.
func (f *fleet) lose(pod *corev1.Pod) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := podKey{pod.Namespace, pod.Name}
	if l := f.lives[key]; l != nil && l.pod.UID == pod.UID {
		l.forget()
		l.node.forgetGuest(key)
		delete(f.lives, key)
		delete(f.byIP, l.ip)
	}
}

// freeAddress is a pod address that no pod has. Where nobody reaches the node nobody reaches its pods.
func (f *fleet) freeAddress(n *node) netip.Addr {
	if n.trouble == unreachable {
		return n.address
	}
	for {
		if f.next = f.next.Next(); !f.podAddresses.Contains(f.next) {
			f.next = nth(f.podAddresses, 1)
		}
		if f.byIP[f.next] == nil {
			return f.next
		}
	}
}

func (f *fleet) lifeOf(key podKey) *life {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lives[key]
}

// host takes a pod with a network namespace of its own up among what the node's collector finds.
func (n *node) host(key podKey, box metrics.Sandbox) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.guests[key] = sandbox{box, hash(key.name)}
	n.change.Add(1)
}

func (n *node) forgetGuest(key podKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.guests[key]; ok {
		delete(n.guests, key)
		n.change.Add(1)
	}
}

// pulls tells whether the node has yet to pull an image; from then on it has it.
func (n *node) pulls(image string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	had := n.images[image]
	n.images[image] = true
	return !had
}

// patchStatus reports a pod's status as a kubelet does: by a strategic merge patch that is for this very pod
// (pkg/util/pod: PatchPodStatus).
func (f *fleet) patchStatus(ctx context.Context, pod *corev1.Pod, s stage) error {
	var patch struct {
		Metadata struct {
			UID types.UID `json:"uid"`
		} `json:"metadata"`
		Status corev1.PodStatus `json:"status"`
	}
	patch.Metadata.UID, patch.Status = pod.UID, podStatus(pod, s)
	text, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		_, err = f.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, text, metav1.PatchOptions{}, "status")
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // gone, or another pod of that name
			return nil
		}
		if try == 5 || !sleep(ctx, time.Second) {
			return fmt.Errorf("reporting pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
	}
}

// tell writes an event about a pod, if that is wanted.
func (f *fleet) tell(ctx context.Context, n *node, pod *corev1.Pod, kind, reason, message string) {
	if !f.events {
		return
	}
	now := metav1.Now()
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", pod.Name, hash(reason, uint64(now.UnixNano()))), Namespace: pod.Namespace},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
			FieldPath: "spec.containers{" + pod.Spec.Containers[0].Name + "}",
		},
		Type: kind, Reason: reason, Message: message, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "kubelet", Host: n.name}, ReportingController: "kubelet", ReportingInstance: n.name,
	}
	if _, err := f.client.CoreV1().Events(pod.Namespace).Create(ctx, event, metav1.CreateOptions{}); err != nil && ctx.Err() == nil {
		f.progress.step("telling of pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}
