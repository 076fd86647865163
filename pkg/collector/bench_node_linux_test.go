package collector

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// BenchmarkNode walks the node that it runs on, with its real pods and runtime, in turn with the least that reading them
// can cost: open, read and close the same files of each one after another, by system calls alone (floor) or as package os
// does (bare), or only three of them (bare3). A walk is measured as
// the exporter makes it, again and again by one Walker (walk), and as a one-shot collector does (first); of both the text
// is written to nowhere. test/bench/run.sh runs it on a node of 150 pods.
func BenchmarkNode(b *testing.B) {
	want, err := strconv.Atoi(os.Getenv("COSANET_BENCH_PODS"))
	if err != nil {
		b.Skip("runs on a node: make bench")
	}
	for _, test := range []struct {
		name      string
		set       metrics.Set
		protocols []Protocol
	}{
		{"all-counters", metrics.All, nil},
		{"default-set", metrics.Default, nil},
		{"all-and-tcp-sockets", metrics.All, []Protocol{TCP}},
	} {
		b.Run(test.name, func(b *testing.B) {
			c := &Config{Node: "node", Set: test.set, Protocols: test.protocols, Host: true, Conntrack: true, Snmp: true, Netstat: true, Sockstat: true, Netdev: true}
			walker := NewWalker(c)
			defer walker.Close()
			pids := podPIDs(b, walker, want)
			var encoder metrics.Encoder
			var walk, encode, first, floor, bare, three stopwatch
			var text counter
			for b.Loop() {
				var s *metrics.Snapshot
				walk.measure(func() { s = walker.Walk(context.Background()) })
				text = 0
				encode.measure(func() { encoder.Encode(&text, metrics.TextFormat, s) })
				walker.Recycle(s)
				floor.measure(func() { readByDescriptor(b, pids, sameFiles) })
				bare.measure(func() { openReadClose(b, pids, sameFiles) })
				three.measure(func() { openReadClose(b, pids, threeFiles) })
				first.measure(func() { metrics.Encode(io.Discard, metrics.TextFormat, Walk(context.Background(), c)) })
			}
			b.ReportMetric(walk.wall(), "ms/walk")
			b.ReportMetric(encode.wall(), "ms/encode")
			b.ReportMetric(first.wall(), "ms/first")
			b.ReportMetric(floor.wall(), "ms/floor")
			b.ReportMetric(bare.wall(), "ms/bare")
			b.ReportMetric(three.wall(), "ms/bare3")
			b.ReportMetric((walk.wall()+encode.wall())/floor.wall(), "walk/floor")
			b.ReportMetric((walk.wall()+encode.wall())/bare.wall(), "walk/bare")
			b.ReportMetric((walk.wall()+encode.wall())/three.wall(), "walk/bare3")
			b.ReportMetric(first.wall()/bare.wall(), "first/bare")
			b.ReportMetric(walk.cpu()+encode.cpu(), "cpu-ms/walk")
			b.ReportMetric((walk.cpu()+encode.cpu())/floor.cpu(), "cpu/floor")
			b.ReportMetric((walk.cpu()+encode.cpu())/bare.cpu(), "cpu/bare")
			b.ReportMetric(walk.allocations()+encode.allocations(), "allocs/walk")
			b.ReportMetric(float64(text), "bytes")
		})
	}
}

// readByDescriptor is openReadClose without package os, which makes each file known to the poller.
func readByDescriptor(b *testing.B, pids []int, names []string) {
	buf := make([]byte, 64<<10)
	for _, pid := range pids {
		p, err := openProcess(pid)
		if err != nil {
			continue // a pod that was there at first
		}
		for _, name := range names {
			if _, _, err := p.read("net/"+name, buf); err != nil && !errors.Is(err, fs.ErrNotExist) {
				b.Fatal(err)
			}
		}
		p.close()
	}
}

// podPIDs are the processes that a walk reads.
func podPIDs(b *testing.B, w *Walker, want int) []int {
	b.Helper()
	w.Walk(context.Background())
	var pids []int
	for _, t := range w.targets {
		if t.inode != 0 && t.inode != w.hostInode {
			pids = append(pids, t.pid)
		}
	}
	if w.criFailed != nil || len(pids) < want {
		b.Fatalf("%d pods found on this node (runtime: %v), want %d", len(pids), w.criFailed, want)
	}
	return pids
}

// stopwatch gathers what something costs; each of its figures is a median.
type stopwatch struct{ walls, cpus, allocs []float64 }

func (s *stopwatch) measure(do func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu, begin := processTime(), time.Now()
	do()
	s.walls = append(s.walls, time.Since(begin).Seconds()*1e3)
	s.cpus = append(s.cpus, processTime()-cpu)
	runtime.ReadMemStats(&after)
	s.allocs = append(s.allocs, float64(after.Mallocs-before.Mallocs))
}

func (s *stopwatch) wall() float64        { return median(s.walls) } // milliseconds
func (s *stopwatch) cpu() float64         { return median(s.cpus) }  // milliseconds of all threads
func (s *stopwatch) allocations() float64 { return median(s.allocs) }

func processTime() float64 {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
