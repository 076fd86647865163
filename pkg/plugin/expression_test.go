package plugin

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// FuzzColumns takes any list of columns: what is taken goes by a name that is taken again, for the same families and labels.
func FuzzColumns(f *testing.F) {
	for _, list := range []string{"IN,OUT,RETR%", "in/s", "Tcp_RetransSegs", "proc_net_tcp{CLOSE_WAIT,ipv4},CT", "cosanet_netdev_receive_bytes_total{eth0}", "proc_net_tcp{}", "proc_net_tcp{a}b}", "}{,", " CT ", "ct,,"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		columns, err := parseColumns(list)
		if err != nil {
			return
		}
		for _, c := range columns {
			again, err := parseColumn(c.name)
			if err != nil {
				t.Fatalf("%q is called %q, which is %v", list, c.name, err)
			}
			if again.name != c.name || !cmp.Equal(again.families(), c.families()) || !cmp.Equal(again.values, c.values) {
				t.Errorf("%q is called %q, which is called %q", list, c.name, again.name)
			}
		}
		_ = set(columns, metrics.Default)
	})
}

// FuzzSelection takes any selectors, sample and pod: what is taken can be asked of a saved file, and is a part of what there is.
func FuzzSelection(f *testing.F) {
	f.Add("app=web,tier!=cache", "metadata.name=web-0", "pool=web,!gpu", "5%", "shop/web-0", uint64(1))
	f.Add("x in (a,b),!y", "a==b,c!=d", "a notin (", "1e-300%", "pod/web", uint64(2))
	f.Add("=", ",", "!", "0x1p-2%", "//", uint64(0))
	nodes := []string{"node-1", "node-2", "node-3"}
	f.Fuzz(func(t *testing.T, labels, fields, nodeLabels, sample, pod string, seed uint64) {
		flags := selectFlags{labels: labels, fields: fields, nodeLabels: nodeLabels, sample: sample, seed: seed}
		for _, args := range [][]string{nil, {pod}} {
			sel, err := flags.selection("default", args)
			if err != nil {
				continue
			}
			for _, ref := range sel.Pods {
				if ref.Name == "" || strings.Contains(ref.Name, "/") || ref.Namespace == "" {
					t.Errorf("%q is pod %q of %q", pod, ref.Name, ref.Namespace)
				}
			}
			if err := sel.offline(); err == nil {
				sel.admits(&metrics.Sandbox{Namespace: "default", Pod: "web-0", Node: "node-1"})
			}
			if sel.Sample.all() {
				continue
			}
			taken := sel.Sample.of(nodes)
			if len(taken) == 0 || len(taken) > len(nodes) || !slices.IsSorted(taken) {
				t.Errorf("%s of %q: %q", sample, nodes, taken)
			}
		}
	})
}

// FuzzSpare leaves out families of a text: what a view reads is there as it was.
func FuzzSpare(f *testing.F) {
	f.Add("cosanet_conntrack_curr{cosanet_netnsname=\"x\"} 1\ncosanet_proc_net_snmp_Tcp_OutSegs{cosanet_netnsname=\"x\"} 2\n")
	f.Add("# HELP cosanet_conntrack_curr {\n# TYPE cosanet_conntrack_curr gauge\ncosanet_conntrack_curr 1\ncosanet_conntrack_currents{a=\"cosanet_conntrack_curr{\"} 2\n")
	f.Add("cosanet_read_success{cosanet_netnsname=\"x\",source=\"a\\ncosanet_conntrack_curr 1\"} 0\n")
	ask := Ask{Metrics: metrics.All, Only: []string{"cosanet_conntrack_curr", "cosanet_netdev_receive_bytes_total"}}
	read := func(s *metrics.Snapshot) map[string]float64 {
		values := map[string]float64{}
		for _, r := range s.Records {
			for i := range r.Samples {
				if smp := &r.Samples[i]; ask.reads(smp.Metric.Name) {
					values[r.Sandbox.Node+"\x00"+r.Sandbox.Namespace+"\x00"+r.Sandbox.Pod+"\x00"+r.Sandbox.NetNS+"\x00"+seriesName(smp)] = smp.Value
				}
			}
		}
		return values
	}
	f.Fuzz(func(t *testing.T, text string) {
		whole, err := metrics.Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		written := metrics.Append(nil, whole) // as a collector writes it
		if whole, err = metrics.Parse(bytes.NewReader(written)); err != nil {
			return // FuzzParse wants to hear of it
		}
		spared, err := metrics.Parse(bytes.NewReader(ask.spare(bytes.Clone(written))))
		if err != nil {
			t.Fatalf("what is left of %q: %v", written, err)
		}
		if diff := cmp.Diff(read(whole), read(spared), equateNaN); diff != "" {
			t.Errorf("of %q (-whole +spared):\n%s", written, diff)
		}
	})
}

var equateNaN = cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
