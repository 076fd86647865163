package plugin

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Every family of the catalog that a source with a switch reads is found to be its, and no other.
func TestOptionalSources(t *testing.T) {
	want := map[string]string{
		"cosanet_listen_queue_length": "listen", "cosanet_listen_queue_limit": "listen",
		"cosanet_ports_used": "ports", "cosanet_ports_limit": "ports", "cosanet_ports_tuple_used": "ports",
		"cosanet_conntrack_owned_entries": ownersSource, "cosanet_conntrack_owned_limit": ownersSource, "cosanet_conntrack_owned_by_none_entries": ownersSource,
		"cosanet_tcp_rtt_seconds": "tcp", "cosanet_tcp_rtt_min_seconds": "tcp", "cosanet_tcp_delivery_rate_bytes_per_second": "tcp", "cosanet_tcp_congestion_state": "tcp",
		"cosanet_tcp_unacked_segments": "tcp", "cosanet_tcp_sent_segments": "tcp", "cosanet_tcp_retransmitted_segments": "tcp",
		"cosanet_tcp_sent_bytes": "tcp", "cosanet_tcp_retransmitted_bytes": "tcp", sampledRatio: "tcp",
	}
	got := map[string]string{}
	for _, m := range metrics.Catalog() {
		if source := optionalSource(m.Name); source != "" {
			got[m.Name] = source
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for family, source := range map[string]string{"cosanet_conntrack_curr": "conntrack", "cosanet_proc_net_tcp": "sockets", "cosanet_sockstat_tcp_tw": "sockstat", "cosanet_limits_tcp_orphans": "limits"} {
		if !isOf(family, source) || isOf(family, "tcp") || isOf(family, ownersSource) {
			t.Errorf("%s is not of %s alone", family, source)
		}
	}
}

// A column has what it needs read, and no more.
func TestSourcesOfColumns(t *testing.T) {
	for _, test := range []struct {
		columns string
		set     metrics.Set
		want    []string
		wantSet metrics.Set
	}{
		{"IN,OUT", metrics.Default, nil, metrics.Default},
		{"RTT,PORTS%", metrics.Default, []string{"tcp", "ports"}, metrics.Default},
		{"listen_queue_length", metrics.Default, []string{"listen"}, metrics.Default},
		{"tcp_rtt_seconds,HOSTCT", metrics.Errors, []string{"tcp", ownersSource}, metrics.Errors},
		{"RTT,HOSTCTIN", metrics.All, []string{ownersSource}, metrics.All},
		{"RTT,TcpExt_TCPKeepAlive", metrics.Default, nil, metrics.All},
	} {
		columns, err := parseColumns(test.columns)
		if err != nil {
			t.Fatal(err)
		}
		at := set(columns, test.set)
		if diff := cmp.Diff(test.want, sourcesFor(readBy(columns), at)); diff != "" || at != test.wantSet {
			t.Errorf("%s with --metrics %s: set %s (-want +got):\n%s", test.columns, test.set, at, diff)
		}
	}
	o := testOrder(Privileged)
	o.ask.Sources = []string{"tcp", ownersSource}
	args := o.args()
	if diff := cmp.Diff([]string{"--collector.tcp.enabled", "--collector.conntrack-owners.enabled"}, args[len(args)-2:]); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
}

// Who fills the node's table is a column of its own, which is shown and read where one sorts by it.
func TestSortByConntrack(t *testing.T) {
	for _, test := range []struct {
		name string
		top  top
		want []string // columns that are not in every table
	}{
		{"alone", top{sortBy: "conntrack"}, []string{"HOSTCT"}},
		{"with the other two", top{sortBy: "Conntrack", ask: askFlags{owners: true}}, []string{"HOSTCT", "HOSTCTOUT", "HOSTCTIN"}},
		{"with columns of one's own", top{sortBy: "conntrack", columns: "RTT"}, []string{"RTT"}},
		{"by workload", top{sortBy: "conntrack", groupBy: byWorkload}, []string{"HOSTCT"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.top.source = source{moments: new(momentFlags), collection: testCollection()}
			test.top.ask.metrics = metrics.Default.String()
			view, err := test.top.parse("shop", newTop(&factory{ledger: new(Ledger)}), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range view.columns {
				if c.shown != inDefault {
					got = append(got, c.name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("columns (-want +got):\n%s", diff)
			}
			if view.sortBy.name != "HOSTCT" || !slices.Contains(view.ask.Sources, ownersSource) || !slices.Contains(view.ask.Only, ownedEntries) {
				t.Errorf("sorted by %s, with the sources %v", view.sortBy.name, view.ask.Sources)
			}
		})
	}
}

// What a pod takes of its node's table is shown with its share of what that may hold, and from half of it on marked.
func TestShareOfTheNodesTable(t *testing.T) {
	c, err := parseColumn("HOSTCT")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		limit float64
		want  cell
	}{
		{0, cell{"130", calm}},
		{1000, cell{"130(13%)", calm}},
		{260, cell{"130(50%)!", warn}},
	} {
		r := &row{Namespace: "shop", Name: "web-0", last: &metrics.Record{Samples: []metrics.Sample{
			{Metric: known(t, ownedEntries), Value: 100, Labels: []metrics.Label{{Name: "cosanet_direction", Value: "out"}}},
			{Metric: known(t, ownedEntries), Value: 30, Labels: []metrics.Label{{Name: "cosanet_direction", Value: "in"}}},
		}}}
		if test.limit > 0 {
			r.last.Samples = append(r.last.Samples, metrics.Sample{Metric: known(t, "cosanet_conntrack_owned_limit"), Value: test.limit})
		}
		if got := c.cell(r); got != test.want {
			t.Errorf("of %g: %v, want %v", test.limit, got, test.want)
		}
	}
	if only := readBy([]column{c}); !slices.Contains(only, "cosanet_conntrack_owned_limit") {
		t.Errorf("the limit is not read: %v", only)
	}
}

// Small numbers keep their digits in JSON: a round trip is no zero.
func TestNumbersOfJSON(t *testing.T) {
	for v, want := range map[float64]float64{0: 0, 3: 3, 1.23456: 1.235, 0.23456: 0.235, 0.023456: 0.0235, 0.000034567: 0.0000346, -0.000034567: -0.0000346, 0.09999: 0.1, 1e13 + 0.5: 1e13 + 0.5} {
		if got, ok := finite(v); !ok || got != want {
			t.Errorf("%v is written as %v, want %v", v, got, want)
		}
	}
}

// The flags have their sources read by every command, but those that the set brings.
func TestSourcesOfFlags(t *testing.T) {
	for _, test := range []struct {
		flags askFlags
		want  []string
	}{
		{askFlags{metrics: "default"}, nil},
		{askFlags{metrics: "default", tcp: true}, []string{"tcp", "ports"}},
		{askFlags{metrics: "all", tcp: true}, nil},
		{askFlags{metrics: "all", tcp: true, owners: true}, []string{ownersSource}},
	} {
		ask, err := test.flags.ask()
		if diff := cmp.Diff(test.want, ask.Sources, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got):\n%s", test.flags, err, diff)
		}
	}
}

// An exporter that does not read a source is told from one that does.
func TestSourcesOfExporters(t *testing.T) {
	ask := Ask{Metrics: metrics.Default, Sources: []string{"tcp"}}
	for sources, lacks := range map[string]bool{"": true, "listen,ports": true, "listen,tcp,ports": false} {
		a := &reply{known: true, metrics: "default", sources: sources}
		if err := a.lacks(ask); (err != nil) != lacks {
			t.Errorf("with %q: %v", sources, err)
		}
	}
}

func rttRow(t *testing.T, values ...float64) *row {
	t.Helper()
	d := metrics.NewDistribution("cosanet_tcp_rtt_seconds")
	for _, v := range values {
		d.Add(v)
	}
	return &row{Namespace: "shop", Name: "web-0", last: &metrics.Record{Samples: d.Append(nil)}}
}

func TestQuantiles(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		q      float64
		want   reading
	}{
		{"none", nil, 0.5, reading{}},
		{"the middle of a bucket", []float64{0.002, 0.002}, 0.5, reading{present, 0.00175}},
		{"all of a bucket", []float64{0.002}, 1, reading{present, 0.0025}},
		{"the first bucket", []float64{0.00005}, 0.5, reading{present, 0.00005}},
		{"above the last bound", []float64{7, 8, 9}, 0.99, reading{present, 1}},
		{"the tail", []float64{0.0002, 0.0002, 0.0002, 0.4}, 0.99, reading{present, 0.49}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := rttRow(t, test.values...).quantile("cosanet_tcp_rtt_seconds", test.q)
			if got.state != test.want.state || math.Abs(got.value-test.want.value) > 1e-9 {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
	failed := &row{last: &metrics.Record{Samples: []metrics.Sample{{Metric: known(t, readSuccess), Labels: []metrics.Label{{Name: "source", Value: "tcp"}}}}}}
	if got := failed.quantile("cosanet_tcp_rtt_seconds", 0.5); got.state != unreadable {
		t.Errorf("of what could not be read: %v", got)
	}
	c, err := parseColumn("RTT")
	if err != nil {
		t.Fatal(err)
	}
	r := rttRow(t, 0.002, 0.002)
	r.window = time.Second
	if got := c.cell(r).text; got != "1.8ms" {
		t.Errorf("RTT is shown as %q, want milliseconds", got)
	}
}

// A sample is said to be one, and a share of sums over levels does not depend on the time between samples.
func TestSampledConnections(t *testing.T) {
	r := rttRow(t, 0.002)
	add := func(name string, v float64) {
		r.last.Samples = append(r.last.Samples, metrics.Sample{Metric: known(t, name), Value: v})
	}
	add(sampledRatio, 0.25)
	add("cosanet_tcp_sent_segments", 50)
	add("cosanet_tcp_retransmitted_segments", 10)
	want := []string{"sampled: shop/web-0: round trip times and retransmits are those of 25% of its connections"}
	if diff := cmp.Diff(want, sampledNotes([]*row{r})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c, _ := parseColumn("CONNRETR%")
	for _, window := range []time.Duration{0, time.Second, 10 * time.Second} {
		if r.window = window; c.read(r).state != absent {
			t.Errorf("of 50 segments in %s: %v, want too few to say", window, c.read(r))
		}
	}
}
