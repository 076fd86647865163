package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// Reasons and messages are those of a Kubernetes 1.37 with containerd.
func TestJudge(t *testing.T) {
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	events := "\n  kubectl get events -n cosanet --field-selector involvedObject.name=cosanet-x7k2m9pq"
	images := "\n  check that the node can pull registry.example/cosanet/collector:v0.1.0; see --image, --image-pull-secret and --image-pull-policy\n  kubectl cosanet image says how to load it without a registry"
	type want struct {
		Started bool
		Doing   string
		Trouble string
		Waits   bool // patience is left
	}
	for _, tt := range []struct {
		name   string
		status corev1.PodStatus
		node   string
		state  corev1.ContainerState
		want   want
	}{
		{name: "new", want: want{Doing: "waiting for the scheduler"}},
		{name: "unschedulable", status: scheduled(corev1.ConditionFalse, "Unschedulable", "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector."),
			want: want{Doing: "waiting for room on the node", Waits: true,
				Trouble: "it cannot be scheduled (Unschedulable): 0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match Pod's node affinity/selector."}},
		{name: "gated", status: scheduled(corev1.ConditionFalse, "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"),
			want: want{Doing: "waiting for room on the node", Waits: true,
				Trouble: "a webhook gave it a scheduling gate that nobody lifts (Scheduling is blocked due to non-empty scheduling gates)"}},
		{name: "scheduled", node: "node-1", want: want{Doing: "waiting for the kubelet"}},
		{name: "creating", node: "node-1", state: waiting("ContainerCreating", ""), want: want{Doing: "pulling the image and creating the container"}},
		{name: "initializing", node: "node-1", state: waiting("PodInitializing", ""), want: want{Doing: "waiting for injected init containers"}},
		{name: "new reason", node: "node-1", state: waiting("Thinking", ""), want: want{Doing: "Thinking"}},
		{name: "first pull failed", node: "node-1", state: waiting("ErrImagePull", `failed to resolve reference "x"`),
			want: want{Doing: "pulling image registry.example/cosanet/collector:v0.1.0", Waits: true, Trouble: `ErrImagePull: failed to resolve reference "x"` + images}},
		{name: "pull failed", node: "node-1", state: waiting("ImagePullBackOff", `Back-off pulling image "x"`),
			want: want{Trouble: `ImagePullBackOff: Back-off pulling image "x"` + images}},
		{name: "never pull", node: "node-1", state: waiting("ErrImageNeverPull", `Container image "x" is not present with pull policy of Never`),
			want: want{Trouble: `ErrImageNeverPull: Container image "x" is not present with pull policy of Never` +
				"\n  kubectl cosanet image says how to load registry.example/cosanet/collector:v0.1.0 onto the node, or let it pull with --image-pull-policy IfNotPresent"}},
		{name: "invalid name", node: "node-1", state: waiting("InvalidImageName", `Failed to apply default image tag "Bad!!"`),
			want: want{Trouble: `InvalidImageName: Failed to apply default image tag "Bad!!"` + "\n  name another image with --image"}},
		{name: "config", node: "node-1", state: waiting("CreateContainerConfigError", "container has runAsNonRoot and image will run as root"),
			want: want{Doing: "creating the container", Waits: true, Trouble: "CreateContainerConfigError: container has runAsNonRoot and image will run as root" + events}},
		{name: "create", node: "node-1", state: waiting("CreateContainerError", "context deadline exceeded"),
			want: want{Doing: "starting the container", Waits: true, Trouble: "CreateContainerError: context deadline exceeded" + events}},
		{name: "run", node: "node-1", state: waiting("RunContainerError", ""),
			want: want{Doing: "starting the container", Waits: true, Trouble: "RunContainerError: no message" + events}},
		{name: "runtime away", node: "node-1", state: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImageInspectError", Message: "connection refused"}},
			want: want{Doing: "waiting for the container runtime", Waits: true, Trouble: "ImageInspectError: connection refused" + events}},
		{name: "running", node: "node-1", state: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, want: want{Started: true}},
		{name: "over already", node: "node-1", state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ContainerID: "containerd://1"}}, want: want{Started: true}},
		{name: "never ran", node: "node-1", state: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "ContainerStatusUnknown", ExitCode: 137, Message: "The container could not be located when the pod was terminated"}},
			want: want{Trouble: "the node's container runtime does not know how the collector ended (ContainerStatusUnknown, exit code 137)\n  it was restarted, or lost the container: ask again"}},
		{name: "not admitted", node: "node-1", status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "OutOfpods", Message: "Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110"},
			want: want{Trouble: "the kubelet ended it: OutOfpods: Node didn't have enough resource: pods, requested: 1, used: 110, capacity: 110\n  kubectl describe node node-1"}},
		{name: "evicted", node: "node-1", status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."},
			state: waiting("ContainerCreating", ""), want: want{Trouble: "Evicted: The node was low on resource: memory.\n  kubectl describe node node-1"}},
		{name: "deadline", node: "node-1", status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "DeadlineExceeded", Message: "Pod was active on the node longer than the specified deadline"},
			want: want{Trouble: "DeadlineExceeded: it did not end within its deadline of 91 s\n  give it longer with --timeout"}},
		{name: "injected init container", node: "node-1", state: waiting("PodInitializing", ""),
			status: corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "istio-init", State: waiting("ImagePullBackOff", "Back-off pulling image")}}},
			want: want{Doing: "waiting for init container istio-init", Waits: true,
				Trouble: "init container istio-init, which a webhook added, does not start: ImagePullBackOff: Back-off pulling image"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := testOrder(Privileged).pod()
			pod.Spec.NodeName, pod.Status = tt.node, tt.status
			if tt.state != (corev1.ContainerState{}) {
				pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "proxy"}, {Name: collectorName, State: tt.state}}
			}
			s := judge(pod)
			got := want{Started: s.started, Doing: s.doing, Waits: s.patience > 0}
			if s.trouble != nil {
				got.Trouble = s.trouble.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}

func scheduled(status corev1.ConditionStatus, reason, message string) corev1.PodStatus {
	return corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: status, Reason: reason, Message: message}}}
}

func TestTerminated(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state corev1.ContainerStateTerminated
		want  string
	}{
		{"memory", corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}, "OOMKilled: the collector needed more memory than its limit of 256Mi"},
		{"no such program", corev1.ContainerStateTerminated{Reason: "StartError", ExitCode: 128, Message: `exec: "/x": stat /x: no such file or directory`},
			`StartError: exec: "/x": stat /x: no such file or directory` + "\n  check that registry.example/cosanet/collector:v0.1.0 is a cosanet collector image"},
		{"flags", corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 2, Message: "flag provided but not defined: -x\n"},
			"the collector did not understand its flags: flag provided but not defined: -x\n  use the image of the plugin's own version; see kubectl cosanet version"},
		{"said why", corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 1, Message: "cosanet-collector: error: no /proc\n"},
			"the collector failed (exit code 1): cosanet-collector: error: no /proc"},
		{"killed", corev1.ContainerStateTerminated{Reason: "Error", ExitCode: 143}, "the collector was ended by signal 15: it said nothing"},
		{"nobody knows", corev1.ContainerStateTerminated{Reason: "Unknown", ExitCode: 255},
			"the node's container runtime does not know how the collector ended (Unknown, exit code 255)\n  it was restarted, or lost the container: ask again"},
		{"well", corev1.ContainerStateTerminated{Reason: "Completed"}, "the collector ended as if all were well"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, terminated(testOrder(Privileged).pod(), &tt.state).Error()); diff != "" {
				t.Errorf("terminated (-want +got):\n%s", diff)
			}
		})
	}
}
