package main

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// stage is how far a pod has come on its node.
type stage struct {
	phase    corev1.PodPhase
	host     netip.Addr
	pod      netip.Addr // not valid: none yet
	arrived  metav1.Time
	started  metav1.Time // zero: its containers wait
	finished metav1.Time // zero: they run
	exitCode int32
	message  string // of a container that ended, as its log's last words
	waiting  corev1.ContainerStateWaiting
}

// podStatus is what a kubelet reports of a pod (pkg/kubelet/kubelet_pods.go: generateAPIPodStatus).
func podStatus(pod *corev1.Pod, s stage) corev1.PodStatus {
	status := corev1.PodStatus{
		Phase:              s.phase,
		Conditions:         s.conditions(pod),
		HostIP:             s.host.String(),
		HostIPs:            []corev1.HostIP{{IP: s.host.String()}},
		StartTime:          &s.arrived,
		QOSClass:           pod.Status.QOSClass,
		ObservedGeneration: pod.Generation,
	}
	if s.pod.IsValid() {
		status.PodIP = s.pod.String()
		status.PodIPs = []corev1.PodIP{{IP: s.pod.String()}}
	}
	for i := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, s.container(pod, &pod.Spec.Containers[i]))
	}
	return status
}

func (s *stage) running() bool { return !s.started.IsZero() && s.finished.IsZero() }

func (s *stage) conditions(pod *corev1.Pod) []corev1.PodCondition {
	var list []corev1.PodCondition
	add := func(of corev1.PodConditionType, ok bool, reason, message string, since metav1.Time) {
		c := corev1.PodCondition{Type: of, Status: corev1.ConditionFalse, LastTransitionTime: since, Reason: reason, Message: message, ObservedGeneration: pod.Generation}
		if ok {
			c.Status, c.Reason, c.Message = corev1.ConditionTrue, "", ""
		}
		list = append(list, c)
	}
	reason, message, since := "", "", s.arrived
	switch {
	case !s.finished.IsZero():
		reason, since = "PodCompleted", s.finished
	case s.running():
		since = s.started
	default:
		reason, message = "ContainersNotReady", "containers with unready status: ["+names(pod)+"]"
	}
	add(corev1.PodReadyToStartContainers, s.running(), "", "", since)
	initialized := ""
	if !s.finished.IsZero() {
		initialized = "PodCompleted"
	}
	add(corev1.PodInitialized, true, initialized, "", s.arrived)
	add(corev1.PodReady, s.running(), reason, message, since)
	add(corev1.ContainersReady, s.running(), reason, message, since)
	add(corev1.PodScheduled, true, "", "", s.arrived)
	return list
}

func names(pod *corev1.Pod) string {
	var text string
	for _, c := range pod.Spec.Containers {
		text += " " + c.Name
	}
	return text[min(1, len(text)):]
}

func (s *stage) container(pod *corev1.Pod, c *corev1.Container) corev1.ContainerStatus {
	id := "hollow://" + uuid(string(pod.UID)+"/"+c.Name, 0)
	running := s.running()
	status := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: running, Started: &running}
	switch {
	case s.started.IsZero():
		waiting := s.waiting
		status.State.Waiting = &waiting
		return status
	case running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: s.started}
	default:
		status.State.Terminated = &corev1.ContainerStateTerminated{
			ExitCode: s.exitCode, Reason: "Completed", Message: s.message, StartedAt: s.started, FinishedAt: s.finished, ContainerID: id,
		}
		if s.exitCode != 0 {
			status.State.Terminated.Reason = "Error"
		}
	}
	status.ContainerID, status.ImageID = id, c.Image
	return status
}
