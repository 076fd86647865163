package plugin

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// closeWaiting is a record of a pod with so many sockets in CLOSE-WAIT of each IP version.
func closeWaiting(t *testing.T, v4, v6 float64) *metrics.Record {
	r := &metrics.Record{Sandbox: metrics.Sandbox{Node: "node-1", Namespace: "shop", Pod: "web-0", NetNS: "cni-web0"}}
	for version, n := range map[string]float64{"ipv4": v4, "ipv6": v6} {
		for state, v := range map[string]float64{"CLOSE_WAIT": n, "ESTABLISHED": 500} {
			labels := []metrics.Label{{Name: "cosanet_state", Value: state}, {Name: "cosanet_ipversion", Value: version}}
			r.Samples = append(r.Samples, metrics.Sample{Metric: known(t, "cosanet_proc_net_tcp"), Labels: labels, Value: v})
		}
	}
	return r
}

// A finding of a level says how it got there, where that is known.
func TestGrowth(t *testing.T) {
	tests := map[string]struct {
		first, last *metrics.Record
		change      func(*row)
		want        []string
	}{
		"it grew":            {closeWaiting(t, 100, 20), closeWaiting(t, 400, 80), nil, []string{"in CLOSE-WAIT: from 120 to 480 in 5s"}},
		"it shrank":          {closeWaiting(t, 400, 80), closeWaiting(t, 100, 20), nil, []string{"in CLOSE-WAIT: from 480 to 120 in 5s"}},
		"it stayed":          {closeWaiting(t, 100, 20), closeWaiting(t, 20, 100), nil, []string{"in CLOSE-WAIT: as many as 5s before"}},
		"one sample":         {nil, closeWaiting(t, 400, 80), func(r *row) { r.window = 0 }, nil},
		"a pod that is new":  {nil, closeWaiting(t, 400, 80), nil, nil},
		"a pod made anew":    {closeWaiting(t, 100, 20), closeWaiting(t, 400, 80), func(r *row) { r.reborn = true }, nil},
		"not counted before": {&metrics.Record{}, closeWaiting(t, 400, 80), nil, nil},
	}
	all := rules()
	rule := &all[slices.IndexFunc(all, func(r rule) bool { return r.id == "close-wait" })]
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &row{Namespace: "shop", Name: "web-0", Node: "node-1", window: 5 * time.Second, first: test.first, last: test.last}
			if test.change != nil {
				test.change(r)
			}
			f, _ := rule.judge(r)
			if f == nil {
				t.Fatal("nothing is found")
			}
			if diff := cmp.Diff(test.want, f.evidence); diff != "" {
				t.Errorf("evidence (-want +got):\n%s", diff)
			}
		})
	}
}

// What explain holds of a node's first sample is enough to tell every growth.
func TestGrowthIsHeld(t *testing.T) {
	ask := Ask{Only: readByRules(rules()), Grown: grownBy(rules())}
	first := &metrics.Snapshot{Records: []metrics.Record{*closeWaiting(t, 100, 20)}}
	for _, g := range ask.Grown {
		if !ask.reads(g.family) {
			t.Errorf("%s is not read", g.family)
		}
		if g.family == "cosanet_proc_net_tcp" {
			continue // above
		}
		first.Records[0].Samples = append(first.Records[0].Samples, metrics.Sample{Metric: known(t, g.family), Value: 1})
	}
	ask.reduce([]*metrics.Snapshot{first, {Records: []metrics.Record{*closeWaiting(t, 400, 80)}}})
	earlier := row{last: &first.Records[0]}
	for _, g := range ask.Grown {
		if v := earlier.sumOf(g.family, g.values()...); v.state != present {
			t.Errorf("%s %s is not held", g.family, g.value)
		}
	}
	if v := earlier.sumOf("cosanet_proc_net_tcp", "ESTABLISHED"); v.state == present {
		t.Error("more is held than is told")
	}
}
