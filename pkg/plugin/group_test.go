package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// cellsOf are a row's values of columns, as the table has them.
func cellsOf(t *testing.T, r *row, names string) (texts []string) {
	t.Helper()
	columns, err := parseColumns(names)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.cells(columns) {
		texts = append(texts, c.text)
	}
	return texts
}

func TestSum(t *testing.T) {
	const columns = "IN,EST,RETR%,LISTENDROP,Tcp_RtoMin"
	tests := map[string]struct {
		change func(rows []*row)
		pods   string
		want   []string
	}{
		"of all":          {func([]*row) {}, "4", []string{"48Ki", "48", "0.2%", "42", "-"}},
		"one starts":      {func(rows []*row) { rows[0].last, rows[0].word = nil, "pending" }, "3/4", []string{"36Ki", "36", "0.2%", "42", "-"}},
		"one began again": {func(rows []*row) { rows[0].reborn = true }, "3/4", []string{"36Ki", "36", "0.2%", "42", "-"}},
		"one source of one pod could not be read": {func(rows []*row) {
			m := member{box: web("shop", "web-0", "cni-0"), failed: []string{"netstat"}}
			last := m.record(t, without(quiet.with(busy), "IpExt", "TcpExt"))
			rows[0].last = &last
		}, "4", []string{"err", "48", "0.2%", "err", "-"}},
		"one counter fell": {func(rows []*row) {
			m := member{box: web("shop", "web-0", "cni-0")}
			last := m.record(t, quiet.with(busy).with(counted{"Tcp_RetransSegs": -13}))
			rows[0].last = &last
		}, "4", []string{"48Ki", "48", "reset", "42", "-"}},
		"none counts": {func(rows []*row) {
			for _, r := range rows {
				r.last, r.word = nil, "pending"
			}
		}, "0/4", []string{"pending", "-", "-", "-", "-"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rows := replicas(t, busy, busy, busy, busy.with(counted{"TcpExt_ListenDrops": 42}))
			tt.change(rows)
			groups := byWorkload.sum(rows)
			if len(groups) != 1 || groups[0].Name != "statefulset/web" || groups[0].group.podCount() != tt.pods {
				t.Fatalf("%d groups, the first %+v of %s pods, want one of %s", len(groups), groups[0], groups[0].group.podCount(), tt.pods)
			}
			if diff := cmp.Diff(tt.want, cellsOf(t, groups[0], columns)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", columns, diff)
			}
		})
	}
}

func TestGroups(t *testing.T) {
	rows := replicas(t, busy, busy, busy, busy)
	rows[1].Node = "node-2"
	rows[2].Namespace = "lab"
	rows[3].ControllerKind = ""
	rows = append(rows, &row{Namespace: metrics.HostNamespace, Name: "node/node-1", Node: "node-1", last: rows[0].last})
	tests := map[grouping][]string{
		byWorkload:  {"shop statefulset/web 2", "lab statefulset/web 1", "shop pod/web-3 1", "HOST node/node-1 -"},
		byNode:      {" node-1 3", " node-2 1", "HOST node/node-1 -"},
		byNamespace: {" shop 3", " lab 1", "HOST node/node-1 -"},
	}
	for by, want := range tests {
		t.Run(string(by), func(t *testing.T) {
			var got []string
			for _, r := range by.sum(rows) {
				pods := "-"
				if r.group != nil {
					pods = r.group.podCount()
				}
				got = append(got, r.Namespace+" "+r.Name+" "+pods)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		})
	}
}

// The median is of each series for itself, of those that most of the pods have.
func TestMedianRow(t *testing.T) {
	rows := replicas(t, busy, busy.with(counted{"TcpExt_ListenDrops": 10}), busy.with(counted{"TcpExt_ListenDrops": 4, "netdev_receive_bytes_total{net1}": 9}))
	rows[2].first.Samples = append(rows[2].first.Samples, rows[2].last.Samples[len(rows[2].last.Samples)-1])
	m := medianRow("the median", rows)
	if diff := cmp.Diff([]string{"12Ki", "12", "4!"}, cellsOf(t, m, "IN,EST,LISTENDROP")); diff != "" {
		t.Errorf("IN, EST and LISTENDROP (-want +got):\n%s", diff)
	}
	if v := m.sumOf("cosanet_netdev_receive_bytes_total", "net1"); v.state != absent {
		t.Errorf("a device that one of three has: %+v, want it absent", v)
	}
}
