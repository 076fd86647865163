package plugin

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// chapter is what a namespace counts in one step of a recording, beside its everyday work.
type chapter map[int]counted

// chronicle is a recording of two nodes over a minute: a listener that overflows for a while, a burst of datagrams that is
// too much once, a pod that is made anew, one that goes, a source that cannot be read for two samples.
func chronicle(t testing.TB, samples int) []byte {
	t.Helper()
	load := func(i int) counted { // never quite the same
		wave := float64((i*7)%11) / 10
		return counted{"IpExt_InOctets": 40_000 + 90_000*wave, "IpExt_OutOctets": 300_000 + 500_000*wave, "Tcp_OutSegs": 900 + 400*wave, "Tcp_RetransSegs": float64(i % 3),
			"Tcp_PassiveOpens": 40, "Tcp_ActiveOpens": 3}
	}
	overflow := chapter{}
	for i := 4; i <= 8; i++ {
		overflow[i] = counted{"TcpExt_ListenDrops": 60, "TcpExt_ListenOverflows": float64(30 + 10*(i%3)), "Tcp_CurrEstab": 200, "Tcp_RetransSegs": 90}
	}
	type actor struct {
		box      metrics.Sandbox
		chapters chapter
		until    int // the first sample without it; 0: to the end
		anew     int // the first sample of another namespace under its name
		unread   []int
	}
	stage := map[string][]actor{
		"node-1": {{box: host()}, {box: web("shop", "web-0", "cni-web0")}, {box: web("shop", "db-0", "cni-db0"), anew: 7}, {box: web("shop", "job", "cni-job"), until: 5}},
		"node-2": {{box: host()}, {box: web("shop", "web-1", "cni-web1"), chapters: overflow}, {box: web("shop", "api-0", "cni-api0"), unread: []int{5, 6}},
			{box: web("lab", "udp", "cni-udp"), chapters: chapter{6: {"Udp_RcvbufErrors": 140}}}},
	}
	var out bytes.Buffer
	for _, node := range []string{"node-1", "node-2"} {
		sums := make([]counted, len(stage[node]))
		for i := range samples {
			at := began.Add(time.Duration(i) * 5 * time.Second)
			s := &metrics.Snapshot{Time: at, Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: node}, Samples: []metrics.Sample{
				{Metric: known(t, "cosanet_build_info"), Labels: []metrics.Label{{Name: "version", Value: "v1.1.0"}, {Name: "revision", Value: "r"}, {Name: "goversion", Value: "go"}}, Value: 1},
				{Metric: known(t, "cosanet_walk_timestamp_seconds"), Value: float64(at.UnixMilli()) / 1e3},
			}}}}
			for n, a := range stage[node] {
				if i == 0 || i == a.anew {
					sums[n] = quiet
				}
				if a.until > 0 && i >= a.until {
					continue
				}
				levels := a.chapters[i]
				sums[n] = sums[n].with(load(i + n)).with(levels).with(counted{"Tcp_CurrEstab": -levels["Tcp_CurrEstab"]})
				m := member{box: a.box}
				counts := sums[n].with(counted{"Tcp_CurrEstab": levels["Tcp_CurrEstab"]})
				m.box.Node = node
				if a.anew > 0 && i >= a.anew {
					m.box.NetNS += "-anew"
				}
				if a.box.Host() {
					counts = counts.with(counted{"conntrack_curr": 170_000 + float64(3_000*i), "conntrack_max": 262_144})
				}
				for _, u := range a.unread {
					if u == i {
						counts, m.failed = without(counts, "conntrack_"), []string{"conntrack"}
					}
				}
				s.Records = append(s.Records, m.record(t, counts))
			}
			if err := metrics.WriteFrame(&out, metrics.Text, savedRun, s); err != nil {
				t.Fatal(fmt.Errorf("%s, sample %d: %w", node, i, err))
			}
		}
	}
	return out.Bytes()
}

// addSample adds a snapshot of node-1 to a fleet of that node.
func addSample(fleet *Fleet, s *metrics.Snapshot) {
	if len(fleet.Observations) == 0 {
		fleet.Observations = []Observation{{Node: "node-1"}}
	}
	fleet.Observations[0].Snapshots = append(fleet.Observations[0].Snapshots, s)
}
