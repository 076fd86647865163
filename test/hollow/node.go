package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusPeriod is how often a kubelet reports a node's status that has not changed (nodeStatusReportFrequency).
const statusPeriod = 5 * time.Minute

// object is the node as its kubelet registers it.
func (n *node) object(version string, port int, now time.Time) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name: n.name,
			Labels: map[string]string{
				hollowLabel:                        "true",
				"kubernetes.io/hostname":           n.name,
				"kubernetes.io/os":                 "linux",
				"kubernetes.io/arch":               "amd64",
				"node.kubernetes.io/instance-type": "hollow",
				"topology.kubernetes.io/region":    "hollow",
				"topology.kubernetes.io/zone":      fmt.Sprintf("hollow-%c", 'a'+n.number%3),
				"node.kubernetes.io/exclude-from-external-load-balancers": "true",
			},
		},
		Spec:   corev1.NodeSpec{Taints: []corev1.Taint{{Key: hollowLabel, Value: "true", Effect: corev1.TaintEffectNoSchedule}}},
		Status: n.status(version, port, now),
	}
}

func (n *node) status(version string, port int, now time.Time) corev1.NodeStatus {
	resources := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("16"),
		corev1.ResourceMemory:           resource.MustParse("64Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
		corev1.ResourcePods:             resource.MustParse("250"),
	}
	return corev1.NodeStatus{
		Capacity:        resources,
		Allocatable:     resources,
		Conditions:      n.conditions(now),
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.address.String()}, {Type: corev1.NodeHostName, Address: n.name}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID:               fmt.Sprintf("%032x", hash("machine", uint64(n.number))),
			SystemUUID:              uuid("system", uint64(n.number)),
			BootID:                  uuid("boot", uint64(n.number)),
			KernelVersion:           "6.1.0",
			OSImage:                 "Hollow",
			ContainerRuntimeVersion: "hollow://1",
			KubeletVersion:          version,
			OperatingSystem:         "linux",
			Architecture:            "amd64",
		},
	}
}

// conditions are those that a kubelet reports (pkg/kubelet/nodestatus/setters.go).
func (n *node) conditions(now time.Time) []corev1.NodeCondition {
	time := metav1.NewTime(now)
	condition := func(of corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: of, Status: status, Reason: reason, Message: message, LastHeartbeatTime: time, LastTransitionTime: time}
	}
	ready := condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status")
	if n.trouble == notReady {
		ready = condition(corev1.NodeReady, corev1.ConditionFalse, "KubeletNotReady",
			"container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized")
	}
	return []corev1.NodeCondition{
		condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
		condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
		condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
		ready,
	}
}

// uuid is one that is the same for the same numbers.
func uuid(what string, number uint64) string {
	a, b := hash(what, number), hash(what+"'", number)
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// register makes the Node object and its lease, or takes over those of an earlier run.
func (f *fleet) register(ctx context.Context, n *node, leases *leases) error {
	object, err := f.client.CoreV1().Nodes().Create(ctx, n.object(f.version, f.port, time.Now()), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		if object, err = f.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{}); err == nil {
			err = f.report(ctx, n, object)
		}
	}
	if err != nil {
		return fmt.Errorf("registering node %s: %w", n.name, err)
	}
	if err := leases.take(ctx, n, object); err != nil {
		return err
	}
	f.progress.count(func(s *progressState) { s.Nodes++ })
	return nil
}

// report writes the node's status. Without a resource version it is that of the kubelet, whatever others wrote since.
func (f *fleet) report(ctx context.Context, n *node, object *corev1.Node) error {
	object = object.DeepCopy()
	object.ResourceVersion = ""
	status := n.status(f.version, f.port, time.Now())
	for i := range status.Conditions {
		for _, old := range object.Status.Conditions {
			if c := &status.Conditions[i]; old.Type == c.Type && old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	object.Status = status
	_, err := f.client.CoreV1().Nodes().UpdateStatus(ctx, object, metav1.UpdateOptions{})
	return err
}

// reportNodes reports every node's status again and again, spread over the period, as kubelets do for nodes that are as
// they were; what says that they live is their lease.
func (f *fleet) reportNodes(ctx context.Context) error {
	tick := time.NewTicker(statusPeriod / time.Duration(len(f.nodes)))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		n := f.nodes[i%len(f.nodes)]
		object, err := f.client.CoreV1().Nodes().Get(ctx, n.name, metav1.GetOptions{ResourceVersion: "0"})
		if err == nil {
			err = f.report(ctx, n, object)
		}
		if err != nil && ctx.Err() == nil {
			f.progress.step("reporting node %s: %v", n.name, err) // a kubelet tries again later, too
		}
	}
}
