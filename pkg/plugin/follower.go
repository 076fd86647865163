package plugin

import (
	"context"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The pauses before a node that failed is asked again.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
)

// follower keeps one node asked: a term by its exporter or by a pod, and when that ends, the next one. Its fields are
// guarded by the vigil's lock.
type follower struct {
	*vigil
	node  string
	ctx   context.Context // of this node alone
	leave context.CancelFunc

	frames int       // that were handed out
	from   time.Time // of the first frame, by the node's clock
	at     time.Time // of the last one
	err    error     // why the last term ended, until a frame comes
	ended  bool      // it has been followed for the span
	retire func()    // ends the term that hands out frames
}

// run asks until the watch is over. A pod whose life is about to end is relieved by the next one: it goes when that has sent
// its first frame.
func (f *follower) run() {
	pause := firstPause
	for f.ctx.Err() == nil && !f.over() {
		term, end := context.WithCancel(f.ctx)
		over := make(chan error, 1)
		f.group.Go(func() {
			defer end()
			over <- f.ask(term, end)
		})
		relief := time.NewTimer(f.life() - f.headroom())
		select {
		case <-f.ctx.Done():
			end()
		case err := <-over:
			if err == nil || !f.failed(err) { // a term that was not relieved has sent all that it was to send
				pause = firstPause
			}
			sleep(f.ctx, pause)
			pause = min(2*pause, lastPause)
		case <-relief.C:
			pause = firstPause
		}
		relief.Stop()
	}
}

// life is how long one pod counts.
func (f *follower) life() time.Duration {
	return max(f.podLife, 4*f.vigil.ask.Interval)
}

// headroom is how long before its end a pod is relieved.
func (f *follower) headroom() time.Duration { return min(f.Timeout, f.life()/4) }

// ask follows the node for one term, by its exporter first. End is that of the term.
func (f *follower) ask(ctx context.Context, end func()) error {
	f.mu.Lock()
	aim := f.aim
	f.mu.Unlock()
	begun := false
	take := func(s *metrics.Snapshot) {
		f.take(ctx, s, !begun, end)
		begun = true
	}
	exporter := aim.exporters.ready[f.node]
	if exporter != nil {
		err := f.scrapes(ctx, exporter, take)
		if err == nil || f.Carrier == ExporterCarrier || ctx.Err() != nil {
			return err
		}
		f.tell(word{node: f.node, remark: "asked by a pod, since " + oneLine(err)})
	}
	if f.Carrier == ExporterCarrier {
		return aim.exporters.missing(f.node)
	}
	return f.visit(ctx, aim, take)
}

// visit follows the node by one pod. Only so many pods are started at the same time.
func (f *follower) visit(ctx context.Context, aim *aim, take func(*metrics.Snapshot)) error {
	select {
	case <-ctx.Done():
		return nil
	case f.starting <- struct{}{}:
	}
	started := false
	start := func() {
		if !started {
			started = true
			<-f.starting
		}
	}
	defer start()
	ask := f.vigil.ask
	ask.Samples = int(f.life()/ask.Interval) + 1
	if f.span > 0 {
		ask.Samples = min(ask.Samples, f.needed())
	}
	order := f.order(aim.namespace, f.node, ask)
	order.patience, order.together = f.Timeout, f.watched.run
	v := &visit{client: f.client, ledger: f.ledger, order: order, decoding: f.decoding, refusals: aim.refusals, watched: f.watched}
	v.doings = func(doing string) { f.tell(word{node: f.node, doing: doing}) }
	v.take = func(s *metrics.Snapshot) {
		start()
		take(s)
	}
	err := v.attend(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// scrapes follows the node by its exporter.
func (f *follower) scrapes(ctx context.Context, e *exporter, take func(*metrics.Snapshot)) error {
	ask := f.vigil.ask
	ask.Implied = false
	s := &scrape{client: f.client, exporter: e, ask: ask, patience: f.Timeout, timeout: f.Timeout}
	if f.Carrier == AnyCarrier {
		s.patience = min(f.Timeout, f.patience)
	}
	f.tell(word{node: f.node, doing: "asking the exporter"})
	last, err := s.once(ctx)
	if err == nil {
		err = last.lacks(ask)
	}
	if err == nil && last.version != f.version {
		f.tell(word{node: f.node, remark: "its exporter is of version " + last.version + ", kubectl cosanet of " + f.version})
	}
	for ; err == nil && !f.over(); last, err = s.after(ctx, last) {
		take(last.snapshot)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// take hands a frame on. The first one of a term ends the term before, of which nothing is handed on from then on. What was
// counted at nearly the same time as the last frame, or a little before it, is left out: there is no rate over next to nothing.
// By more than a little, it is the clock that was set back.
func (f *follower) take(ctx context.Context, s *metrics.Snapshot, first bool, end func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil || f.ended {
		return
	}
	if first {
		before := f.retire
		f.retire = end
		if before != nil {
			before()
		}
	}
	if later := s.Time.Sub(f.at); f.frames > 0 && later < f.vigil.ask.Interval/2 && later > -f.headroom() {
		return
	}
	if f.frames++; f.frames == 1 {
		f.from = s.Time
	}
	if f.first.IsZero() {
		f.first = time.Now()
	}
	f.at, f.err = s.Time, nil
	(&Fleet{Observations: []Observation{{Node: f.node, Snapshots: []*metrics.Snapshot{s}}}, Pods: f.aim.pods}).name()
	f.vigil.ask.reduce([]*metrics.Snapshot{s})
	f.hear(word{node: f.node, snapshot: s})
	if f.ended = f.span > 0 && (f.frames == f.needed() || s.Time.Sub(f.from) >= f.span-f.vigil.ask.Interval/2); f.ended {
		f.leave()
	}
	f.turned()
}

// needed is how many frames the span has.
func (f *follower) needed() int { return int(f.span/f.vigil.ask.Interval) + 1 }

// failed says why a term ended, and tells whether that is so and not the watch that is over.
func (f *follower) failed(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return false
	}
	f.err = err
	f.hear(word{node: f.node, err: err})
	f.turned()
	return true
}

// over tells whether the node has been followed for the span.
func (f *follower) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}
