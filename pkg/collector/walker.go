//go:build linux

package collector

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Walk reads every network namespace of the node once. What fails is in the Snapshot: a sandbox that could not be read
// has a cosanet_read_success of 0, a node without runtime a cosanet_discovery_success of 0. Nothing is kept open.
func Walk(ctx context.Context, c *Config) *metrics.Snapshot {
	w := NewWalker(c)
	defer w.Close()
	return w.Walk(ctx)
}

// Walker walks a node again and again. Between the walks it keeps the connection to the runtime, what the runtime said of
// each sandbox and where its process was found, what the parsers know of the kernel's headings, and memory; no descriptor
// below /proc, and nothing that the next walk takes for granted: a process must prove itself anew on each (see visit). It
// is not safe for concurrent use, but for Recycle.
type Walker struct {
	config   *Config
	families *families
	runtime  runtimeClient
	readers  []*reader // one for each worker
	host     *reader
	netns    netnsNames
	room     room

	sandboxes []*target          // those of the runtime's last list, by namespace, pod, UID, and the newest attempt first
	byID      map[string]*target // the same
	targets   []*target          // those to be read, in the order of their records
	walks     int

	// Of the present walk.
	hostInode  uint64
	hostRecord []metrics.Record // none or one
	hostOwn    []netip.Addr     // the host's addresses
	filtered   int              // sandboxes that the pod filter left out
	criFailed  error            // why the runtime's list could not be had; nil: it answered
	noCgroups  error            // why the processes told of no pod; nil: some did, or the node has none
	dropped    [len(bounds)]atomic.Int64

	mu       sync.Mutex
	claimed  map[uint64]*target // inode of net/snmp -> who was last to claim a namespace with it
	numbered map[uint64]*target // the same by the inode in nsfs, by which it may be called
	recycled []*metrics.Snapshot
}

// NewWalker returns a Walker that has not asked anything yet.
func NewWalker(c *Config) *Walker {
	return &Walker{
		config: c, families: newFamilies(c), runtime: runtimeClient{override: c.CRISocket},
		byID: map[string]*target{}, claimed: map[uint64]*target{}, numbered: map[uint64]*target{},
	}
}

// Walk reads every network namespace of the node once. What fails is in the Snapshot, as in the function Walk. It ends
// soon after ctx does; what was not read by then has failed.
//
// The sandboxes of the last walk are read while the runtime is asked what has become of them: those that are still listed
// are done with then. Only for those that were not there, or not found, the processes of the node are looked through.
func (w *Walker) Walk(ctx context.Context) *metrics.Snapshot {
	begin := time.Now()
	w.reset()
	var hostRead sync.WaitGroup
	w.readHost(&hostRead)
	listed := w.askRuntime(ctx)
	var found processes
	if len(w.targets) == 0 {
		found = scanProcesses()
	} else {
		w.visitAll(ctx, w.proved())
	}
	w.criFailed = <-listed
	if w.criFailed == nil {
		w.criFailed = w.takeList()
	}
	if missing := w.missing(); found.byPod == nil && (w.criFailed != nil || len(missing) > 0) {
		found = scanProcesses()
	}
	if w.criFailed != nil {
		w.addByCgroup(found)
	}
	w.noCgroups = w.toldByCgroups(found)
	missing := w.missing()
	w.locate(ctx, missing, found)
	w.visitAll(ctx, missing)
	w.visitAll(ctx, w.others(found))
	w.shareOnce(ctx)
	hostRead.Wait()
	w.attributeOwners(ctx)
	return w.snapshot(begin)
}

// Recycle gives a Snapshot of this Walker back, once, so that a later walk may write over it. It may be called from any
// goroutine, while a walk runs too.
func (w *Walker) Recycle(s *metrics.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recycled = append(w.recycled, s)
}

// Close gives up what is kept. No Walk may follow.
func (w *Walker) Close() error {
	w.runtime.close()
	return nil
}

// maxFamilies bounds the names of families that are remembered. A kernel has six hundred; a pod can make it show a
// thousand more, of ICMP message types.
const maxFamilies = 4096

// reset makes ready for the next walk.
func (w *Walker) reset() {
	w.walks++
	w.filtered, w.hostInode, w.hostRecord, w.hostOwn = 0, 0, w.hostRecord[:0], nil
	for bound := range w.dropped {
		w.dropped[bound].Store(0)
	}
	clear(w.claimed)
	clear(w.numbered)
	for _, t := range w.sandboxes { // one that was read and then not listed any more, or superseded
		t.outcome = outcome{}
	}
	if len(w.families.byName) > maxFamilies {
		w.families, w.readers, w.host = newFamilies(w.config), nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, s := range w.recycled {
		w.recycled[i] = nil
		w.room.empty(s)
	}
	w.recycled = w.recycled[:0]
}

// askRuntime asks for the list of sandboxes and returns where the answer comes.
func (w *Walker) askRuntime(ctx context.Context) <-chan error {
	listed := make(chan error, 1)
	go func() {
		ctx, cancel := halfOf(ctx)
		defer cancel()
		listed <- w.runtime.list(ctx)
	}()
	return listed
}

// halfOf leaves half of the time that there is to whatever follows: a runtime that hangs may not take all of it.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/2)
}

// room is memory that was given back. Safe for concurrent use.
type room struct {
	mu        sync.Mutex
	samples   [][]metrics.Sample
	snapshots []*metrics.Snapshot
}

// empty takes a Snapshot apart. What the last walk did not need is left to the garbage collector.
func (m *room) empty(s *metrics.Snapshot) {
	m.samples, m.snapshots = m.samples[:0], m.snapshots[:0]
	for i := range s.Records {
		m.samples = append(m.samples, s.Records[i].Samples)
	}
	clear(s.Records)
	s.Records = s.Records[:0]
	m.snapshots = append(m.snapshots, s)
}

// take returns an empty slice for about n samples: the smallest that has them, since a pod with a thousand devices must
// not make every slice as large as its own in time.
func (m *room) take(n int) []metrics.Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	best := -1
	for i, s := range m.samples {
		if cap(s) >= n && (best < 0 || cap(s) < cap(m.samples[best])) {
			best = i
		}
	}
	if best < 0 {
		return make([]metrics.Sample, 0, n)
	}
	s := m.samples[best]
	last := len(m.samples) - 1
	m.samples[best], m.samples[last] = m.samples[last], nil
	m.samples = m.samples[:last]
	return s[:0]
}

// giveBack takes samples that nobody has seen.
func (m *room) giveBack(s []metrics.Sample) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = append(m.samples, s)
}

// snapshot returns one without records.
func (m *room) snapshot() *metrics.Snapshot {
	if n := len(m.snapshots); n > 0 {
		s := m.snapshots[n-1]
		m.snapshots = m.snapshots[:n-1]
		return s
	}
	return &metrics.Snapshot{}
}

// proved are the targets whose process has proved itself in an earlier walk.
func (w *Walker) proved() []*target {
	return slices.DeleteFunc(slices.Clone(w.targets), func(t *target) bool { return t.inode == 0 })
}

// missing are the targets that have not been read in this walk.
func (w *Walker) missing() []*target {
	return slices.DeleteFunc(slices.Clone(w.targets), func(t *target) bool { return t.result != "" && t.result != "gone" })
}
