package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// standing is how far a collector pod has come, read from its status.
type standing struct {
	started  bool          // the container runs or ran: there is a log to read
	doing    string        // what is being waited for, in words for the progress line
	trouble  error         // what is in the way; nil when nothing is
	patience time.Duration // how long the trouble may last before it is taken for good
}

// How long a trouble may last that could still heal by itself.
const (
	noPatience    = 0 * time.Second
	shortPatience = 2 * time.Second // another pod is about to free the room, a config map is about to come
	pullPatience  = 3 * time.Second // a registry's hiccup; the kubelet's second try comes after 10 s
)

// judge reads the standing of a collector pod.
func judge(pod *corev1.Pod) standing {
	if status := collectorStatus(pod); status != nil {
		switch state := status.State; {
		case state.Running != nil:
			return standing{started: true}
		case state.Terminated != nil && state.Terminated.ContainerID != "":
			return standing{started: true}
		case state.Terminated != nil:
			return standing{trouble: terminated(pod, state.Terminated)}
		case pod.Status.Phase == corev1.PodFailed:
			return standing{trouble: failed(pod)}
		case state.Waiting != nil:
			return waiting(pod, state.Waiting)
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return standing{trouble: failed(pod)}
	}
	if pod.Spec.NodeName != "" {
		return standing{doing: "waiting for the kubelet"}
	}
	return unscheduled(pod)
}

func collectorStatus(pod *corev1.Pod) *corev1.ContainerStatus {
	name := containerName(pod)
	i := slices.IndexFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &pod.Status.ContainerStatuses[i]
}

// unscheduled is the standing of a pod without a node.
func unscheduled(pod *corev1.Pod) standing {
	c := condition(pod, corev1.PodScheduled)
	if c == nil || c.Status != corev1.ConditionFalse {
		return standing{doing: "waiting for the scheduler"}
	}
	trouble := fmt.Errorf("it cannot be scheduled (%s): %s", c.Reason, c.Message)
	if c.Reason == corev1.PodReasonSchedulingGated {
		trouble = fmt.Errorf("a webhook gave it a scheduling gate that nobody lifts (%s)", c.Message)
	}
	return standing{doing: "waiting for room on the node", trouble: trouble, patience: shortPatience}
}

// waiting is the standing of a container that has not started. The reasons are the kubelet's (pkg/kubelet/images/types.go,
// pkg/kubelet/kuberuntime/kuberuntime_container.go, pkg/kubelet/container/sync_result.go).
func waiting(pod *corev1.Pod, state *corev1.ContainerStateWaiting) standing {
	image := imageOf(pod)
	trouble := fmt.Errorf("%s: %s", state.Reason, cmp.Or(state.Message, "no message"))
	describe := fmt.Sprintf("kubectl get events -n %s --field-selector involvedObject.name=%s", pod.Namespace, pod.Name)
	switch state.Reason {
	case "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed":
		return standing{doing: "pulling image " + image, trouble: noImage(trouble, pod), patience: pullPatience}
	case "ImagePullBackOff":
		return standing{trouble: noImage(trouble, pod)}
	case "ErrImageNeverPull":
		return standing{trouble: advise(trouble, "kubectl cosanet image says how to load %s onto the node, or let it pull with --image-pull-policy IfNotPresent", image)}
	case "ImageInspectError": // a container runtime that is restarted does not answer, and is asked again
		return standing{doing: "waiting for the container runtime", trouble: advise(trouble, "%s", describe), patience: restartPatience}
	case "InvalidImageName":
		return standing{trouble: advise(trouble, "name another image with --image")}
	case "CreateContainerConfigError":
		return standing{doing: "creating the container", trouble: advise(trouble, "%s", describe), patience: shortPatience}
	case "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError", "StartError":
		return standing{doing: "starting the container", trouble: advise(trouble, "%s", describe), patience: shortPatience}
	case "CrashLoopBackOff":
		return standing{trouble: advise(trouble, "%s", describe)}
	}
	if blocker := injected(pod); blocker != nil {
		return *blocker
	}
	return standing{doing: cmp.Or(map[string]string{
		"ContainerCreating": "pulling the image and creating the container",
		"PodInitializing":   "waiting for injected init containers",
	}[state.Reason], state.Reason)}
}

// injected is the standing of a pod that an injected init container holds up, nil when none does.
func injected(pod *corev1.Pod) *standing {
	for _, s := range pod.Status.InitContainerStatuses {
		switch {
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			return &standing{trouble: fmt.Errorf("init container %s, which a webhook added, failed: %s", s.Name, s.State.Terminated.Reason)}
		case s.State.Waiting != nil && s.State.Waiting.Message != "":
			return &standing{
				doing:    "waiting for init container " + s.Name,
				trouble:  fmt.Errorf("init container %s, which a webhook added, does not start: %s: %s", s.Name, s.State.Waiting.Reason, s.State.Waiting.Message),
				patience: pullPatience,
			}
		}
	}
	return nil
}

// wantsCredentials matches how registries and runtimes word that an image is not for everybody.
var wantsCredentials = regexp.MustCompile(`(?i)\b40[13]\b|unauthorized|authoriz|access denied|no basic auth`)

// noImage adds to a failed pull what helps against it.
func noImage(trouble error, pod *corev1.Pod) error {
	image := imageOf(pod)
	r, err := parseReference(image)
	if err != nil || !wantsCredentials.MatchString(trouble.Error()) {
		return advise(trouble, "check that the node can pull %s; see --image, --image-pull-secret and --image-pull-policy\n  kubectl cosanet image says how to load it without a registry", image)
	}
	if len(pod.Spec.ImagePullSecrets) == 0 {
		return advise(trouble, "kubectl create secret docker-registry NAME -n %s --docker-server=%s --docker-username=USER --docker-password=PASSWORD\n  then name it with --image-pull-secret NAME", pod.Namespace, r.host())
	}
	var names []string
	for _, secret := range pod.Spec.ImagePullSecrets {
		names = append(names, secret.Name)
	}
	return advise(trouble, "%s does not take what --image-pull-secret names: kubectl get secret -n %s %s", r.host(), pod.Namespace, strings.Join(names, " "))
}

func imageOf(pod *corev1.Pod) string {
	if c := collectorOf(pod); c != nil {
		return c.Image
	}
	return ""
}

// failed words why a pod ended of which no container tells more: eviction, preemption, its deadline, a kubelet that did
// not admit it (OutOfcpu, OutOfpods, NodeAffinity, ...).
func failed(pod *corev1.Pod) error {
	reason, message := cmp.Or(pod.Status.Reason, string(pod.Status.Phase)), cmp.Or(pod.Status.Message, "no message")
	describe := fmt.Sprintf("kubectl describe node %s", pod.Spec.NodeName)
	switch reason {
	case "DeadlineExceeded":
		return advise(fmt.Errorf("%s: it did not end within its deadline of %d s", reason, deadlineOf(pod)), "give it longer with --timeout")
	case "Evicted", "Preempting", "Shutdown", "Terminated", "NodeLost":
		return advise(fmt.Errorf("%s: %s", reason, message), "%s", describe)
	}
	return advise(fmt.Errorf("the kubelet ended it: %s: %s", reason, message), "%s", describe)
}

func deadlineOf(pod *corev1.Pod) int64 {
	if pod.Spec.ActiveDeadlineSeconds == nil {
		return 0
	}
	return *pod.Spec.ActiveDeadlineSeconds
}

// terminated words how the collector's container ended.
func terminated(pod *corev1.Pod, state *corev1.ContainerStateTerminated) error {
	if pod.Status.Phase == corev1.PodFailed && pod.Status.Reason != "" {
		return failed(pod)
	}
	said := cmp.Or(lastWords(state.Message), "it said nothing")
	switch {
	case state.Reason == "OOMKilled", strings.Contains(said, "container init was OOM-killed"): // by runc, before the collector began
		return outOfMemory(pod)
	case state.Reason == "ContainerCannotRun", state.Reason == "StartError":
		return advise(fmt.Errorf("%s: %s", state.Reason, said), "check that %s is a cosanet collector image", imageOf(pod))
	case state.Reason == "Unknown", state.Reason == "ContainerStatusUnknown": // containerd 2 after a restart (internal/cri/server/restart.go); the kubelet (pkg/kubelet/status)
		return advise(fmt.Errorf("the node's container runtime does not know how the collector ended (%s, exit code %d)", state.Reason, state.ExitCode),
			"it was restarted, or lost the container: ask again")
	case state.ExitCode == 0:
		return errors.New("the collector ended as if all were well")
	case state.ExitCode == 2:
		return advise(fmt.Errorf("the collector did not understand its flags: %s", said), "use the image of the plugin's own version; see kubectl cosanet version")
	case state.ExitCode > 128 && state.ExitCode < 160:
		return fmt.Errorf("the collector was ended by signal %d: %s", state.ExitCode-128, said)
	}
	return fmt.Errorf("the collector failed (exit code %d): %s", state.ExitCode, said)
}
