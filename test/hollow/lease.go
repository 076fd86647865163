package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A kubelet's lease is for 40 s and renewed every 10 s (nodeLeaseDurationSeconds; pkg/kubelet: NodeLeaseRenewIntervalFraction).
const (
	leaseSeconds = 40
	leasePeriod  = 10 * time.Second
	renewers     = 16
)

// renewalStep is how often the leases that are due are renewed, those of a fifth of the nodes at a time. Each node's come every
// leasePeriod, as with real kubelets, but one that comes alone wakes etcd, the API server and all who watch leases for itself.
const renewalStep = leasePeriod / 5

// leases are those of all nodes, renewed in turn.
type leases struct {
	fleet *fleet
	mu    sync.Mutex
	held  []*coordinationv1.Lease // as the API server last answered
}

func newLeases(f *fleet) *leases { return &leases{fleet: f} }

// take makes a node's lease, or takes over the one of an earlier run.
func (l *leases) take(ctx context.Context, n *node, object *corev1.Node) error {
	client := l.fleet.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	seconds, now := int32(leaseSeconds), metav1.NowMicro()
	lease, err := client.Create(ctx, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name:            n.name,
			Labels:          map[string]string{hollowLabel: "true"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: object.Name, UID: object.UID}},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		lease, err = client.Get(ctx, n.name, metav1.GetOptions{})
	}
	if err != nil {
		return fmt.Errorf("taking the lease of node %s: %w", n.name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = append(l.held, lease)
	return nil
}

// renew renews every lease once in a period, until ctx ends.
func (l *leases) renew(ctx context.Context) error {
	due := make(chan int)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(due)
	for range renewers {
		workers.Go(func() {
			for i := range due {
				if err := l.renewOne(ctx, i); err != nil && ctx.Err() == nil {
					l.fleet.progress.step("%v", err)
				}
			}
		})
	}
	tick := time.NewTicker(renewalStep)
	defer tick.Stop()
	begin := time.Now()
	for at := 0.0; ; { // how many were due since the beginning, of as many as there were then
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		l.mu.Lock()
		n := len(l.held)
		l.mu.Unlock()
		next := at + time.Since(begin).Seconds()/leasePeriod.Seconds()*float64(n)
		begin = time.Now()
		for i := int(at); i < int(next); i++ {
			select {
			case due <- i % n:
			case <-ctx.Done():
				return nil
			}
		}
		at = next
	}
}

// renewOne writes a lease anew, whole and in protobuf as a kubelet does: for the API server that is less work than a patch.
// Who wrote which field of it is of no interest, and to keep account of that would be half of the work
// (https://kubernetes.io/docs/reference/using-api/server-side-apply/#clearing-managedfields).
func (l *leases) renewOne(ctx context.Context, i int) error {
	l.mu.Lock()
	lease := l.held[i].DeepCopy()
	l.mu.Unlock()
	client := l.fleet.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	now := metav1.NowMicro()
	lease.Spec.RenewTime = &now
	lease.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	renewed, err := client.Update(ctx, lease, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) {
		renewed, err = client.Get(ctx, lease.Name, metav1.GetOptions{})
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of node %s: %w", lease.Name, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[i] = renewed
	return nil
}
