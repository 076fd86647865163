package collector

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// taker is who gets the pid of a pod's process that has ended.
type taker struct {
	name   string
	proved bool                       // whether the process was read by the pid before, in an earlier walk
	start  func(pid int) (int, error) // nil: nobody
}

// TestPidsReusedInAWalk has the pid of a pod's process taken by another, between the listing and the read or somewhere in the
// middle of it, and wants nothing but the pod's own counters under its name.
func TestPidsReusedInAWalk(t *testing.T) {
	needsRoot(t)
	pod, other, host := makePlace(t, 1000), makePlace(t, 2000), makePlace(t, 3000)
	own := func(pid int) (int, error) { // of the pod, in a namespace that it has made itself
		var started int
		err := other.inside(func() (err error) {
			started, err = startIdler(pid, 0)
			return err
		})
		return started, errors.Join(err, pod.join(pid))
	}
	bystander := func(pid int) (started int, err error) { // of no pod
		err = host.inside(func() (err error) {
			started, err = startIdler(pid, 0)
			return err
		})
		return started, err
	}
	takers := []taker{
		{name: "another pod", start: other.start}, {name: "the host", start: bystander}, {name: "nobody"},
		{name: "another pod", start: other.start, proved: true}, {name: "the host", start: bystander, proved: true}, {name: "the pod, elsewhere", start: own, proved: true},
	}
	c := noRuntime(t)
	c.Protocols, c.Listen, c.TCPInfo, c.Ports = nil, false, false, false
	w := NewWalker(c)
	defer w.Close()
	r := newReader(c, w.families)

	rounds := trial.Rounds(300, 10_000)
	reused, wrong, read := 0, 0, 0
	for round := range rounds {
		by := takers[round%len(takers)]
		first, err := pod.start(0)
		if err != nil {
			t.Fatal(err)
		}
		it := &target{Sandbox: metrics.Sandbox{UID: pod.uid}, id: pod.id, pid: first}
		clear(w.claimed)
		if by.proved {
			if w.visit(r, it); it.result != "read" || !pod.of(it.samples) {
				t.Fatalf("before anything happened: %s", it.result)
			}
			it.outcome = outcome{}
			clear(w.claimed)
		}
		visited := make(chan struct{})
		visit := func() {
			defer close(visited)
			w.visit(r, it)
		}
		meanwhile := round/len(takers)%2 == 1
		if meanwhile {
			go visit()
			for begin, wait := time.Now(), time.Duration(rand.IntN(200))*time.Microsecond; time.Since(begin) < wait; { // too short for a timer
			}
		}
		if err := end(first); err != nil {
			t.Fatal(err)
		}
		next := 0
		if by.start != nil {
			next, err = by.start(first)
			if err != nil && !errors.Is(err, unix.EEXIST) { // which is somebody else's on this machine: one more taker
				t.Fatalf("taking pid %d: %v", first, err)
			}
		}
		if !meanwhile {
			visit()
		}
		<-visited
		switch {
		case it.samples == nil && it.result == "gone":
		case meanwhile && it.result == "read" && pod.of(it.samples):
			read++ // it was faster
		default:
			wrong++
			octets, _, _ := mark(it.samples)
			t.Errorf("round %d: pid taken by %s (%v): %s with %d samples and %v octets, not %d", round, by.name, next, it.result, len(it.samples), octets, pod.octets)
		}
		if next != 0 {
			reused++
			if err := end(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d pids were taken by another process, %d visits were over before", reused, read)
	if reused < rounds/2 { // how many of them in the middle of a visit is up to the machine; half are so before it
		t.Errorf("of %d pids %d were taken: this shows nothing", rounds, reused)
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a process id that another process takes, between the listing and the read or in the middle of it, never puts its counters under the pod's name",
		Runs: rounds, Faults: rounds, Survived: rounds - wrong, Lost: wrong})
}

// TestInodesReusedInAWalk ends pods that were read, and has others get the inodes of their namespaces and be read in the same
// walk: they have nothing in common, and each keeps what is its own.
func TestInodesReusedInAWalk(t *testing.T) {
	needsRoot(t)
	c := noRuntime(t)
	c.Protocols, c.Listen, c.TCPInfo, c.Ports = nil, false, false, false
	const pods = 25
	reused, wrong := 0, 0
	for range trial.Rounds(2, 100) {
		w := NewWalker(c)
		r := newReader(c, w.families)
		var before, after []*inhabitant
		inodes := map[uint64]*inhabitant{}
		for i := range pods {
			it := visited(t, w, r, 1000+i)
			before, inodes[it.inode] = append(before, it), it
		}
		for _, it := range before {
			if err := it.place.end(); err != nil {
				t.Fatal(err)
			}
		}
		for begin := time.Now(); len(inodes) > 0 && len(after) < 4*pods && time.Since(begin) < 5*time.Second; { // a namespace takes its time to end
			it := visited(t, w, r, 2000+len(after))
			after = append(after, it)
			if inodes[it.inode] != nil {
				reused++
				delete(inodes, it.inode)
			}
		}
		all := append(before, after...)
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, it := range all {
			w.targets = append(w.targets, it.target)
		}
		w.shareOnce(t.Context())
		names := map[string]bool{}
		for _, it := range all {
			record := w.record(it.target, r.buf)
			if !it.place.of(record.Samples) || record.Sandbox.SharedWith != "" || names[record.Sandbox.NetNS] {
				wrong++
				octets, _, _ := mark(record.Samples)
				t.Errorf("%v octets, not %d, in %s, shared with %q", octets, it.place.octets, record.Sandbox.NetNS, record.Sandbox.SharedWith)
			}
			names[record.Sandbox.NetNS] = true
		}
		for _, it := range after {
			if err := it.place.end(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if t.Logf("%d inodes were given to another namespace", reused); reused == 0 {
		t.Error("no inode was given to another namespace: this shows nothing")
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a namespace that gets the inode of one that was read and has ended, in the same walk, has nothing in common with it",
		Runs: reused, Faults: reused, Survived: reused - wrong, Lost: wrong})
}

// inhabitant is a pod that was visited.
type inhabitant struct {
	*target
	place *place
}

// visited makes a pod with a number of octets of its own, and visits it.
func visited(t *testing.T, w *Walker, r *reader, octets int) *inhabitant {
	t.Helper()
	p := makePlace(t, octets)
	it := &target{Sandbox: metrics.Sandbox{UID: p.uid}, id: p.id, pid: p.occupy(t)}
	p.leave()
	if w.visit(r, it); it.result != "read" {
		t.Errorf("a pod of its own is %s", it.result)
	}
	return &inhabitant{it, p}
}
