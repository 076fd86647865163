package plugin

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// nudgedAnnotation is on a DaemonSet whose controller was woken; its value is when.
const nudgedAnnotation = "cosanet.io/nudged"

// nudgeMargin is how much longer than minReadySeconds a ready pod may wait until the old one of its node is deleted.
const nudgeMargin = 3 * time.Second

// stall watches for a rollout that its controller has forgotten. The controller looks again minReadySeconds after a pod
// became ready, but its queue keeps only the earlier of two such appointments (k8s.io/client-go/util/workqueue, insert in
// delaying_queue.go). Where two versions are applied shortly after one another, the first one's appointment comes before the
// second one's pods count as available, and there is no other: old and new pods stay side by side until something
// else changes. Any change of the DaemonSet wakes it.
type stall struct {
	ready, updated int
	since          time.Time
}

// over tells whether ready pods have waited for longer than they should.
func (w *stall) over(s *standings, now time.Time) bool {
	ready, updated := len(s.ready), int(s.daemonSet.Status.UpdatedNumberScheduled)
	if w.since.IsZero() || ready != w.ready || updated != w.updated {
		*w = stall{ready, updated, now}
	}
	limit := time.Duration(s.daemonSet.Spec.MinReadySeconds)*time.Second + nudgeMargin
	if ready <= updated || now.Sub(w.since) < limit {
		return false
	}
	w.since = now
	return true
}

// nudge wakes the controller of a DaemonSet. Who may not is no worse off than before.
func (i *installation) nudge(ctx context.Context, name string) {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, nudgedAnnotation, time.Now().UTC().Format(time.RFC3339))
	i.client.AppsV1().DaemonSets(i.namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: managedBy})
}
