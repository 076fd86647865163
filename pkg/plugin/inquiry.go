package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// manyNodes are as many as make memory worth more than a tenth of the time.
const manyNodes = 50

// spareMemory bounds what the garbage collector lets lie about, until it is undone: what is held of each node is little, what is
// decoded of it, and what a view makes of that, is much and soon garbage. The limit is soft (runtime/debug.SetMemoryLimit),
// and above what is held of so many pods, or collecting would take all the time.
func spareMemory(pods int) (undo func()) {
	const base, each = 64 << 20, 1700 // bytes: of clients and what is decoded at a time; of a pod as it is listed and its row
	limit := debug.SetMemoryLimit(base + each*int64(pods))
	return func() { debug.SetMemoryLimit(limit) }
}

// inquiry is one run over the nodes of an aim.
type inquiry struct {
	*Collection
	client  kubernetes.Interface
	ask     Ask
	aim     *aim
	watched *podWatch
	unready map[string]error // of the nodes that have no image and cannot get it, why
	remarks remarks
	decoding
}

// run asks every node. The refusal of a pod that holds for all of them ends the visits by pods alone.
func (q *inquiry) run(ctx context.Context) (*Fleet, error) {
	nodes := q.aim.nodes
	q.decoding = newDecoding()
	if q.needsPods() {
		q.ledger.deleting.Go(func() { sweep(q.client, q.aim.namespace) }) // what earlier runs left behind
	}
	if len(nodes) >= manyNodes {
		defer spareMemory(len(q.aim.pods))()
	}
	q.watched = &podWatch{client: q.client, namespace: q.aim.namespace, run: newRunID(), quiet: q.quiet}
	defer q.watched.close()
	placed := placedOn(q.aim.pods)
	fleet := &Fleet{Observations: make([]Observation, len(nodes)), Pods: q.aim.pods}
	visits, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	if q.Prepull {
		q.prepull(visits, refuse)
	}
	q.progress.begin("", len(nodes))
	var group errgroup.Group
	group.SetLimit(q.Concurrency)
	for i, node := range nodes {
		group.Go(func() error {
			o := q.observe(ctx, visits, node)
			if q.each != nil && o.Err == nil {
				o.Err = q.taken(placed[node], &o)
			}
			if errors.As(o.Err, new(*refusedError)) {
				refuse(o.Err)
			}
			fleet.Observations[i] = o
			q.progress.finish(node, o.Err)
			return nil
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	fleet.remarks = q.remarks.lines()
	if refused := context.Cause(visits); refused != nil {
		if fleet, err := fleet.refused(refused); err != nil {
			return fleet, err
		}
	}
	if q.aim.sampled != "" {
		fleet.remarks = append([]string{q.aim.sampled}, fleet.remarks...)
	}
	return fleet, nil
}

// taken hands a node's answer to the view, while no more answers are held in whole than are decoded at the same time.
func (q *inquiry) taken(pods []*livePod, o *Observation) error {
	q.decoding <- struct{}{}
	defer func() { <-q.decoding }()
	listed := []livePod{} // none is not the same as not known
	for _, pod := range pods {
		listed = append(listed, *pod)
	}
	return q.each(listed, o)
}

// needsPods tells whether some node has no exporter to ask.
func (q *inquiry) needsPods() bool {
	return q.Carrier != ExporterCarrier && slices.ContainsFunc(q.aim.nodes, func(node string) bool { return q.aim.exporters.ready[node] == nil })
}

// refused gives all nodes that were not asked, or not to the end, the reason that holds for each of them. Where no node
// answered, it is the run's.
func (f *Fleet) refused(reason error) (*Fleet, error) {
	for i := range f.Observations {
		if o := &f.Observations[i]; len(o.Snapshots) == 0 {
			o.Err = reason
		}
	}
	switch {
	case slices.ContainsFunc(f.Observations, func(o Observation) bool { return o.Err == nil }):
		return f, nil
	case len(f.remarks) > 0: // why it came to pods
		return nil, fmt.Errorf("%w\n%s", reason, strings.Join(f.remarks, "\n"))
	}
	return nil, reason
}

// observe asks one node, by its exporter first. Visits is the context of pods, which a refusal may end before ctx.
func (q *inquiry) observe(ctx, visits context.Context, node string) Observation {
	exporter := q.aim.exporters.ready[node]
	if exporter != nil {
		snapshots, err := q.scrape(ctx, exporter)
		switch {
		case err == nil:
			return Observation{Node: node, Snapshots: snapshots}
		case q.Carrier == ExporterCarrier || ctx.Err() != nil:
			return Observation{Node: node, Err: err}
		}
		q.remarks.add(node, "asked by a pod, since %s", oneLine(err))
	}
	if q.Carrier == ExporterCarrier {
		return Observation{Node: node, Err: q.aim.exporters.missing(node)}
	}
	if q.aim.exporters.unready[node] && exporter == nil {
		q.remarks.add(node, "asked by a pod, since its exporter is not ready")
	}
	if visits.Err() != nil {
		return Observation{Node: node, Err: context.Cause(visits)}
	}
	if err := q.unready[node]; err != nil {
		return Observation{Node: node, Err: err}
	}
	return q.visit(q.order(q.aim.namespace, node, q.ask)).observe(visits)
}

func (q *inquiry) visit(order *order) *visit {
	order.together = q.watched.run
	return &visit{
		client: q.client, ledger: q.ledger, progress: q.progress, order: order,
		decoding: q.decoding, refusals: q.aim.refusals, watched: q.watched,
	}
}

// scrape reads a node's exporter, and says where it is of another version than the plugin.
func (q *inquiry) scrape(ctx context.Context, e *exporter) ([]*metrics.Snapshot, error) {
	q.progress.say(e.node, "asking the exporter")
	s := &scrape{client: q.client, exporter: e, ask: q.ask, patience: q.Timeout, timeout: q.Timeout}
	if q.Carrier == AnyCarrier {
		s.patience = min(q.Timeout, q.patience)
	}
	snapshots, reply, err := s.samples(ctx)
	if err != nil {
		return nil, err
	}
	q.ask.reduce(snapshots)
	if reply.version != q.version {
		q.remarks.add(e.node, "its exporter is of version %s, kubectl cosanet of %s", reply.version, q.version)
	}
	return snapshots, nil
}
