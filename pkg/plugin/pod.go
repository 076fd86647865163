package plugin

import (
	cryptorand "crypto/rand"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilrand "k8s.io/apimachinery/pkg/util/rand"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

// What marks a collector pod as ours.
const (
	collectorName   = "collector" // of the container; injected sidecars have other names
	runIDAnnotation = "cosanet.io/run-id"
	runLabel        = "cosanet.io/run" // the same for all pods of a run
	managedByLabel  = "app.kubernetes.io/managed-by"
	managedBy       = "kubectl-cosanet"
)

// deadlineMargin is what the kubelet's deadline leaves the collector's own one, so that the collector ends first and
// can say why.
const deadlineMargin = 30 * time.Second

// Profile is what a collector pod is allowed to do on its node.
type Profile string

const (
	// Privileged is root with everything: reads all there is, on every node that admits it.
	Privileged Profile = "privileged"
	// NetAdmin is root with the three capabilities it takes to enter network namespaces and ask the runtime.
	NetAdmin Profile = "netadmin"
	// Restricted is nobody without any capability: reads the counters, but enters no namespace and asks no runtime.
	Restricted Profile = "restricted"
)

// String, Set and Type make a flag of it.
func (p *Profile) String() string { return string(*p) }

// Set reads the value of --profile.
func (p *Profile) Set(s string) error {
	switch profile := Profile(s); profile {
	case Privileged, NetAdmin, Restricted:
		*p = profile
		return nil
	}
	return fmt.Errorf("use privileged, netadmin or restricted")
}

// Type is the word for the value in usage texts.
func (p *Profile) Type() string { return "profile" }

// order is what one collector pod is made from.
type order struct {
	name      string // chosen here and not by the server, so that the pod can be found when the answer to create is lost
	namespace string
	node      string
	run       string // id of the pod's run of the collector, in its annotation and in every frame's trailer
	together  string // id of all pods of one run of the plugin, in their label
	profile   Profile
	pull      Pull
	criSocket string // empty: the collector looks for it
	version   string
	timeout   time.Duration // of the whole answer
	pullOnly  bool          // the collector is to end at once: all that is wanted is its image on the node
	patience  time.Duration // of the first frame of many; 0: it has as long as the answer
	silence   time.Duration // how much later than its interval a frame may be
	ask       Ask
}

func newPodName() string { return "cosanet-" + utilrand.String(8) }

// newRunID is told to the collector and comes back in every trailer, so that no other log is taken for this one's.
func newRunID() string { return strings.ToLower(cryptorand.Text()) }

// pod builds the collector pod: pure, so that its YAML can be read in testdata.
func (o *order) pod() *corev1.Pod {
	no, grace := false, int64(1)
	deadline := int64(math.Ceil((o.timeout + deadlineMargin).Seconds()))
	profile := o.profile
	if o.pullOnly {
		profile = Restricted // there is nothing to see
	}
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      o.name,
			Namespace: o.namespace,
			Labels: map[string]string{
				"app.kubernetes.io/name":    "cosanet",
				"app.kubernetes.io/version": labelValue(o.version),
				managedByLabel:              managedBy,
				runLabel:                    o.together,
				// A sidecar would keep the pod from ending and has no business in the node's namespaces.
				"sidecar.istio.io/inject":   "false",
				"istio.io/dataplane-mode":   "none",
				"kuma.io/sidecar-injection": "disabled",
				"linkerd.io/inject":         "disabled",
			},
			Annotations: map[string]string{
				runIDAnnotation:             o.run,
				"sidecar.istio.io/inject":   "false",
				"kuma.io/sidecar-injection": "disabled",
				"linkerd.io/inject":         "disabled",
				// A pod without a controller keeps the autoscaler from removing its node.
				"cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
			},
		},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			HostPID:       !o.pullOnly,
			HostNetwork:   true, // works where the CNI does not, and starts without it; nothing listens
			Tolerations:   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Affinity:      onNode(o.node),

			ActiveDeadlineSeconds:         &deadline,
			TerminationGracePeriodSeconds: &grace,
			AutomountServiceAccountToken:  &no,
			EnableServiceLinks:            &no,
			ImagePullSecrets:              references(o.pull.Secrets),
			Containers: []corev1.Container{{
				Name:            collectorName,
				Image:           o.pull.Image,
				ImagePullPolicy: corev1.PullPolicy(o.pull.Policy),
				Args:            o.args(),
				Env: []corev1.EnvVar{{Name: "NODE_NAME", ValueFrom: &corev1.EnvVarSource{
					FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "spec.nodeName"},
				}}},
				Resources: resources(),
				// What a collector that fails says last is then in the pod's status as well.
				TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
				SecurityContext:          profile.securityContext(),
			}},
		},
	}
}

// collectorOf finds the collector's container among those that a webhook may have added; nil when it is not there.
func collectorOf(pod *corev1.Pod) *corev1.Container {
	name := containerName(pod)
	i := slices.IndexFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &pod.Spec.Containers[i]
}

// containerName is the container of ours, in a pod of the exporter's DaemonSet or in one of a run.
func containerName(pod *corev1.Pod) string {
	if pod.Labels[componentLabel] == exporterLabels[componentLabel] {
		return deploy.Container
	}
	return collectorName
}

// args is the collector's command line.
func (o *order) args() []string {
	if o.pullOnly {
		return []string{"--version"}
	}
	args := []string{"--once", "--run", o.run, "--encoding", "gzip",
		"--samples", fmt.Sprint(max(1, o.ask.Samples)),
		"--interval", o.ask.Interval.String(),
		"--deadline", o.timeout.String(),
		"--metrics", o.ask.Metrics.String(),
	}
	if o.criSocket != "" {
		args = append(args, "--cri-socket", o.criSocket)
	}
	if o.ask.Sockets {
		args = append(args, "--collector.sockproto.enabled")
	}
	for _, source := range o.ask.Sources {
		args = append(args, "--collector."+strings.ReplaceAll(source, "_", "-")+".enabled")
	}
	return args
}

func (p Profile) securityContext() *corev1.SecurityContext {
	yes, no := true, false
	root, nobody := int64(0), int64(65534)
	none := &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	switch p {
	case NetAdmin:
		// In order: setns, ctnetlink in the entered namespace, /proc/<pid>/ns and /proc/1/root.
		none.Add = []corev1.Capability{"SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE"}
		return &corev1.SecurityContext{
			RunAsUser: &root, Capabilities: none, ReadOnlyRootFilesystem: &yes,
		}
	case Restricted:
		return &corev1.SecurityContext{
			RunAsUser: &nobody, RunAsGroup: &nobody, RunAsNonRoot: &yes, Capabilities: none,
			AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		}
	}
	return &corev1.SecurityContext{Privileged: &yes, RunAsUser: &root, ReadOnlyRootFilesystem: &yes}
}

// resources are requests that fit on a full node, and limits because quotas and policies want some: a walk of 250 pods
// takes well under a second of one CPU and some 60 MiB.
func resources() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("10m"),
			corev1.ResourceMemory: resource.MustParse("32Mi"),
		},
		Limits: corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("1"),
			corev1.ResourceMemory: resource.MustParse("256Mi"),
		},
	}
}

// onNode binds a pod to a node by the node's name, as the DaemonSet controller does. The hostname label may differ from
// it, and spec.nodeName would pass by the scheduler and its reasons.
func onNode(node string) *corev1.Affinity {
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchFields: []corev1.NodeSelectorRequirement{{
					Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node},
				}},
			}},
		},
	}}
}

var notInLabels = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// labelValue makes a version such as v0.1.0+dirty fit for a label.
func labelValue(s string) string {
	s = notInLabels.ReplaceAllString(s, "-")
	return strings.Trim(s[:min(len(s), 63)], "._-")
}
