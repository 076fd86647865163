package collector

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// BenchmarkNode walks the node that it runs on, with its real pods and runtime, in turn with the least that reading them
// can cost: open, read and close the same files of each, or only three of them. test/bench/run.sh runs it on a node of 150
// pods.
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
			c := &Config{Node: "node", Set: test.set, Protocols: test.protocols, Host: true, Conntrack: true, Snmp: true, Netstat: true}
			pids := podPIDs(b, c, want)
			var walks, same, three []time.Duration
			var text []byte
			for b.Loop() {
				begin := time.Now()
				text = metrics.Append(nil, Walk(context.Background(), c))
				walks = append(walks, time.Since(begin))
				begin = time.Now()
				openReadClose(b, pids, sameFiles)
				same = append(same, time.Since(begin))
				begin = time.Now()
				openReadClose(b, pids, threeFiles)
				three = append(three, time.Since(begin))
			}
			b.ReportMetric(median(walks).Seconds()*1e3, "ms/walk")
			b.ReportMetric(median(same).Seconds()*1e3, "ms/bare")
			b.ReportMetric(median(three).Seconds()*1e3, "ms/bare3")
			b.ReportMetric(median(walks).Seconds()/median(same).Seconds(), "walk/bare")
			b.ReportMetric(median(walks).Seconds()/median(three).Seconds(), "walk/bare3")
			b.ReportMetric(float64(len(text)), "bytes")
		})
	}
}

// podPIDs are the processes that a walk would read.
func podPIDs(b *testing.B, c *Config, want int) []int {
	b.Helper()
	w := NewWalker(c)
	defer w.Close()
	w.Walk(context.Background())
	var pids []int
	for _, t := range w.targets {
		if t.pid != 0 {
			pids = append(pids, t.pid)
		}
	}
	if w.criFailed != nil || len(pids) < want {
		b.Fatalf("%d pods found on this node (runtime: %v), want %d", len(pids), w.criFailed, want)
	}
	return pids
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}
