package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// late words that the time is over, with what came between: a node that is silent by now, else what the cluster last
// complained of: a sandbox that cannot be made, a volume that cannot be mounted, show nowhere but in events.
func (v *visit) late(ctx context.Context) error {
	within := v.order.timeout
	if v.came == 0 {
		within = cmp.Or(v.order.patience, within)
	}
	err := fmt.Errorf("no answer within %s, last %s", within, v.doing)
	if v.pod == nil {
		return advise(err, "give it longer with --timeout")
	}
	if why := v.silence(ctx); why != nil {
		return advise(fmt.Errorf("%w: %w", err, why), "kubectl describe node %s", v.order.node)
	}
	ctx, cancel := context.WithTimeout(ctx, shortPatience)
	defer cancel()
	events, listErr := v.client.CoreV1().Events(v.order.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "type=Warning,involvedObject.uid=" + string(v.pod.UID),
	})
	if listErr == nil && len(events.Items) > 0 {
		last := latest(events.Items)
		err = fmt.Errorf("%w: %s: %s", err, last.Reason, last.Message)
	}
	return advise(err, "kubectl get events -n %s --field-selector involvedObject.name=%s; kubectl describe node %s; or give it longer with --timeout",
		v.order.namespace, v.order.name, v.order.node)
}

// latest is the event that was seen last. A listing has them by name, which has the time of their first occurrence in it.
func latest(events []corev1.Event) *corev1.Event {
	at := 0
	for i := range events {
		if lastSeen(&events[i]).After(lastSeen(&events[at])) {
			at = i
		}
	}
	return &events[at]
}

// lastSeen is when an event was seen last. Those of the newer kind are counted in a series (events.k8s.io/v1).
func lastSeen(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil && !e.Series.LastObservedTime.IsZero():
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	}
	return e.EventTime.Time
}

// silence says why nothing can be heard of the node, nil where its kubelet speaks. The node itself says so only most of a
// minute later (--node-monitor-grace-period of the controller manager); the log of a pod is had from the kubelet, which has
// an answer also where there is no log yet.
func (v *visit) silence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shortPatience)
	defer cancel()
	node, err := v.client.CoreV1().Nodes().Get(ctx, v.order.node, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return errors.New("by now there is no such node")
	case err == nil:
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				return fmt.Errorf("by now %w", notReady(c))
			}
		}
	}
	if v.pod.Spec.NodeName == "" {
		return nil
	}
	one := int64(1)
	log, err := v.pods().GetLogs(v.order.name, &corev1.PodLogOptions{Container: collectorName, TailLines: &one}).Stream(ctx)
	switch {
	case err == nil:
		log.Close()
		return nil
	case ctx.Err() != nil:
		return errors.New("the kubelet does not answer the API server: it hangs or is cut off")
	case lost(err):
		return fmt.Errorf("the kubelet does not answer the API server: %w", err)
	}
	return nil
}
