package metrics

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/proto"
)

// addToHistogram adds a series to the last histogram of a family; false where it is the first of another.
func addToHistogram(f *dto.MetricFamily, smp *Sample) bool {
	if len(f.Metric) == 0 {
		return false
	}
	h := f.Metric[len(f.Metric)-1].Histogram
	switch {
	case h.SampleCount != nil:
		return false
	case strings.HasSuffix(smp.Metric.Name, "_sum"):
		h.SampleSum = proto.Float64(smp.Value)
	case strings.HasSuffix(smp.Metric.Name, "_count"):
		h.SampleCount = proto.Uint64(uint64(smp.Value))
	default:
		bound, _ := strconv.ParseFloat(smp.Labels[len(smp.Labels)-1].Value, 64)
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: proto.Uint64(uint64(smp.Value))})
	}
	return true
}

// viaExpfmt encodes snapshots the slow way: as metric families, by the reference encoder.
func viaExpfmt(t testing.TB, format Format, snapshots ...*Snapshot) string {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	var order []string
	var e Encoder
	e.arrange(snapshots)
	for _, at := range e.positions {
		smp := e.sample(at)
		of := smp.Metric.Family()
		f := families[of.Name]
		if f == nil {
			f = &dto.MetricFamily{Name: &of.Name, Help: &of.Help, Type: map[Type]*dto.MetricType{
				Untyped: dto.MetricType_UNTYPED.Enum(), Counter: dto.MetricType_COUNTER.Enum(), Gauge: dto.MetricType_GAUGE.Enum(), Histogram: dto.MetricType_HISTOGRAM.Enum(),
			}[of.Type]}
			families[of.Name] = f
			order = append(order, of.Name)
		}
		if of != smp.Metric && addToHistogram(f, smp) {
			continue
		}
		m := &dto.Metric{}
		b := &e.records[at.record].Sandbox
		identity := []Label{{"cosanet_namespace", b.Namespace}, {"cosanet_netnsname", b.NetNS}, {"cosanet_node", b.Node}, {"cosanet_pod", b.Pod}}
		if b.Self() {
			identity = []Label{{"cosanet_node", b.Node}}[:min(1, len(b.Node))]
		}
		if b.ControllerKind != "" {
			identity = append(identity, Label{"cosanet_pod_controller_kind", b.ControllerKind}, Label{"cosanet_pod_controller_name", b.ControllerName})
		}
		for _, l := range append(identity, smp.Labels...) {
			m.Label = append(m.Label, &dto.LabelPair{Name: proto.String(l.Name), Value: proto.String(l.Value)})
		}
		switch of.Type {
		case Histogram:
			m.Label = m.Label[:len(m.Label)-1]
			m.Histogram = &dto.Histogram{}
			f.Metric = append(f.Metric, m)
			addToHistogram(f, smp)
			continue
		case Counter:
			m.Counter = &dto.Counter{Value: &smp.Value}
		case Gauge:
			m.Gauge = &dto.Gauge{Value: &smp.Value}
		default:
			m.Untyped = &dto.Untyped{Value: &smp.Value}
		}
		f.Metric = append(f.Metric, m)
	}
	encode := expfmt.MetricFamilyToText
	if format == OpenMetricsFormat {
		encode = func(w io.Writer, f *dto.MetricFamily) (int, error) { return expfmt.MetricFamilyToOpenMetrics(w, f) }
	}
	var out bytes.Buffer
	for _, name := range order {
		if _, err := encode(&out, families[name]); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestParseInvertsAppend(t *testing.T) {
	want := snapshot(t)
	text := Append(nil, want)
	got, err := Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	sameMetric := cmp.Comparer(func(a, b *Metric) bool { return a.Name == b.Name && a.Type == b.Type })
	bySeries := cmpopts.SortSlices(func(a, b Sample) bool { return a.Metric.Name < b.Metric.Name })
	if diff := cmp.Diff(want, got, sameMetric, bySeries); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if again := Append(nil, got); !bytes.Equal(text, again) {
		t.Errorf("written again it differs (-first +second):\n%s", cmp.Diff(string(text), string(again)))
	}
}

func TestAppendGroupsFamiliesOfSeveralNodes(t *testing.T) {
	a, b := snapshot(t), snapshot(t)
	for i := range b.Records {
		b.Records[i].Sandbox.Node = "node-2"
	}
	text := string(Append(nil, a, b))
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			if seen[name] {
				t.Errorf("family twice: %s", name)
			}
			seen[name] = true
		}
	}
	both, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(both.Records), len(a.Records)+len(b.Records); got != want {
		t.Errorf("%d records of two nodes, want %d", got, want)
	}
}

func TestParseRefuses(t *testing.T) {
	twice := `cosanet_conntrack_curr{cosanet_namespace="a",cosanet_netnsname="n",cosanet_node="x",cosanet_pod="p"} 1` + "\n"
	tests := []struct{ name, text, want string }{
		{"the same series twice", twice + twice, "is there twice"},
		{"no final line feed", "cosanet_conntrack_curr 1", "parsing exposition text"},
		{"not exposition text", "panic: runtime error\n", "parsing exposition text"},
		{"a host_network that is neither", `cosanet_sandbox_info{cosanet_netnsname="n",cosanet_host_network="maybe"} 1` + "\n", "cosanet_host_network"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one about %q", err, test.want)
			}
		})
	}
}

func TestValueTellsAbsentFromZero(t *testing.T) {
	web := snapshot(t).Records[2]
	tests := []struct {
		name   string
		labels []string
		want   float64
		ok     bool
	}{
		{"cosanet_proc_net_snmp_IcmpMsg_InType3", nil, 0, true},
		{"cosanet_proc_net_snmp_IcmpMsg_InType8", nil, 0, false},
		{"cosanet_proc_net_tcp", []string{"ESTABLISHED", "ipv4"}, 4, true},
		{"cosanet_proc_net_tcp", []string{"LISTEN", "ipv4"}, 0, false},
		{"cosanet_proc_net_tcp", nil, 0, false},
	}
	for _, test := range tests {
		if got, ok := web.Value(test.name, test.labels...); got != test.want || ok != test.ok {
			t.Errorf("Value(%s, %v) = %v, %v, want %v, %v", test.name, test.labels, got, ok, test.want, test.ok)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(string(Append(nil, snapshot(f))))
	f.Add("# TYPE a counter\na{b=\"\\n\"} 1e400 17\n# EOF\n")
	f.Add("h_bucket{le=\"+Inf\"} 1\n# TYPE q summary\nq{quantile=\"0.5\"} NaN\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		// What was read can be written and read again, to the same bytes.
		once := Append(nil, s)
		again, err := Parse(bytes.NewReader(once))
		if err != nil {
			t.Fatalf("reading back: %v\n%s", err, once)
		}
		if twice := Append(nil, again); len(twice) != len(once) {
			t.Errorf("%d bytes written, %d after reading them back", len(once), len(twice))
		}
	})
}
