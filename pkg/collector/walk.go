//go:build linux

package collector

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// atCWD stands for no directory in a process: names are then whole paths.
const atCWD = unix.AT_FDCWD

// Walk reads every network namespace of the node once. What fails is in the Snapshot: a sandbox that could not be read
// has a cosanet_read_success of 0, a node without runtime a cosanet_discovery_success of 0. Nothing is kept open.
func Walk(ctx context.Context, c *Config) *metrics.Snapshot {
	begin := time.Now()
	w := &walk{config: c, families: newFamilies(c), claimed: map[uint64]int{}}
	w.host()
	d := discover(ctx, c)
	w.netnsNames = netnsNames()
	w.targets, w.done = d.targets, make([]outcome, len(d.targets))
	inParallel(len(d.targets), func() func(i int) {
		r := newReader(c, w.families)
		return func(i int) {
			if ctx.Err() == nil {
				w.visit(r, i)
			}
		}
	})
	w.reconsider()

	s := &metrics.Snapshot{Time: begin, Records: make([]metrics.Record, 0, len(d.targets)+2)}
	s.Records = append(s.Records, w.hostRecord...)
	results := map[string]int{"read": 0, "failed": 0, "gone": 0, "shared": 0, "unsupported": 0, "filtered": d.filtered}
	for i := range w.done {
		results[w.done[i].result]++
		if w.done[i].result != "gone" {
			s.Records = append(s.Records, w.record(i))
		}
	}
	s.Records = append(s.Records, w.self(d, results, begin))
	return s
}

// walk is one walk's state.
type walk struct {
	config     *Config
	families   *families
	hostInode  uint64
	hostRecord []metrics.Record
	netnsNames map[nsfile]string
	targets    []target
	done       []outcome // of each target
	dropped    atomic.Int64

	mu      sync.Mutex
	claimed map[uint64]int // inode of net/snmp -> target that reads the namespace, the first in order
}

// outcome is what became of a target.
type outcome struct {
	result  string // a value of cosanet_walk_sandboxes' label
	netns   nsfile
	inode   uint64 // of net/snmp
	samples []metrics.Sample
}

// visit identifies the process of a target, and reads its namespace unless it is another's too. The process is asked
// again after the read: whoever dies or moves meanwhile may leave half of one namespace and half of another.
func (w *walk) visit(r *reader, i int) {
	t, o := &w.targets[i], &w.done[i]
	if t.pid == 0 {
		o.result, o.samples = "failed", r.success(nil, "process", false)
		return
	}
	o.result = "gone"
	p, err := openProcess(t.pid)
	if err != nil {
		return
	}
	defer p.close()
	if m, err := p.membership(r.buf); err != nil || !t.owns(m) {
		return
	}
	if o.inode, err = p.netInode(); err != nil {
		return
	}
	o.netns = p.netNS()
	if w.shared(o.inode, i) {
		o.result = "shared"
		return
	}
	sources := r.ofPod
	if t.Unsupported {
		sources = r.ofGuest
	}
	samples, failed := r.samples(p, sources)
	w.dropped.Add(int64(r.dropped))
	r.dropped = 0
	if inode, err := p.netInode(); err != nil || inode != o.inode {
		return
	}
	o.samples = samples
	switch {
	case failed:
		o.result = "failed"
	case t.Unsupported:
		o.result = "unsupported"
	default:
		o.result = "read"
	}
}

// shared tells whether a namespace is the host's or that of a target before this one, and claims it otherwise.
func (w *walk) shared(inode uint64, i int) bool {
	if w.hostInode != 0 && inode == w.hostInode {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	first, taken := w.claimed[inode]
	if taken && first < i {
		return true
	}
	w.claimed[inode] = i
	return false
}

// reconsider makes the counters of a shared namespace appear once, on its first target: workers overtake each other, so
// that a later target may have read it too, and a first one may have gone with the counters unread.
func (w *walk) reconsider() {
	for i := range w.done {
		o := &w.done[i]
		if o.inode == 0 || o.inode == w.hostInode || o.result == "gone" {
			continue
		}
		first := w.claimed[o.inode]
		switch {
		case first == i:
		case w.done[first].result != "gone":
			o.result, o.samples = "shared", nil
		case o.result == "shared":
			delete(w.claimed, o.inode)
			w.visit(newReader(w.config, w.families), i)
		default:
			w.claimed[o.inode] = i
		}
	}
}

// host reads the node's own namespace, that of pid 1.
func (w *walk) host() {
	p, err := openProcess(1)
	if err == nil {
		defer p.close()
		w.hostInode, err = p.netInode()
	}
	if !w.config.Host {
		return
	}
	r := newReader(w.config, w.families)
	record := metrics.Record{Sandbox: metrics.Sandbox{
		Node: w.config.Node, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace, HostNetwork: true,
	}}
	if err != nil {
		record.Samples = r.success(nil, "process", false)
	} else {
		record.Sandbox.Inode = p.netNS().ino
		record.Samples, _ = r.samples(p, r.sources(true))
		w.dropped.Add(int64(r.dropped))
	}
	record.Samples = append(record.Samples, w.info(&record.Sandbox)...)
	w.hostRecord = []metrics.Record{record}
}

// record completes what is known of a target once all are done.
func (w *walk) record(i int) metrics.Record {
	t, o := &w.targets[i], &w.done[i]
	s := t.Sandbox
	s.Inode = o.netns.ino
	if o.result == "shared" {
		if s.HostNetwork = o.inode == w.hostInode; !s.HostNetwork {
			first := &w.targets[w.claimed[o.inode]]
			s.SharedWith = first.Namespace + "/" + first.Pod
			if first.Pod == "" {
				s.SharedWith = first.UID
			}
		}
	}
	s.NetNS = w.netnsNames[o.netns]
	switch {
	case o.result == "shared" && s.Pod == "":
		s.NetNS = s.UID // the namespace's own name would make it one with whom it shares with: neither has another name
	case s.NetNS != "":
	case s.Inode != 0:
		s.NetNS = "net:[" + strconv.FormatUint(s.Inode, 10) + "]"
	default:
		s.NetNS = cmp.Or(s.UID, t.id)
	}
	return metrics.Record{Sandbox: s, Samples: append(o.samples, w.info(&s)...)}
}

// info is the identity of a sandbox as a sample.
func (w *walk) info(s *metrics.Sandbox) []metrics.Sample {
	m := w.families.family("cosanet_sandbox_info")
	if m == nil {
		return nil
	}
	return []metrics.Sample{{Metric: m, Value: 1, Labels: s.InfoLabels()}}
}

// self is what the collector says of the walk.
func (w *walk) self(d discovery, results map[string]int, begin time.Time) metrics.Record {
	r := reader{families: w.families}
	label := func(name, value string) metrics.Label { return metrics.Label{Name: name, Value: value} }
	var s []metrics.Sample
	s = r.append(s, "cosanet_build_info", 1, label("version", w.config.Version), label("revision", w.config.Revision), label("goversion", runtime.Version()))
	s = r.append(s, "cosanet_discovery_success", boolean(d.cri == nil), label("source", "cri"), label("reason", reason(d.cri)))
	s = r.append(s, "cosanet_discovery_success", boolean(d.cgroup == nil), label("source", "cgroup"), label("reason", reason(d.cgroup)))
	s = r.append(s, "cosanet_walk_timestamp_seconds", float64(begin.UnixMilli())/1000)
	s = r.append(s, "cosanet_walk_duration_seconds", time.Since(begin).Seconds())
	for _, result := range []string{"read", "failed", "gone", "shared", "unsupported", "filtered"} {
		s = r.append(s, "cosanet_walk_sandboxes", float64(results[result]), label("result", result))
	}
	s = r.append(s, "cosanet_dropped_series", float64(w.dropped.Load()), label("reason", "interfaces"))
	return metrics.Record{Sandbox: metrics.Sandbox{Node: w.config.Node}, Samples: s}
}

// reason is the text of an error as a label; empty where there is none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// netnsNames returns the names that CNI plugins and runtimes gave to namespaces: the files below the node's /run/netns,
// by what is mounted on them. In a pod they are below the root of pid 1; the collector's own /run/netns is the node's when it
// runs outside of one, where a hardened machine may forbid the root of pid 1.
func netnsNames() map[nsfile]string {
	names := map[nsfile]string{}
	for _, dir := range []string{"/run/netns", "/proc/1/root/run/netns", "/proc/1/root/var/run/netns"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // none there, or not permitted: namespaces are then called by their inode
		}
		for _, e := range entries {
			var st unix.Stat_t
			if unix.Stat(fmt.Sprintf("%s/%s", dir, e.Name()), &st) == nil {
				names[nsfile{st.Dev, st.Ino}] = e.Name()
			}
		}
	}
	return names
}

// inParallel calls do(0) to do(n-1) from a few goroutines, each of which has its own do. More of them than processors
// gain little: reading /proc is work for the processor.
func inParallel(n int, newDo func() (do func(i int))) {
	workers := min(n, 2*runtime.GOMAXPROCS(0), 8)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			do := newDo()
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
