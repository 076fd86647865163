package collector

import (
	"context"
	"fmt"
	"os"
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
	c.Protocols = nil
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

// BenchmarkWalkSockets adds the sockets by state: two netlink dumps a protocol and pod.
func BenchmarkWalkSockets(b *testing.B) {
	needsRoot(b)
	c := noRuntime(b)
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
