package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// benchmarkPods is how many namespaces the benchmarks read: a full node has 110, a large one 250.
const benchmarkPods = 150

// BenchmarkWalk finds, reads, parses and encodes every counter of 150 pods. Compare it with BenchmarkOpenReadClose:
//
//	go test ./pkg/collector -run '^$' -bench 'Walk|OpenReadClose'
func BenchmarkWalk(b *testing.B) {
	needsRoot(b)
	c := noRuntime(b)
	c.Protocols, c.Listen, c.TCPInfo, c.Ports = nil, false, false, false
	startSleepers(b, benchmarkPods)
	var text []byte
	b.ReportAllocs()
	for b.Loop() {
		s := Walk(context.Background(), c)
		if len(s.Records) < benchmarkPods {
			b.Fatalf("%d records", len(s.Records))
		}
		text = metrics.Append(text[:0], s)
	}
	b.ReportMetric(float64(len(text)), "bytes")
}

// BenchmarkGrowth walks more and more namespaces as the exporter does, with a runtime that lists all of them.
//
//	go test ./pkg/collector -run '^$' -bench Growth -benchtime 20x
func BenchmarkGrowth(b *testing.B) {
	needsRoot(b)
	n := startNode(b)
	c := n.config()
	c.Host = false
	var pods []*testPod
	for _, namespaces := range []int{10, 30, 100, 300, 1000} {
		pods = append(pods, startSleepers(b, namespaces-len(pods))...)
		n.answers(pods...)
		b.Run(strconv.Itoa(namespaces), func(b *testing.B) {
			walker := NewWalker(c)
			defer walker.Close()
			var encoder metrics.Encoder
			var walk, encode stopwatch
			for range 2 { // to know them all
				walker.Recycle(walker.Walk(context.Background()))
			}
			for b.Loop() {
				var s *metrics.Snapshot
				walk.measure(func() { s = walker.Walk(context.Background()) })
				if len(s.Records) != namespaces+1 {
					b.Fatalf("%d records", len(s.Records))
				}
				encode.measure(func() { encoder.Encode(io.Discard, metrics.TextFormat, s) })
				walker.Recycle(s)
			}
			b.ReportMetric(walk.wall(), "ms/walk")
			b.ReportMetric(encode.wall(), "ms/encode")
			b.ReportMetric((walk.wall()+encode.wall())*1e3/float64(namespaces), "µs/namespace")
			b.ReportMetric((walk.cpu()+encode.cpu())*1e3/float64(namespaces), "cpu-µs/namespace")
			b.ReportMetric(walk.allocations(), "allocs/walk")
		})
	}
}

// BenchmarkWalkSockets adds the sockets by state: two netlink dumps a protocol and pod.
func BenchmarkWalkSockets(b *testing.B) {
	needsRoot(b)
	c := noRuntime(b)
	startSleepers(b, benchmarkPods)
	for b.Loop() {
		Walk(context.Background(), c)
	}
}

// BenchmarkWalkListen adds the accept queues: one netlink dump of the listening sockets a pod.
func BenchmarkWalkListen(b *testing.B) {
	needsRoot(b)
	c := noRuntime(b)
	c.Protocols, c.TCPInfo, c.Ports = nil, false, false
	startSleepers(b, benchmarkPods)
	for b.Loop() {
		Walk(context.Background(), c)
	}
}

// BenchmarkOpenReadClose is the least that reading 150 pods can cost: one after another, snmp, snmp6 and netstat of each.
func BenchmarkOpenReadClose(b *testing.B) {
	needsRoot(b)
	pods := startSleepers(b, benchmarkPods)
	pids := make([]int, len(pods))
	for i, p := range pods {
		pids[i] = p.pid
	}
	for b.Loop() {
		openReadClose(b, pids, threeFiles)
	}
}

// The files of a namespace that a walk of everything opens, and the three of them that hold nine tenths of the counters.
var (
	threeFiles = []string{"snmp", "snmp6", "netstat"}
	sameFiles  = append([]string{"sockstat", "sockstat6", "dev", "stat/nf_conntrack"}, threeFiles...)
)

func openReadClose(b *testing.B, pids []int, names []string) {
	buf := make([]byte, 64<<10)
	for _, pid := range pids {
		for _, name := range names {
			f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a pod that was there at first
			}
			if err != nil {
				b.Fatal(err)
			}
			for {
				if n, _ := f.Read(buf); n == 0 {
					break
				}
			}
			f.Close()
		}
	}
}
