package metrics

import (
	"bytes"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// madeUp is a snapshot with any texts in the places of names, and any values, as far as it can be told from another: two pods
// and what the collector says of itself.
func madeUp(node, namespace, pod, device string, a, b float64) *Snapshot {
	text := func(s string) string { return strings.ToValidUTF8(s, "?") }
	number := func(v float64) float64 {
		if v == 0 {
			return 0 // minus zero is written as zero
		}
		return v
	}
	lookup := func(name string) *Metric {
		m, ok := Lookup(name)
		if !ok {
			panic(name)
		}
		return m
	}
	box := Sandbox{Node: text(node), Namespace: text(namespace), Pod: text(pod), NetNS: "cni-1", UID: text(device), Handler: text(pod), Unsupported: a > b, Inode: uint64(len(pod))}
	other := Sandbox{Node: text(node), Namespace: text(pod), Pod: text(namespace), NetNS: "cni-2", ControllerKind: "Deployment", ControllerName: text(pod), SharedWith: text(device), HostNetwork: a < b}
	s := &Snapshot{Records: []Record{
		{Sandbox: Sandbox{Node: text(node)}, Samples: []Sample{{Metric: lookup("cosanet_walk_duration_seconds"), Value: number(a)}}},
		{Sandbox: box, Samples: []Sample{
			{Metric: lookup("cosanet_proc_net_snmp_Tcp_OutSegs"), Value: number(a)},
			{Metric: lookup("cosanet_netdev_receive_bytes_total"), Labels: []Label{{"cosanet_device", text(device)}}, Value: number(b)},
			{Metric: lookup("cosanet_netdev_receive_bytes_total"), Labels: []Label{{"cosanet_device", text(device) + "2"}}, Value: number(a)},
			{Metric: lookup("cosanet_read_success"), Labels: []Label{{"source", text(namespace)}}, Value: 0},
		}},
		{Sandbox: other, Samples: []Sample{{Metric: lookup("cosanet_conntrack_curr"), Value: number(b)}}},
	}}
	for i := range s.Records[1:] {
		r := &s.Records[1+i]
		r.Samples = append(r.Samples, Sample{Metric: lookup("cosanet_sandbox_info"), Labels: r.Sandbox.InfoLabels(), Value: 1})
	}
	return s
}

func addSeeds(f *testing.F) {
	f.Add("node-1", "shop", "web-0", "eth0", 17.0, 0.5)
	f.Add("", "", "", "", float64(math.MaxUint64), -1.0)
	f.Add("a\"b", `c\`, "d\ne", "{},= \x1b\u202e# EOF\n", math.Inf(1), math.NaN())
	f.Add("\xff", "# cosanet-trailer v=1", "\r", "\x00", math.SmallestNonzeroFloat64, math.Copysign(0, -1))
}

// FuzzWriteParse wants back what was written, whatever the names and values are.
func FuzzWriteParse(f *testing.F) {
	addSeeds(f)
	same := cmp.Options{
		cmp.Comparer(func(a, b *Metric) bool { return a == b }), cmpopts.EquateNaNs(), cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b Record) bool { return a.Sandbox.NetNS < b.Sandbox.NetNS }),
		cmpopts.SortSlices(func(a, b Sample) bool {
			if a.Metric != b.Metric {
				return a.Metric.Name < b.Metric.Name
			}
			return a.Labels[0].Value < b.Labels[0].Value
		}),
	}
	f.Fuzz(func(t *testing.T, node, namespace, pod, device string, a, b float64) {
		want := madeUp(node, namespace, pod, device, a, b)
		got, err := Parse(bytes.NewReader(Append(nil, want)))
		if err != nil {
			t.Fatalf("%v\n%s", err, Append(nil, want))
		}
		if diff := cmp.Diff(want, got, same); diff != "" {
			t.Errorf("-written +read:\n%s", diff)
		}
	})
}

// FuzzFrames wants back the frames that were written to one stream, and their end.
func FuzzFrames(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, node, namespace, pod, device string, a, b float64) {
		snapshots := []*Snapshot{madeUp(node, namespace, pod, device, a, b), {}, madeUp(device, pod, node, namespace, b, a)}
		for _, enc := range []Encoding{Text, Gzip} {
			var stream bytes.Buffer
			var want []*Frame
			for _, s := range snapshots {
				want = append(want, NewFrame("r1", s))
				if err := WriteFrame(&stream, enc, "r1", s); err != nil {
					t.Fatal(err)
				}
			}
			fr := NewFrameReader(&stream, "r1")
			for i := range want {
				got, err := fr.Next()
				if err != nil {
					t.Fatalf("encoding %d, frame %d: %v", enc, i, err)
				}
				if diff := cmp.Diff(want[i], got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("encoding %d, frame %d (-written +read):\n%s", enc, i, diff)
				}
			}
			if _, err := fr.Next(); err != io.EOF {
				t.Errorf("encoding %d: %v after the last frame", enc, err)
			}
		}
	})
}
