//go:build linux

package collector

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// maxGenerations is of how many walks the answers may be held by slow clients at a time: a node's memory is not for those who
// do not read. When there are as many, the last walk is shared for as long as patience has it, and then the readers of the
// oldest are cut off, but for those who have taken paceBytes within that time.
const (
	maxGenerations = 4
	patience       = 5 * time.Second
)

// maxWalk is for how long a walk may last. A node of a thousand namespaces takes a second.
const maxWalk = time.Minute

// walks lets any number of scrapes share a walk. There are never two walks at once: a scrape that comes during one
// waits for its end, and one that finds it stuck goes away without a second.
type walks struct {
	walk     func(context.Context) *metrics.Snapshot
	recycle  func(*metrics.Snapshot)
	ended    func(walkResult) // called after each walk, before its answers; may change the Snapshot
	cacheFor time.Duration
	patience time.Duration
	limit    time.Duration   // of a walk, which then ends without a result
	base     context.Context // of all walks: they outlive the scrapes that begin them

	mu      sync.Mutex
	current *generation   // of the last walk, to share; nil while one runs
	running *flight       // nil: none
	alive   []*generation // all that someone holds, the oldest first
	ever    bool          // whether a walk has been completed
	spare   [][]byte      // bodies of generations that have gone
	crowded *generation   // the one of which a plain text is kept; nil: none
}

// walkResult is what became of a walk.
type walkResult struct {
	snapshot *metrics.Snapshot // nil: none, see err
	took     time.Duration
	err      error
}

// flight is a walk under way.
type flight struct {
	begin   time.Time
	waiting []*share      // guarded by walks.mu
	done    chan struct{} // closed at the end; each share that waits then has its generation, or err is set
	err     error
}

// generation is what one walk counted, and the bodies that were made of it.
type generation struct {
	walks    *walks
	begin    time.Time
	snapshot *metrics.Snapshot
	bodies   [2]body // by metrics.Format
	texts    [2]text // the same

	shares    map[*share]bool // guarded by walks.mu; so is the rest
	snapshots int             // shares that may still read the snapshot, and one while it is current
	current   bool
}

// share is the hold of one scrape on a generation.
type share struct {
	*generation
	cut      func() // ends the writing of the answer at once; nil: not yet writing
	finished bool   // with the snapshot
}

// stuckError says that a scrape waited in vain.
type stuckError struct {
	waited, age time.Duration
}

func (e *stuckError) Error() string {
	return fmt.Sprintf("the walk over this node that began %.1fs ago has not ended (waited %.1fs); no second one is begun", e.age.Seconds(), e.waited.Seconds())
}

// get returns a share of the current generation if it is young enough, else of the next walk's, which it begins unless
// it runs already. When ctx ends first, get fails and the walk goes on. A share must be released.
func (w *walks) get(ctx context.Context) (*share, error) {
	asked := time.Now()
	s := new(share)
	w.mu.Lock()
	if w.current != nil && time.Since(w.current.begin) < w.lifetime() {
		w.current.hand(s)
		w.mu.Unlock()
		return s, nil
	}
	f := w.begun()
	f.waiting = append(f.waiting, s)
	w.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case s.generation != nil:
		return s, nil
	case f.err != nil:
		return nil, f.err
	}
	f.waiting = slices.DeleteFunc(f.waiting, func(other *share) bool { return other == s })
	return nil, &stuckError{waited: time.Since(asked), age: time.Since(f.begin)}
}

// lifetime is how old a walk may be to be shared.
func (w *walks) lifetime() time.Duration {
	if len(w.alive) >= maxGenerations {
		return max(w.cacheFor, w.patience)
	}
	return w.cacheFor
}

// begin begins a walk unless one runs.
func (w *walks) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun()
}

// begun returns the walk under way, which it begins if there is none. The last generation is given up first: the
// walk may write over its memory.
func (w *walks) begun() *flight {
	if w.running != nil {
		return w.running
	}
	if g := w.current; g != nil {
		w.current, g.current = nil, false
		g.snapshotDone()
		g.settle()
	}
	w.cutSlowest()
	f := &flight{begin: time.Now(), done: make(chan struct{})}
	w.running = f
	go w.fly(f)
	return f
}

// cutSlowest makes room for one more generation, as far as its readers are slow.
func (w *walks) cutSlowest() {
	for _, g := range w.alive[:max(0, len(w.alive)-(maxGenerations-1))] {
		for s := range g.shares {
			if s.cut != nil {
				s.cut()
			}
		}
	}
}

func (w *walks) fly(f *flight) {
	ctx, cancel := context.WithTimeoutCause(w.base, w.limit, fmt.Errorf("not done after %s", w.limit))
	defer cancel()
	snapshot := w.walk(ctx)
	result := walkResult{took: time.Since(f.begin)}
	if ctx.Err() != nil { // half a walk is no answer
		result.err = fmt.Errorf("walking this node: %w", context.Cause(ctx))
		w.recycle(snapshot)
	} else {
		result.snapshot = snapshot
	}
	w.ended(result)

	w.mu.Lock()
	defer w.mu.Unlock()
	defer close(f.done)
	w.running = nil
	if f.err = result.err; f.err != nil {
		return
	}
	g := &generation{walks: w, begin: f.begin, snapshot: snapshot, current: true, snapshots: 1, shares: map[*share]bool{}}
	for _, s := range f.waiting {
		g.hand(s)
	}
	w.ever, w.current, w.alive = true, g, append(w.alive, g)
}

// state tells since when a walk runs (zero: none does), and whether one has ever been completed.
func (w *walks) state() (running time.Duration, ever bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running != nil {
		running = time.Since(w.running.begin)
	}
	return running, w.ever
}

// wait waits for the end of the walk under way, and tells whether there is none any more.
func (w *walks) wait(atMost time.Duration) bool {
	w.mu.Lock()
	f := w.running
	w.mu.Unlock()
	if f == nil {
		return true
	}
	select {
	case <-f.done:
		return true
	case <-time.After(atMost):
		return false
	}
}

// hand gives a share of the generation away. walks.mu is held.
func (g *generation) hand(s *share) {
	s.generation = g
	g.shares[s] = true
	g.snapshots++
}

// writing says how the writing of the answer can be ended early, until the share is released.
func (s *share) writing(cut func()) {
	s.walks.mu.Lock()
	defer s.walks.mu.Unlock()
	s.cut = cut
}

// snapshotRead says that the share does not read the snapshot any more.
func (s *share) snapshotRead() {
	s.walks.mu.Lock()
	defer s.walks.mu.Unlock()
	s.finish()
}

// release ends the share.
func (s *share) release() {
	s.walks.mu.Lock()
	defer s.walks.mu.Unlock()
	s.finish()
	delete(s.shares, s)
	s.settle()
}

func (s *share) finish() {
	if !s.finished {
		s.finished = true
		s.snapshotDone()
	}
}

// snapshotDone gives the snapshot back when nobody reads it any more. walks.mu is held.
func (g *generation) snapshotDone() {
	if g.snapshots--; g.snapshots == 0 {
		g.walks.recycle(g.snapshot)
		g.snapshot = nil
	}
}

// settle ends a generation that nobody holds. walks.mu is held.
func (g *generation) settle() {
	w := g.walks
	if g.current || len(g.shares) > 0 {
		return
	}
	if w.crowded == g {
		w.crowded = nil
	}
	w.alive = slices.DeleteFunc(w.alive, func(other *generation) bool { return other == g })
	for i := range g.bodies {
		if b := g.bodies[i].deflated; b != nil && len(w.spare) < cap(g.bodies[:]) {
			w.spare = append(w.spare, b)
		}
	}
}

// buffer returns a slice to write into, used before if there is one.
func (w *walks) buffer() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.spare) == 0 {
		return nil
	}
	last := len(w.spare) - 1
	b := w.spare[last]
	w.spare = w.spare[:last]
	return b[:0]
}
