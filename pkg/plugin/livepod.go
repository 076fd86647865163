package plugin

import (
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// livePod is what a view needs of a pod that the API server knows: the whole of a hundred thousand of them is a gigabyte.
type livePod struct {
	namespace, name, uid, node, ip string
	controllerKind, controllerName string
	created                        time.Time
	phase                          corev1.PodPhase
	hostNetwork                    bool
	hash                           []string // of its manifest, by which the node knows a static pod
}

func newLivePod(pod *corev1.Pod) livePod {
	p := livePod{
		namespace: pod.Namespace, name: pod.Name, uid: string(pod.UID), node: pod.Spec.NodeName, ip: pod.Status.PodIP,
		created: pod.CreationTimestamp.Time, phase: pod.Status.Phase, hostNetwork: pod.Spec.HostNetwork,
	}
	p.controllerKind, p.controllerName = controllerOf(pod)
	for _, annotation := range staticPod() {
		if hash := pod.Annotations[annotation]; hash != "" {
			p.hash = append(p.hash, hash)
		}
	}
	return p
}

// ended tells whether the pod's network namespace is gone.
func (p *livePod) ended() bool { return ended(p.phase) }

func ended(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

// uids are those under which the node may know the pod. The kubelet runs a static pod under the hash of its manifest,
// and shows the API server a mirror of it that has another UID (kubernetes.io/config.mirror).
func (p *livePod) uids() []string { return append([]string{p.uid}, p.hash...) }

// staticPod are the annotations that have the UID of a static pod.
func staticPod() []string {
	return []string{"kubernetes.io/config.hash", corev1.MirrorPodAnnotationKey}
}

// controllerOf names the pod's controller; of a ReplicaSet that a Deployment made, the Deployment.
func controllerOf(pod *corev1.Pod) (kind, name string) {
	owner := metav1.GetControllerOfNoCopy(pod)
	if owner == nil {
		return "", ""
	}
	hash := pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	if deployment, ok := strings.CutSuffix(owner.Name, "-"+hash); ok && hash != "" && owner.Kind == "ReplicaSet" {
		return "Deployment", deployment
	}
	return owner.Kind, owner.Name
}
