package plugin

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// podLife is how long one collector pod counts in a watch before the next one takes over. A plugin that is killed leaves its
// pods behind for no longer than that.
const podLife = 15 * time.Minute

// relisting is how often the pods that are looked at are listed anew.
const relisting = 15 * time.Second

// word is what becomes known in a watch: a node's next frame, or why it has none, or what is being waited for; or, without a
// node, the pods that are looked at.
type word struct {
	node     string
	snapshot *metrics.Snapshot // nil where something else is said
	err      error             // why the node does not answer; it is asked again
	doing    string            // what is being waited for
	remark   string            // what is to be said of how the node is asked, once
	left     bool              // none of the pods is on the node any more
	pods     []livePod         // the selected pods, as the API server lists them now; nil: as before
	nodes    []string          // with pods: those that are asked
}

// vigil is one watch over the nodes of a selection.
type vigil struct {
	*Collection
	client kubernetes.Interface
	sel    Selection
	ask    Ask
	span   time.Duration // from a node's first frame to its last; 0: until ctx ends
	hear   func(word)    // is told one word after the other

	decoding decoding
	watched  *podWatch // of all pods of the run
	mu       sync.Mutex
	aim      *aim
	nodes    map[string]*follower
	first    time.Time // when the first frame of all came
	change   chan struct{}
	group    sync.WaitGroup
	starting chan struct{} // bounds how many pods are started at the same time
}

// Follow asks every node of the selection again and again, ask.Interval apart, and tells hear what they answer as it comes:
// by one exporter or one collector pod on each, for as long as ctx or the span lasts. Nodes that do not answer are tried
// again; pods that come and go are followed to their nodes. The error is for what concerns all nodes: what was selected,
// rights, that none answers from the beginning. The end of ctx is none.
func (c *Collection) Follow(ctx context.Context, client kubernetes.Interface, sel Selection, ask Ask, span time.Duration, hear func(word)) error {
	aim, err := c.aim(ctx, client, &sel)
	c.progress.clear()
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	v := &vigil{
		Collection: c, client: client, sel: sel, ask: ask, span: span, hear: hear,
		decoding: newDecoding(), nodes: map[string]*follower{}, change: make(chan struct{}, 1), starting: make(chan struct{}, c.Concurrency),
	}
	v.watched = &podWatch{client: client, namespace: aim.namespace, run: newRunID(), quiet: c.quiet}
	defer v.watched.close()
	if c.Carrier != ExporterCarrier {
		c.ledger.deleting.Go(func() { sweep(client, aim.namespace) })
	}
	followed, stop := context.WithCancel(ctx)
	defer v.group.Wait()
	defer stop()
	v.retarget(followed, aim)
	return v.run(followed)
}

// run waits until the watch is over, and lists the pods anew from time to time.
func (v *vigil) run(ctx context.Context) error {
	relist := time.NewTicker(relisting)
	defer relist.Stop()
	over := time.NewTicker(100 * time.Millisecond) // only while there is an end to wait for
	defer over.Stop()
	if v.span == 0 {
		over.Stop()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-relist.C:
			if aim, err := v.Collection.aim(ctx, v.client, &v.sel); err == nil {
				v.retarget(ctx, aim)
			} else if ctx.Err() == nil {
				v.tell(word{doing: "the pods could not be listed anew: " + oneLine(err)})
			}
		case <-v.change:
			if err := v.refused(); err != nil {
				return err
			}
		case <-over.C:
		}
		if v.done() {
			return nil
		}
	}
}

// retarget follows the nodes that are to be asked by now, and lets go of those that are not.
func (v *vigil) retarget(ctx context.Context, aim *aim) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.aim != nil {
		aim.namespace = v.aim.namespace
	}
	v.aim = aim
	pods := aim.pods
	if pods == nil {
		pods = []livePod{} // none is not the same as not known
	}
	v.hear(word{pods: pods, nodes: aim.nodes})
	for _, node := range aim.nodes {
		if v.nodes[node] == nil {
			f := &follower{vigil: v, node: node}
			f.ctx, f.leave = context.WithCancel(ctx)
			v.nodes[node] = f
			v.group.Go(f.run)
		}
	}
	for node, f := range v.nodes {
		if !contains(aim.nodes, node) {
			f.leave()
			delete(v.nodes, node)
			v.hear(word{node: node, left: true})
		}
	}
}

func (v *vigil) tell(w word) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hear(w)
}

// turned wakes run up: something came that may be the end of it.
func (v *vigil) turned() {
	select {
	case v.change <- struct{}{}:
	default:
	}
}

// refused is the error of a watch in which every node was tried and none has ever answered.
func (v *vigil) refused() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.first.IsZero() {
		return nil
	}
	fleet := &Fleet{}
	for node, f := range v.nodes {
		if errors.As(f.err, new(*refusedError)) {
			return f.err // it holds for all
		}
		if f.err != nil {
			fleet.Observations = append(fleet.Observations, Observation{Node: node, Err: f.err})
		}
	}
	if len(fleet.Observations) < len(v.nodes) {
		return nil
	}
	slices.SortFunc(fleet.Observations, func(a, b Observation) int { return strings.Compare(a.Node, b.Node) })
	return fleet.failure()
}

// done tells whether every node has been followed for the span, or is not worth waiting for any longer.
func (v *vigil) done() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.span == 0 || v.first.IsZero() && len(v.nodes) > 0 {
		return false
	}
	since := time.Since(v.first)
	for _, f := range v.nodes {
		waiting := since < v.span || f.err == nil && since < v.span+v.Timeout
		if !f.ended && waiting {
			return false
		}
	}
	return true
}

// failing says that a node does not answer.
func failing(node string, err error) string {
	return "node " + node + ": " + oneLine(err) + "; it is asked again"
}
