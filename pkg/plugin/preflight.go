package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// preflight refuses a node on which a collector pod could not run, before one is made. Who may not read nodes goes
// without: the pod's own state tells the same, later.
func preflight(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return advise(fmt.Errorf("nodes %q not found", name), "kubectl get nodes")
	case apierrors.IsForbidden(err):
		return nil
	case err != nil:
		return fmt.Errorf("getting the node: %w", err)
	}
	return refusal(node)
}

// refusal says why a node cannot run a collector, nil when it can. A cordoned node can: the pod tolerates everything.
func refusal(node *corev1.Node) error {
	if os := operatingSystem(node); os != "" && os != "linux" {
		return fmt.Errorf("it runs %s: network namespaces are Linux's, there is nothing to count", os)
	}
	if kind := virtual(node); kind != "" {
		return fmt.Errorf("it is %s: there is no machine that would take a pod with host access", kind)
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
			return advise(notReady(c), "kubectl describe node %s", node.Name)
		}
	}
	return nil
}

func notReady(c corev1.NodeCondition) error {
	text := "it is NotReady"
	for _, part := range []string{c.Reason, c.Message} {
		if part != "" {
			text += ": " + part
		}
	}
	return errors.New(text)
}

func operatingSystem(node *corev1.Node) string {
	if os := node.Status.NodeInfo.OperatingSystem; os != "" {
		return os
	}
	return node.Labels[corev1.LabelOSStable]
}

// virtual names the kind of node that is no machine: https://virtual-kubelet.io, AWS Fargate, Azure Container Instances.
func virtual(node *corev1.Node) string {
	switch {
	case node.Labels["eks.amazonaws.com/compute-type"] == "fargate":
		return "an AWS Fargate node"
	case node.Labels["type"] == "virtual-kubelet",
		node.Labels["kubernetes.io/role"] == "agent" && strings.HasPrefix(node.Name, "virtual-node-"),
		strings.Contains(node.Status.NodeInfo.KubeletVersion, "-vk-"):
		return "a virtual node (virtual-kubelet)"
	}
	return ""
}
