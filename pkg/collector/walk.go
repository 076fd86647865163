//go:build linux

package collector

import (
	"bytes"
	"cmp"
	"context"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// atCWD stands for no directory in a process: names are then whole paths.
const atCWD = unix.AT_FDCWD

// visitAll visits targets in parallel. Those that ctx leaves no time for have failed.
func (w *Walker) visitAll(ctx context.Context, targets []*target) {
	for len(w.readers) < workers(len(targets)) {
		w.readers = append(w.readers, newReader(w.config, w.families))
	}
	inParallel(len(targets), func(worker int) func(i int) {
		r := w.readers[worker]
		return func(i int) {
			if ctx.Err() == nil {
				w.visit(r, targets[i])
			} else {
				targets[i].fail(r)
			}
		}
	})
}

// fail says that the namespace could not be read, for want of a process to read it by.
func (t *target) fail(r *reader) {
	t.outcome = outcome{result: "failed", samples: r.success(nil, "process", false)}
}

// visit identifies the process of a target, and reads its namespace unless it is another's too. The process is asked
// again after the read: whoever dies or moves meanwhile may leave half of one namespace and half of another.
//
// A process that proved itself in an earlier walk must be in the same cgroup and namespace as then. With the pid alone it
// could be another one: of another pod, or of this one in a namespace that it has made itself.
func (w *Walker) visit(r *reader, t *target) {
	if t.pid == 0 {
		t.fail(r)
		return
	}
	t.outcome = outcome{result: "gone"}
	p, err := openProcess(t.pid)
	if err != nil {
		return
	}
	defer p.close()
	if !t.proves(p, r.buf) {
		return
	}
	netns := p.netNS()
	snmp, inode, err := p.openSnmp()
	if err != nil {
		return
	}
	defer unix.Close(snmp)
	if t.inode != 0 && (t.inode != inode || t.netns != netns) {
		return
	}
	t.inode, t.netns = inode, netns
	if reader, shared := w.claim(t, r.buf); shared {
		t.result, t.reader = "shared", reader
		return
	}
	sources := r.ofPod
	if t.Unsupported {
		sources = r.ofGuest
	}
	r.openedSnmp = snmp
	samples, failed := r.samples(p, sources, w.room.take(cmp.Or(t.size, r.expected)))
	t.size = len(samples) + 1 // and its info
	w.addDropped(r)
	var addresses []netip.Addr
	if w.config.ConntrackOwners {
		addresses, _ = r.readAddresses(p) // without them the pod is told that its entries could not be counted
	}
	if !p.stillIn(netns, inode) {
		w.room.giveBack(samples)
		return
	}
	t.samples, t.addresses = samples, addresses
	switch {
	case failed:
		t.result = "failed"
	case t.Unsupported:
		t.result = "unsupported"
	default:
		t.result = "read"
	}
}

// addDropped takes over what a reader left out of a namespace.
func (w *Walker) addDropped(r *reader) {
	for bound, n := range r.dropped {
		w.dropped[bound].Add(int64(n))
	}
	r.dropped = [len(bounds)]int{}
}

// proves tells whether a process is of the sandbox: by its cgroup, which is compared with what it was when it was last parsed.
func (t *target) proves(p process, buf []byte) bool {
	file, _, err := p.read("cgroup\x00", buf)
	if err != nil {
		return false
	}
	if t.cgroup != nil && bytes.Equal(file, t.cgroup) {
		return true
	}
	m := parseCgroup(file)
	if !t.owns(m) {
		return false
	}
	t.cgroup, t.member = bytes.Clone(file), m.pod
	return true
}

// claim makes a target the reader of its namespace, unless that is the host's, for which there is no reader, or another target's
// already.
//
// The inode alone does not tell: the kernel gives that of a namespace that has ended to the next one. But the target's namespace
// cannot end while its net/snmp is open, so whoever is in a namespace of that inode now is in the same. Of others that had
// the inode, either of the two, the counters stay what they are, but they have no claim to it any more.
func (w *Walker) claim(t *target, buf []byte) (reader *target, shared bool) {
	if w.hostInode != 0 && t.inode == w.hostInode {
		return nil, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if reader := w.claimed[t.inode]; reader != nil && reader != t && reader.stays(buf) {
		return reader, true
	}
	for _, ended := range [...]*target{w.claimed[t.inode], w.numbered[t.netns]} {
		if ended != nil && ended != t {
			ended.inode, ended.netns = 0, 0
		}
	}
	w.claimed[t.inode] = t
	if t.netns != 0 {
		w.numbered[t.netns] = t
	}
	return nil, false
}

// stays tells whether the process of a target is still in the namespace in which it proved itself.
func (t *target) stays(buf []byte) bool {
	p, err := openProcess(t.pid)
	if err != nil {
		return false
	}
	defer p.close()
	return t.proves(p, buf) && p.stillIn(t.netns, t.inode)
}

// shareOnce makes the counters of a shared namespace appear once, on its first target, whoever has read them: they are the
// namespace's. Where its reader has gone with the counters unread, the first is visited again.
func (w *Walker) shareOnce(ctx context.Context) {
	first := map[*target]*target{} // by the reader
	for _, t := range w.targets {
		reader := t
		for reader != nil && reader.result == "shared" { // a reader that was visited again may have become a sharer
			reader = reader.reader
		}
		if reader == nil || t.result == "gone" || t.result == "" {
			continue
		}
		if first[reader] != nil {
			t.outcome = outcome{result: "shared", reader: first[reader]}
			continue
		}
		switch {
		case reader == t:
		case reader.samples != nil && reader.Unsupported == t.Unsupported:
			t.outcome = reader.outcome
		default:
			delete(w.claimed, t.inode)
			delete(w.numbered, t.netns) // of the same namespace: it has not ended
			w.visitAll(ctx, []*target{t})
		}
		if t.result != "gone" {
			first[reader], first[t] = t, t
		}
	}
}

// readHost reads the node's own namespace, that of pid 1, beside everything else.
func (w *Walker) readHost(done *sync.WaitGroup) {
	p, err := openProcess(1)
	if err == nil {
		w.hostInode, err = p.netInode()
	}
	if err != nil || !w.config.Host {
		p.close()
	}
	if !w.config.Host {
		return
	}
	if w.host == nil {
		w.host = newReader(w.config, w.families)
	}
	r := w.host
	w.hostRecord = append(w.hostRecord, metrics.Record{Sandbox: metrics.Sandbox{
		Node: w.config.Node, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace, HostNetwork: true,
	}})
	record := &w.hostRecord[0]
	if err != nil {
		record.Samples = r.success(nil, "process", false)
		return
	}
	done.Go(func() {
		defer p.close()
		snmp, _, err := p.openSnmp()
		if err == nil {
			defer unix.Close(snmp)
		}
		r.openedSnmp = snmp
		record.Sandbox.Inode = p.netNS()
		record.Samples, _ = r.samples(p, r.ofHost, w.room.take(r.expected))
		if w.config.ConntrackOwners {
			w.hostOwn, _ = r.readAddresses(p)
		}
		w.addDropped(r)
	})
}

// workers is how many goroutines do n things. More of them than processors gain little: reading /proc is work for the
// processor.
func workers(n int) int { return min(n, runtime.GOMAXPROCS(0), 8) }

// inParallel calls do(0) to do(n-1) from a few goroutines, each of which has its own do.
func inParallel(n int, newDo func(worker int) (do func(i int))) {
	var next atomic.Int64
	var wg sync.WaitGroup
	for worker := range workers(n) {
		wg.Go(func() {
			do := newDo(worker)
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	wg.Wait()
}
