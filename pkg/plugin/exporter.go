package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

// What marks an object as the exporter's (deploy/base).
const (
	nameLabel      = "app.kubernetes.io/name"
	componentLabel = "app.kubernetes.io/component"
	partOfLabel    = "app.kubernetes.io/part-of"
	partOf         = "kubectl-cosanet"
)

// exporterLabels are those by which the DaemonSet selects its pods.
var exporterLabels = labels.Set{nameLabel: "cosanet", componentLabel: "exporter"}

// exporter is the pod that serves what is counted on a node.
type exporter struct {
	pod  PodRef
	node string
	port string
}

// exporters are what one listing found of the DaemonSet.
type exporters struct {
	namespace string
	ready     map[string]*exporter // by node
	unready   map[string]bool      // nodes whose exporter is not ready
	err       error                // why they could not be listed
}

// findExporters lists the exporter's pods in a namespace: one request, which may be answered from the API server's cache. A
// label proves nothing: whoever may make pods somewhere may give them ours, and feed us what they like. So only that
// namespace counts, and there only what the DaemonSet owns.
func findExporters(ctx context.Context, client kubernetes.Interface, namespace string) *exporters {
	found := &exporters{namespace: namespace, ready: map[string]*exporter{}, unready: map[string]bool{}}
	var pods *corev1.PodList
	err := patiently(ctx, func() (err error) {
		pods, err = client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: exporterLabels.String(), ResourceVersion: "0"})
		return err
	})
	if err != nil {
		found.err = fmt.Errorf("listing the exporter's pods: %w", explainForbidden(err))
		return found
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		node := pod.Spec.NodeName
		switch {
		case node == "" || !ofDaemonSet(pod):
		case isReady(pod):
			found.ready[node] = &exporter{pod: PodRef{namespace, pod.Name}, node: node, port: portOf(pod)}
		default:
			found.unready[node] = true
		}
	}
	return found
}

func ofDaemonSet(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "DaemonSet" && owner.APIVersion == "apps/v1" && owner.Name == deploy.Name
}

// isReady tells whether a pod answers, and is not about to go, as the old one of an update is.
func isReady(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodReady)
	return c != nil && c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
}

func portOf(pod *corev1.Pod) string {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name == deploy.PortName {
				return strconv.Itoa(int(port.ContainerPort))
			}
		}
	}
	return strconv.Itoa(deploy.Port)
}

// none says why there is no exporter at all to ask, nil when there is one.
func (e *exporters) none() error {
	switch {
	case e.err != nil:
		return e.err
	case len(e.ready)+len(e.unready) == 0:
		return advise(fmt.Errorf("no exporter runs in namespace %s", e.namespace), "kubectl cosanet serve installs it; --source pod goes without")
	}
	return nil
}

// missing says why a node has no exporter to ask.
func (e *exporters) missing(node string) error {
	if e.unready[node] {
		return advise(errors.New("its exporter is not ready"), "kubectl get pods -n %s -o wide --field-selector spec.nodeName=%s, or --source auto", e.namespace, node)
	}
	return advise(errors.New("no exporter runs on it"), "kubectl describe daemonset -n %s %s, or --source auto", e.namespace, deploy.Name)
}

// installedIn is where the exporter is looked for, and installed.
func installedIn(given string) string { return cmp.Or(given, homeNamespace) }
