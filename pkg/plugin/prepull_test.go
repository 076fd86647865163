package plugin

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pullPod tells whether a pod is one that only pulls.
func pullPod(pod *corev1.Pod) bool {
	return slices.Equal(pod.Spec.Containers[0].Args, []string{"--version"})
}

// nodeOfOrder is the node that a pod is made for.
func nodeOfOrder(pod *corev1.Pod) string {
	return pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
}

// completed is the end of a container that went well.
var completed = corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: []corev1.ContainerStatus{{
	Name: collectorName, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: "containerd://1"}},
}}}

// Every node has the image before the first one is asked, and one that cannot get it is told and not asked.
func TestPrepull(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "bad", "c"), testCollection()
	c.Prepull, c.Concurrency = true, 2
	s.life = nil
	var order []string
	s.created = func(_ http.ResponseWriter, pod *corev1.Pod) bool {
		node, life := nodeOfOrder(pod), []corev1.PodStatus{running}
		s.mu.Lock()
		if pullPod(pod) {
			order, life = append(order, "pull "+node), []corev1.PodStatus{waitingFor("ContainerCreating", ""), completed}
		} else {
			order = append(order, "ask "+node)
		}
		s.mu.Unlock()
		if node == "bad" {
			life = []corev1.PodStatus{waitingFor("ErrImagePull", "no such host"), waitingFor("ImagePullBackOff", "no such host")}
		}
		go s.through(pod.DeepCopy(), life)
		return false
	}
	fleet, err, left := observe(t, s, c, Ask{})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	slices.Sort(order[:4])
	slices.Sort(order[4:])
	if got, want := strings.Join(order, ", "), "pull a, pull b, pull bad, pull c, ask a, ask b, ask c"; got != want {
		t.Errorf("pods were made in the order %s; want %s", got, want)
	}
	for _, o := range fleet.Observations {
		switch {
		case o.Node != "bad" && o.Err != nil:
			t.Errorf("node %s: %v", o.Node, o.Err)
		case o.Node == "bad" && (o.Err == nil || !strings.Contains(o.Err.Error(), "ImagePullBackOff: no such host")):
			t.Errorf("node bad: %v, want that it cannot pull", o.Err)
		}
	}
	gone(t, s, c)
}

// A pod that only pulls has no right on its node; where that one is refused all are, and nobody is asked.
func TestPrepullRefused(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "c"), testCollection()
	c.Prepull, c.Concurrency = true, 1
	s.admit = func(pod *corev1.Pod) *metav1.Status {
		if security := pod.Spec.Containers[0].SecurityContext; pod.Spec.HostPID || security.Privileged != nil || len(security.Capabilities.Add) > 0 {
			t.Errorf("it may more than nothing: %v", security)
		}
		return failure(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces`)
	}
	fleet, err, left := observe(t, s, c, Ask{})
	if fleet != nil || err == nil || left != nil || s.creates != 1 {
		t.Errorf("Observe = %v, %v, %v with %d pods; want an error after the first", fleet, err, left, s.creates)
	}
	gone(t, s, c)
}
