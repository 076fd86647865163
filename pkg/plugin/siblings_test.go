package plugin

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// replicas are the pods of one workload, over a second in which each counted what of says.
func replicas(t *testing.T, of ...counted) []*row {
	t.Helper()
	var rows []*row
	for i, more := range of {
		m := member{box: web("shop", fmt.Sprintf("web-%d", i), fmt.Sprintf("cni-%d", i))}
		first, last := m.record(t, quiet), m.record(t, quiet.with(more))
		rows = append(rows, &row{
			Namespace: "shop", Name: m.box.Pod, Node: "node-1", ControllerKind: "StatefulSet", ControllerName: "web",
			first: &first, last: &last, window: time.Second,
		})
	}
	return rows
}

func TestOddOneOut(t *testing.T) {
	lossy := busy.with(counted{"Tcp_RetransSegs": 46})
	const mega = 1 << 20
	load := func(bytes float64) counted { return counted{"IpExt_InOctets": bytes} }
	tests := map[string]struct {
		pods []counted
		want []string
	}{
		"all alike":               {[]counted{busy, busy, busy, busy}, nil},
		"one loses segments":      {[]counted{busy, busy, lossy, busy, busy, busy}, []string{"web-2: RETR% 4.1%, the other 5 have 0.2%"}},
		"two of six":              {[]counted{lossy, busy, busy, lossy, busy, busy}, []string{"web-0: RETR% 4.1%, the other 5 have 0.2% in the median", "web-3: RETR% 4.1%, the other 5 have 0.2% in the median"}},
		"two siblings":            {[]counted{busy, busy, lossy}, nil},
		"three":                   {[]counted{busy, busy, busy, lossy}, []string{"web-3: RETR% 4.1%, the other 3 have 0.2%"}},
		"too little traffic":      {[]counted{busy, busy, busy, {"Tcp_OutSegs": 50, "Tcp_RetransSegs": 5, "IpExt_OutOctets": 1_500_000}}, nil},
		"a little, of none":       {[]counted{load(0), load(0), load(0), load(10_000)}, nil},
		"one has all the load":    {[]counted{load(0), load(0), load(0), load(8 * mega)}, []string{"web-3: IN/s 8.0Mi, the other 3 have 0"}},
		"one has none of it":      {[]counted{load(0), load(8 * mega), load(8 * mega), load(8 * mega)}, []string{"web-0: IN/s 0, the other 3 have 8.0Mi"}},
		"a load that is spread":   {[]counted{load(1 * mega), load(4 * mega), load(8 * mega), load(12 * mega), load(15 * mega)}, nil},
		"a third more":            {[]counted{load(30 * mega), load(30 * mega), load(30 * mega), load(40 * mega)}, nil},
		"one whose counters fell": {[]counted{busy, busy, busy, {"Tcp_RetransSegs": -8, "Tcp_OutSegs": 300, "IpExt_OutOctets": 1_500_000}, lossy}, []string{"web-4: RETR% 4.1%, the other 3 have 0.2%"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rows := replicas(t, tt.pods...)
			compareSiblings(rows)
			var got []string
			for _, r := range rows {
				for _, line := range r.oddities() {
					got = append(got, r.Name+": "+line)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("oddities (-want +got):\n%s", diff)
			}
		})
	}
}

// Totals since a pod's start tell its age, and levels are compared without a window, too.
func TestOddOneOutOfTotals(t *testing.T) {
	rows := replicas(t, busy, busy, busy, busy.with(counted{"IpExt_InOctets": 1 << 40, "Tcp_CurrEstab": 500}))
	for _, r := range rows {
		r.first, r.window = nil, 0
	}
	compareSiblings(rows)
	if diff := cmp.Diff([]string{"EST 512, the other 3 have 12"}, rows[3].oddities()); diff != "" {
		t.Errorf("oddities (-want +got):\n%s", diff)
	}
}

// Not every two pods with an owner are siblings.
func TestSiblings(t *testing.T) {
	rows := replicas(t, busy, busy, busy, busy, busy, busy, busy)
	rows[1].Namespace = "lab"
	rows[2].ControllerKind, rows[2].ControllerName = "", ""
	rows[3].ControllerName = "api"
	rows[4].word, rows[4].last = "pending", nil
	rows[5].ControllerKind = "Node" // a static pod
	compareSiblings(rows)
	var got []int
	for _, r := range rows {
		got = append(got, r.siblings)
	}
	if diff := cmp.Diff([]int{1, 0, 0, 0, 0, 0, 1}, got); diff != "" {
		t.Errorf("siblings of each (-want +got):\n%s", diff)
	}
}

// The rule is checked only where there are enough siblings, and is not missed elsewhere.
func TestOddOneOutIsAFinding(t *testing.T) {
	rows := replicas(t, busy, busy, busy, busy.with(counted{"Tcp_RetransSegs": 46}))
	j := examine(siblingRules(), rows)
	if len(j.findings) != 1 || j.findings[0].row != rows[3] || j.findings[0].severity != Info {
		t.Fatalf("findings %+v, want one of the last pod", j.findings)
	}
	if diff := cmp.Diff([]string{"RETR% 4.1%, the other 3 have 0.2%"}, j.findings[0].evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
	j = examine(siblingRules(), rows[:3])
	if len(j.findings) > 0 || !slices.Equal(j.lacking, []string{"odd-one-out"}) || len(j.notes(true)) > 0 {
		t.Errorf("of three pods: %d findings, lacking %v, notes %q", len(j.findings), j.lacking, j.notes(true))
	}
}

func TestTraits(t *testing.T) {
	for _, trait := range traits() {
		if len(trait.sum) == 0 || trait.least <= 0 || trait.reason == "" || trait.text != nil {
			t.Errorf("%s is no column of numbers, or has no least difference with a reason", trait.name)
		}
		for _, family := range trait.families() {
			if m, ok := metrics.Lookup(family); !ok || !m.In(metrics.Default) {
				t.Errorf("%s needs %s, which is not in the default set", trait.name, family)
			}
		}
	}
	if text := traitText(); !strings.Contains(text, "RETR% 1% (as much as `retransmits` takes)") {
		t.Errorf("in words: %s", text)
	}
}
