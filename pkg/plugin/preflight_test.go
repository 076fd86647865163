package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestRefusal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.Node)
		want   string
	}{
		{"ready", func(*corev1.Node) {}, ""},
		{"cordoned", func(n *corev1.Node) {
			n.Spec.Unschedulable = true
			n.Spec.Taints = []corev1.Taint{{Key: "node.kubernetes.io/unschedulable", Effect: corev1.TaintEffectNoSchedule}}
		}, ""},
		{"no status yet", func(n *corev1.Node) { n.Status = corev1.NodeStatus{} }, ""},
		{"kubelet gone", func(n *corev1.Node) {
			n.Status.Conditions[0] = corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status."}
		}, "it is NotReady: NodeStatusUnknown: Kubelet stopped posting node status.\n  kubectl describe node n1"},
		{"not ready", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }, "it is NotReady\n  kubectl describe node n1"},
		{"Windows", func(n *corev1.Node) { n.Status.NodeInfo.OperatingSystem = "windows" },
			"it runs windows: network namespaces are Linux's, there is nothing to count"},
		{"Windows by label", func(n *corev1.Node) {
			n.Status.NodeInfo.OperatingSystem, n.Labels = "", map[string]string{corev1.LabelOSStable: "windows"}
		}, "it runs windows: network namespaces are Linux's, there is nothing to count"},
		{"Fargate", func(n *corev1.Node) { n.Labels = map[string]string{"eks.amazonaws.com/compute-type": "fargate"} },
			"it is an AWS Fargate node: there is no machine that would take a pod with host access"},
		{"virtual kubelet", func(n *corev1.Node) { n.Labels = map[string]string{"type": "virtual-kubelet"} },
			"it is a virtual node (virtual-kubelet): there is no machine that would take a pod with host access"},
		{"virtual kubelet by version", func(n *corev1.Node) { n.Status.NodeInfo.KubeletVersion = "v1.25.0-vk-azure-aci-1.6.2" },
			"it is a virtual node (virtual-kubelet): there is no machine that would take a pod with host access"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			node := nodeNamed("n1")
			tt.change(node)
			got := ""
			if err := refusal(node); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
		})
	}
}
