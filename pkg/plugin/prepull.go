package plugin

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// prepull has the nodes that are to be asked by a pod pull the image, so many at a time, each by a pod that prints its
// version and ends: it sees that the node can start what is in the image. Nodes that cannot are not asked.
func (q *inquiry) prepull(visits context.Context, refuse context.CancelCauseFunc) {
	var nodes []string
	for _, node := range q.aim.nodes {
		if q.Carrier != ExporterCarrier && q.aim.exporters.ready[node] == nil {
			nodes = append(nodes, node)
		}
	}
	q.progress.begin("image on ", len(nodes))
	failed := make([]error, len(nodes))
	var group errgroup.Group
	group.SetLimit(q.Concurrency)
	for i, node := range nodes {
		group.Go(func() error {
			if visits.Err() != nil {
				return nil
			}
			order := q.order(q.aim.namespace, node, q.ask)
			order.pullOnly, order.timeout = true, q.Timeout
			failed[i] = q.visit(order).observe(visits).Err
			if errors.As(failed[i], new(*refusedError)) {
				refuse(failed[i])
			}
			q.progress.finish(node, failed[i])
			return nil
		})
	}
	group.Wait()
	q.unready = map[string]error{}
	for i, node := range nodes {
		q.unready[node] = failed[i]
	}
}

// ran waits until the collector has ended.
func (v *visit) ran(ctx context.Context) error {
	v.say("starting what is in the image")
	if err := v.ending(ctx); err != nil {
		return fmt.Errorf("collector pod in namespace %s: %w", v.order.namespace, err)
	}
	return nil
}
