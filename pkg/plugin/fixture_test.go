package plugin

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

// began is when the first sample of the recorded frames was taken.
var began = time.Unix(1_790_000_000, 0)

// counted is what a fixture's namespace counted: series by short name, with label values in braces.
type counted map[string]float64

// with returns a copy in which some series are greater.
func (c counted) with(more counted) counted {
	sum := maps.Clone(c)
	for name, v := range more {
		sum[name] += v
	}
	return sum
}

// member is one namespace of a recorded node.
type member struct {
	box    metrics.Sandbox
	first  counted
	last   counted
	failed []string // sources
}

// quiet is what an idle web server has counted since it was made.
var quiet = counted{
	"IpExt_InOctets": 500_000, "IpExt_OutOctets": 900_000, "Ip6_InOctets": 1_000, "Ip6_OutOctets": 2_000,
	"Tcp_CurrEstab": 12, "Tcp_OutSegs": 10_000, "Tcp_RetransSegs": 10, "Tcp_OutRsts": 3, "Tcp_ActiveOpens": 40, "Tcp_PassiveOpens": 800, "Tcp_AttemptFails": 1,
	"TcpExt_TCPTimeouts": 4, "TcpExt_ListenDrops": 0, "TcpExt_ListenOverflows": 0, "TcpExt_TCPSynRetrans": 2,
	"TcpExt_TCPReqQFullDrop": 0, "TcpExt_TCPReqQFullDoCookies": 0, "TcpExt_TCPAbortOnTimeout": 0, "TcpExt_TCPAbortOnMemory": 0,
	"Udp_RcvbufErrors": 0, "Udp_SndbufErrors": 0, "Udp6_RcvbufErrors": 0, "Udp6_SndbufErrors": 0, "Udp_NoPorts": 5, "Udp6_NoPorts": 0,
	"conntrack_curr": 0, "sockstat_tcp_tw": 7, "conntrack_insert_failed_total": 0, "conntrack_drop_total": 0, "conntrack_early_drop_total": 0,
	"netdev_receive_bytes_total{eth0}": 600_000, "netdev_receive_bytes_total{lo}": 100,
	"proc_net_tcp{ESTABLISHED,ipv4}": 11, "proc_net_tcp{ESTABLISHED,ipv6}": 1, "proc_net_tcp{CLOSE_WAIT,ipv4}": 0, "proc_net_tcp{LISTEN,ipv4}": 2,
}

// busy is what it counts within a second of normal work.
var busy = counted{
	"IpExt_InOctets": 12_000, "IpExt_OutOctets": 1_500_000, "Ip6_InOctets": 300, "Ip6_OutOctets": 700,
	"Tcp_OutSegs": 1_200, "Tcp_RetransSegs": 3, "Tcp_PassiveOpens": 60, "Tcp_ActiveOpens": 2,
	"netdev_receive_bytes_total{eth0}": 14_000,
}

func web(namespace, name, netns string) metrics.Sandbox {
	return metrics.Sandbox{Namespace: namespace, Pod: name, NetNS: netns, UID: "uid-" + name, Handler: "runc", ControllerKind: "StatefulSet", ControllerName: "web"}
}

func host() metrics.Sandbox {
	return metrics.Sandbox{Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace}
}

var nodes = map[string][]member{
	"node-1": {
		{box: host(), first: quiet.with(counted{"conntrack_curr": 1_200, "conntrack_max": 262_144, "softnet_dropped_total": 4}),
			last: quiet.with(busy).with(counted{"conntrack_curr": 1_210, "conntrack_max": 262_144, "softnet_dropped_total": 4})},
		{box: web("shop", "web-0", "cni-web0"), first: quiet, last: quiet.with(busy)},
		// Its namespace was not made anew, and yet a counter fell.
		{box: web("shop", "db-0", "cni-db0"), first: quiet, last: quiet.with(counted{"Tcp_RetransSegs": -8, "Tcp_OutSegs": 300})},
		{box: metrics.Sandbox{Namespace: "kube-system", Pod: "kube-proxy-a", NetNS: metrics.HostNamespace + "-kube-proxy-a", HostNetwork: true, UID: "uid-proxy"}},
		{box: metrics.Sandbox{Namespace: "shop", Pod: "sidecar", NetNS: "cni-sidecar", SharedWith: "shop/web-0", UID: "uid-sidecar"}},
	},
	"node-2": {
		{box: host(), first: quiet.with(counted{"conntrack_curr": 210_000, "conntrack_max": 262_144}),
			last: quiet.with(busy).with(counted{"conntrack_curr": 220_000, "conntrack_max": 262_144, "conntrack_drop_total": 12})},
		{box: web("shop", "web-1", "cni-web1"), first: quiet, last: quiet.with(busy).with(counted{
			"TcpExt_ListenDrops": 42, "TcpExt_ListenOverflows": 40, "Tcp_RetransSegs": 30, "TcpExt_TCPTimeouts": 6, "Tcp_OutRsts": 7,
			"proc_net_tcp{CLOSE_WAIT,ipv4}": 90})},
		{box: web("shop", "api-0", "cni-api0"), first: without(quiet, "conntrack_"), last: without(quiet.with(busy), "conntrack_"), failed: []string{"conntrack"}},
		{box: web("lab", "udp", "cni-udp"), first: without(quiet, "Ip6_", "Udp6_"), last: without(quiet, "Ip6_", "Udp6_").with(counted{"Udp_RcvbufErrors": 3, "Udp_NoPorts": 2})},
		{box: metrics.Sandbox{Namespace: "lab", Pod: "vm", NetNS: "cni-vm", Handler: "kata", Unsupported: true, UID: "uid-vm"},
			first: counted{"netdev_receive_bytes_total{tap0}": 10}, last: counted{"netdev_receive_bytes_total{tap0}": 500}},
		// No runtime told its name.
		{box: metrics.Sandbox{NetNS: "9b1f6a40-0f43-4f4e-8c4e-3a2f3d1f7c11", UID: "9b1f6a40-0f43-4f4e-8c4e-3a2f3d1f7c11"}, first: quiet, last: quiet.with(busy)},
		{box: metrics.Sandbox{Namespace: "lab", Pod: "\x1b[31mroot\u202e", NetNS: "cni-evil", UID: "uid-evil"}, first: quiet, last: quiet},
	},
}

func without(c counted, prefixes ...string) counted {
	c = maps.Clone(c)
	maps.DeleteFunc(c, func(name string, _ float64) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return len(name) >= len(p) && name[:len(p)] == p })
	})
	return c
}

// record builds the snapshots of a node, one or two seconds of them.
func record(t testing.TB, node string, members []member, samples int) []*metrics.Snapshot {
	t.Helper()
	snapshots := make([]*metrics.Snapshot, samples)
	for i := range snapshots {
		at := began.Add(time.Duration(i) * time.Second)
		s := &metrics.Snapshot{Time: at, Records: []metrics.Record{{Sandbox: metrics.Sandbox{Node: node}, Samples: []metrics.Sample{
			{Metric: known(t, "cosanet_walk_timestamp_seconds"), Value: float64(at.UnixMilli()) / 1e3},
			{Metric: known(t, "cosanet_discovery_success"), Labels: []metrics.Label{{Name: "source", Value: "cri"}, {Name: "reason"}}, Value: 1},
		}}}}
		for _, m := range members {
			m.box.Node = node
			counts := m.last
			if i == 0 {
				counts = m.first
			}
			s.Records = append(s.Records, m.record(t, counts))
		}
		snapshots[i] = s
	}
	return snapshots
}

func (m *member) record(t testing.TB, counts counted) metrics.Record {
	r := metrics.Record{Sandbox: m.box}
	if !m.box.Host() {
		r.Samples = append(r.Samples, metrics.Sample{Metric: known(t, "cosanet_sandbox_info"), Labels: m.box.InfoLabels(), Value: 1})
	}
	for _, source := range m.failed {
		r.Samples = append(r.Samples, metrics.Sample{Metric: known(t, "cosanet_read_success"), Labels: []metrics.Label{{Name: "source", Value: source}}})
	}
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		r.Samples = append(r.Samples, sample(t, name, counts[name]))
	}
	return r
}

// sample makes a sample from a name such as proc_net_tcp{LISTEN,ipv4}.
func sample(t testing.TB, name string, v float64) metrics.Sample {
	t.Helper()
	family, values, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	m, ok := lookup(family)
	if !ok {
		t.Fatalf("%s is not in the catalog", family)
	}
	s := metrics.Sample{Metric: m, Value: v}
	for i, value := range splitOutside(values) {
		s.Labels = append(s.Labels, metrics.Label{Name: m.Labels[i], Value: value})
	}
	return s
}

// TestRecordedFrames keeps testdata/*.prom as the fixture above describes it. The files are what the golden tests read,
// so that a change of the format that could not read yesterday's files is seen.
func TestRecordedFrames(t *testing.T) {
	files := map[string][]byte{}
	for name, samples := range map[string]int{"fleet.prom": 2, "once.prom": 1} {
		var out bytes.Buffer
		for _, node := range slices.Sorted(maps.Keys(nodes)) {
			for _, s := range record(t, node, nodes[node], samples) {
				if err := metrics.WriteFrame(&out, metrics.Text, savedRun, s); err != nil {
					t.Fatal(err)
				}
			}
		}
		files[name] = out.Bytes()
	}
	for name, want := range files {
		golden.File(t, filepath.Join("testdata", name), string(want), *update)
	}
}
