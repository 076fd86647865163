package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// The nodes' own pods are of some workloads in some namespaces, spread evenly.
const namespaces = 10

var workloads = [...]string{"frontend", "checkout", "cart", "catalog", "search", "payment", "shipping", "ads", "mail", "worker"}

func namespaceName(i int) string { return fmt.Sprintf("hollow-%d", i+1) }

// ownPod is the identity of one of a node's own pods: a function of its number alone.
type ownPod struct {
	node, index         int // index below maxPods
	namespace, workload int
}

func newOwnPod(node, index int) ownPod {
	return ownPod{node, index, (node + index) % namespaces, (node + index/namespaces) % len(workloads)}
}

// templateHash stands for the hash of a pod template, as in the names of ReplicaSets.
func templateHash(workload int) string { return letters(hash("template", uint64(workload)), 9) }

func replicaSetName(workload int) string { return workloads[workload] + "-" + templateHash(workload) }

// name is that which a ReplicaSet would give it. The suffix, five letters in a real one's, says which pod it is.
func (p ownPod) name() string {
	return replicaSetName(p.workload) + "-" + letters(scramble(uint64(p.node*maxPods+p.index)), 5)
}

// suffixLetters are those of generated names (k8s.io/apimachinery/pkg/util/rand).
const suffixLetters = "bcdfghjklmnpqrstvwxz2456789"

// suffixes is how many names of five letters there are.
const suffixes = 27 * 27 * 27 * 27 * 27

// scramble maps the numbers below suffixes onto each other, neighbours far apart.
func scramble(n uint64) uint64 { return n * 6_480_001 % suffixes }

func letters(n uint64, count int) string {
	text := make([]byte, count)
	for i := range text {
		text[i] = suffixLetters[n%uint64(len(suffixLetters))]
		n /= uint64(len(suffixLetters))
	}
	return string(text)
}

// address is one that nothing is reached by: of the carriers' shared space (RFC 6598), which no cluster of this program's
// kind routes.
func (p ownPod) address() netip.Addr {
	return nth(netip.MustParsePrefix("100.64.0.0/10"), p.node*maxPods+p.index)
}

// replicaSet is the owner of a workload's pods.
func replicaSet(workload int) *appsv1.ReplicaSet {
	none, labels := int32(0), podLabels(workload)
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: replicaSetName(workload), Labels: labels, Finalizers: []string{hollowLabel}},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &none,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": workloads[workload], appsv1.DefaultDeploymentUniqueLabelKey: templateHash(workload)}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec("")},
		},
	}
}

func podLabels(workload int) map[string]string {
	return map[string]string{hollowLabel: "true", "app": workloads[workload], appsv1.DefaultDeploymentUniqueLabelKey: templateHash(workload)}
}

// podSpec is that of the nodes' own pods. Nobody needs to be told when one is deleted: it is gone at once.
func podSpec(node string) corev1.PodSpec {
	no, now := false, int64(0)
	return corev1.PodSpec{
		NodeName:                      node,
		Tolerations:                   []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
		TerminationGracePeriodSeconds: &now,
		AutomountServiceAccountToken:  &no,
		EnableServiceLinks:            &no,
		Containers:                    []corev1.Container{{Name: "app", Image: "hollow.test/app:1", ImagePullPolicy: corev1.PullIfNotPresent}},
	}
}

// object is the pod, bound to its node.
func (p ownPod) object(owner types.UID) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: p.name(), Namespace: namespaceName(p.namespace), Labels: podLabels(p.workload),
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: replicaSetName(p.workload), UID: owner, Controller: &yes, BlockOwnerDeletion: &yes}},
		},
		Spec: podSpec(nodeName(p.node)),
	}
}

// owners makes the namespaces and the ReplicaSets in them, and returns the latter's UIDs.
//
// A ReplicaSet's controller would make pods that are missing and delete those that are too many. It lets one be that is
// about to be deleted (pkg/controller/replicaset: syncReplicaSet), and the garbage collector spares the pods of an owner
// that is still there. So each is deleted at once, and its finalizer keeps it.
func (f *fleet) owners(ctx context.Context) (map[[2]int]types.UID, error) {
	uids := map[[2]int]types.UID{}
	for ns := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceName(ns), Labels: map[string]string{hollowLabel: "true"}}}
		if _, err := f.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("making namespace %s: %w", namespace.Name, err)
		}
		for w := range workloads {
			uid, err := f.owner(ctx, namespace.Name, w)
			if err != nil {
				return nil, fmt.Errorf("making ReplicaSet %s/%s: %w", namespace.Name, replicaSetName(w), err)
			}
			uids[[2]int{ns, w}] = uid
		}
	}
	return uids, f.awaitServiceAccounts(ctx)
}

func (f *fleet) owner(ctx context.Context, namespace string, workload int) (types.UID, error) {
	client := f.client.AppsV1().ReplicaSets(namespace)
	set, err := client.Create(ctx, replicaSet(workload), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		set, err = client.Get(ctx, replicaSetName(workload), metav1.GetOptions{})
	}
	if err != nil {
		return "", err
	}
	if set.DeletionTimestamp == nil {
		background := metav1.DeletePropagationBackground
		err = client.Delete(ctx, set.Name, metav1.DeleteOptions{PropagationPolicy: &background})
	}
	return set.UID, err
}

// awaitServiceAccounts waits until the namespaces take pods.
func (f *fleet) awaitServiceAccounts(ctx context.Context) error {
	for ns := range namespaces {
		for {
			_, err := f.client.CoreV1().ServiceAccounts(namespaceName(ns)).Get(ctx, "default", metav1.GetOptions{})
			if err == nil {
				break
			}
			if !apierrors.IsNotFound(err) {
				return fmt.Errorf("waiting for the service account of namespace %s: %w", namespaceName(ns), err)
			}
			if !sleep(ctx, 100*time.Millisecond) {
				return ctx.Err()
			}
		}
	}
	return nil
}

// sleep waits, and tells whether ctx still goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
