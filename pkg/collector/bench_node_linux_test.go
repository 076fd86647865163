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
// can cost: open, read and close snmp, snmp6 and netstat of each. test/bench/run.sh runs it on a node of 150 pods.
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
			var walks, bare []time.Duration
			var text []byte
			for b.Loop() {
				begin := time.Now()
				s := Walk(context.Background(), c)
				text = metrics.Append(text[:0], s)
				walks = append(walks, time.Since(begin))
				begin = time.Now()
				openReadClose(b, pids)
				bare = append(bare, time.Since(begin))
			}
			b.ReportMetric(median(walks).Seconds()*1e3, "ms/walk")
			b.ReportMetric(median(bare).Seconds()*1e3, "ms/bare")
			b.ReportMetric(median(walks).Seconds()/median(bare).Seconds(), "walk/bare")
			b.ReportMetric(float64(len(text)), "bytes")
		})
	}
}

// podPIDs are the processes that a walk would read.
func podPIDs(b *testing.B, c *Config, want int) []int {
	b.Helper()
	d := discover(context.Background(), c)
	var pids []int
	for _, t := range d.targets {
		if t.pid != 0 {
			pids = append(pids, t.pid)
		}
	}
	if !d.cri || len(pids) < want {
		b.Fatalf("%d pods found on this node (runtime answered: %v), want %d", len(pids), d.cri, want)
	}
	return pids
}

func median(d []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(d))[len(d)/2]
}
