package plugin

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The first N of a heap are the first N of all, sorted: by a number, by a word, and by name alone.
func TestRanked(t *testing.T) {
	established := known(t, "cosanet_proc_net_snmp_Tcp_CurrEstab")
	var rows []*row
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		r := &row{Namespace: fmt.Sprint("ns-", random.IntN(3)), Name: fmt.Sprintf("pod-%03d", i), Node: fmt.Sprint("node-", i%7)}
		if i%5 > 0 {
			r.last = &metrics.Record{Samples: []metrics.Sample{{Metric: established, Value: float64(random.IntN(20))}}}
		}
		rows = append(rows, r)
	}
	titles := func(rows []*row) (titles []string) {
		for _, r := range rows {
			titles = append(titles, r.title())
		}
		return titles
	}
	byNumber := column{name: "EST", formula: formula{sum: []string{"cosanet_proc_net_snmp_Tcp_CurrEstab"}}}
	byWord := column{name: "NODE", text: func(r *row) string { return r.Node }}
	for name, by := range map[string]*column{"number": &byNumber, "word": &byWord, "name": nil} {
		all := ranked(rows, by, 0)
		if len(all) != len(rows) {
			t.Fatalf("by %s %d rows of %d", name, len(all), len(rows))
		}
		for _, limit := range []int{1, 10, 199, 200, 500} {
			if diff := cmp.Diff(titles(all[:min(limit, len(all))]), titles(ranked(rows, by, limit))); diff != "" {
				t.Errorf("the first %d by %s (-of all +kept):\n%s", limit, name, diff)
			}
		}
	}
	all := ranked(rows, &byNumber, 0)
	for i := 1; i < len(all); i++ {
		a, b := byNumber.read(all[i-1]), byNumber.read(all[i])
		if a.state != present && b.state == present || b.state == present && a.value < b.value {
			t.Errorf("%s with %+v is before %s with %+v", all[i-1].title(), a, all[i].title(), b)
		}
	}
}
