package collector

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestWalkerStaysFlat walks 300 times over pods that come and go, while another goroutine gives the snapshots back.
func TestWalkerStaysFlat(t *testing.T) {
	needsRoot(t)
	n := startNode(t)
	w := n.walker()
	pods := []*testPod{startIdle(t), startIdle(t), startIdle(t)}
	n.answers(pods...)
	back := make(chan *metrics.Snapshot, 4)
	var giver sync.WaitGroup
	giver.Go(func() {
		for s := range back {
			metrics.Write(new(counter), s)
			w.Recycle(s)
		}
	})
	walk := func() {
		s := w.Walk(t.Context())
		for _, p := range pods {
			wantNamed(t, s, p, true)
		}
		back <- s
	}
	const walks = 300
	var before footprint
	for i := range walks {
		if i == walks/10 {
			before = footprintOf(t)
		}
		if i%10 == 9 { // one goes, one comes
			pods[0].end()
			pods = append(pods[1:], startIdle(t))
			n.answers(pods...)
		}
		walk()
	}
	after := footprintOf(t)
	close(back)
	giver.Wait()
	// A test pod takes a pipe to its inhabitant, and a goroutine none.
	started := (walks - walks/10) / 10
	if after.descriptors > before.descriptors+3*started+2 || after.goroutines > before.goroutines+2 || after.threads > before.threads+2 {
		t.Errorf("after %d walks %+v, early on %+v, and %d pods were started", walks, after, before, started)
	}
	if len(w.byID) != len(pods) || len(w.sandboxes) != len(pods) || len(w.room.samples) > 2*len(pods)+8 {
		t.Errorf("%d and %d sandboxes, %d slices of samples for %d pods", len(w.byID), len(w.sandboxes), len(w.room.samples), len(pods))
	}
}

type footprint struct{ descriptors, goroutines, threads int }

func footprintOf(t *testing.T) footprint {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return footprint{descriptors(t), runtime.NumGoroutine(), len(threads)}
}

// TestWalkerAllocatesLittle once it knows its pods: what asking the runtime takes, and next to nothing for each of them.
func TestWalkerAllocatesLittle(t *testing.T) {
	needsRoot(t)
	n := startNode(t)
	w := n.walker()
	perWalk := func(pods []*testPod) float64 {
		n.answers(pods...)
		for range 3 {
			w.Recycle(w.Walk(t.Context()))
		}
		return testing.AllocsPerRun(5, func() { w.Recycle(w.Walk(t.Context())) })
	}
	pods := startSleepers(t, 40)
	few, many := perWalk(pods[:5]), perWalk(pods)
	// The server is in the same process: it makes of each pod what it sends.
	each := (many - few) / 35
	t.Logf("%.0f allocations for 5 pods, %.0f for 40: %.1f for each", few, many, each)
	if each > 20 || few > 1500 {
		t.Errorf("%.0f allocations for 5 pods, %.0f for 40: %.1f for each", few, many, each)
	}
}

// TestRoomGivesTheSmallest, so that the samples of a pod with many devices go to that pod again.
func TestRoomGivesTheSmallest(t *testing.T) {
	var m room
	large, small := make([]metrics.Sample, 2000), make([]metrics.Sample, 500)
	m.empty(&metrics.Snapshot{Records: []metrics.Record{{Samples: large}, {Samples: small}}})
	for _, test := range []struct{ n, want int }{{400, 500}, {400, 2000}, {400, 400}} {
		if got := m.take(test.n); cap(got) != test.want || len(got) != 0 {
			t.Errorf("%d samples with room for %d, want none and %d", len(got), cap(got), test.want)
		}
	}
}
