package metrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

var formats = map[string]Format{"text": TextFormat, "OpenMetrics": OpenMetricsFormat}

// node is a snapshot of several pieces: n pods with a part of the catalog each, whose families therefore begin and end
// anywhere in a piece.
func node(t testing.TB, n int) *Snapshot {
	s := snapshot(t)
	for i := range n {
		r := Record{Sandbox: Sandbox{Node: "node-1", Namespace: "shop", Pod: fmt.Sprintf("pod-%d", i), NetNS: fmt.Sprintf("cni-%d", i)}}
		for j, m := range Catalog() {
			if strings.HasSuffix(m.Name, "*") || len(m.Labels) > 1 || (i+j)%7 == 0 {
				continue
			}
			if m.Type == Histogram {
				r.Samples = distribution(m.Name, 0.0007*float64(i), 3e-5, 1, 17).Append(r.Samples)
				continue
			}
			smp := Sample{Metric: m, Value: float64(i * j * j)}
			for _, l := range m.Labels {
				smp.Labels = append(smp.Labels, Label{l, "x"})
			}
			r.Samples = append(r.Samples, smp)
		}
		s.Records = append(s.Records, r)
	}
	return s
}

func TestEncodeEqualsExpfmt(t *testing.T) {
	nodes := map[string][]*Snapshot{
		"nothing": nil, "an empty snapshot": {{}}, "one node": {snapshot(t)}, "several pieces": {node(t, 20)}, "two nodes": {node(t, 3), node(t, 5)},
		"no node name": {{Records: []Record{{Samples: []Sample{sample(t, "cosanet_build_info", 1, "a", "b", "c"), sample(t, "cosanet_walk_duration_seconds", 0.25)}}}}},
	}
	var e Encoder // in all of them the same: what one leaves behind must not show in the next
	for format, f := range formats {
		for name, snapshots := range nodes {
			want := viaExpfmt(t, f, snapshots...)
			var got, again bytes.Buffer
			if err := errors.Join(Encode(&got, f, snapshots...), e.Encode(&again, f, snapshots...)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("%s as %s: not expfmt's bytes (-want +got):\n%s", name, format, diff)
			}
			if again.String() != got.String() {
				t.Errorf("%s as %s: an Encoder used before writes something else", name, format)
			}
			if f == TextFormat && string(Append([]byte("x"), snapshots...)) != "x"+want {
				t.Errorf("%s: Append and Encode differ", name)
			}
		}
	}
}

// TestOpenMetricsIsDecoded has the reference decoder read what Encode writes: the same series with the same values.
func TestOpenMetricsIsDecoded(t *testing.T) {
	s := snapshot(t) // expfmt's decoder of OpenMetrics takes seconds for a few pods
	for format, f := range formats {
		var text bytes.Buffer
		if err := Encode(&text, f, s); err != nil {
			t.Fatal(err)
		}
		text.WriteString("# EOF\n")
		if got, want := decode(t, f, &text), series(s); !cmp.Equal(got, want) {
			t.Errorf("%s (-want +got):\n%s", format, cmp.Diff(want, got))
		}
	}
}

// series are the values of a snapshot by name and labels.
func series(s *Snapshot) map[string]float64 {
	values := map[string]float64{}
	for _, r := range s.Records {
		block := string(appendIdentity(nil, &r.Sandbox))
		for _, smp := range r.Samples {
			values[smp.Metric.Name+string(appendLabels([]byte(block), TextFormat, smp.Labels, block == ""))] = smp.Value
		}
	}
	return values
}

// decode reads exposition as expfmt does, and returns what series does.
func decode(t testing.TB, f Format, r io.Reader) map[string]float64 {
	t.Helper()
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	if f == OpenMetricsFormat {
		format = expfmt.NewFormat(expfmt.TypeOpenMetrics)
	}
	d := expfmt.NewDecoder(r, format)
	values := map[string]float64{}
	for {
		var family dto.MetricFamily
		if err := d.Decode(&family); errors.Is(err, io.EOF) {
			return values
		} else if err != nil {
			t.Fatal(err)
		}
		for _, m := range family.Metric {
			var labels []Label
			for _, l := range m.Label {
				labels = append(labels, Label{l.GetName(), l.GetValue()})
			}
			name := family.GetName()
			if h := m.Histogram; h != nil {
				declared, _ := Lookup(name)
				samples, err := declared.samples(nil, labels, h)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range samples {
					values[s.Metric.Name+string(appendLabels(nil, TextFormat, s.Labels, true))] = s.Value
				}
				continue
			}
			if f == OpenMetricsFormat && family.GetType() == dto.MetricType_COUNTER && !strings.HasSuffix(name, "_total") {
				name += "_total"
			}
			values[name+string(appendLabels(nil, TextFormat, labels, true))] = value(m)
		}
	}
}

// TestEncodeInPieces wants the memory of Encode not to grow with the text: no write is large, and none follows an error.
func TestEncodeInPieces(t *testing.T) {
	s := node(t, 100)
	var sizes []int
	broken := errors.New("broken pipe")
	w := writerFunc(func(p []byte) (int, error) {
		sizes = append(sizes, len(p))
		if len(sizes) == 5 {
			return 0, broken
		}
		return len(p), nil
	})
	if err := Encode(w, TextFormat, s); !errors.Is(err, broken) {
		t.Errorf("error %v, want that of the writer", err)
	}
	if len(sizes) != 5 {
		t.Errorf("%d writes, want none after the fifth, which failed", len(sizes))
	}
	for _, n := range sizes {
		if n > 64<<10 {
			t.Errorf("a write of %d bytes", n)
		}
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestEncoderAllocatesNothing once it has seen a node.
func TestEncoderAllocatesNothing(t *testing.T) {
	s := node(t, 100)
	var e Encoder
	if n := testing.AllocsPerRun(5, func() { e.Encode(io.Discard, TextFormat, s) }); n > 16 {
		t.Errorf("%v allocations for each Encode of a node", n)
	}
}

func FuzzValue(f *testing.F) {
	for _, v := range []float64{0, 1, -1, math.Copysign(0, -1), 999999, 1e6, 1e7, 1234567, 1200300, 1<<53 - 1, 1 << 53, 1<<53 + 2, math.MaxUint64, 1e22, 0.5, 1e-7, -17, math.NaN(), math.Inf(1), math.Inf(-1)} {
		f.Add(v)
	}
	m, _ := Lookup("cosanet_conntrack_curr")
	f.Fuzz(func(t *testing.T, v float64) {
		for _, v := range []float64{v, math.Trunc(v)} {
			s := &Snapshot{Records: []Record{{Samples: []Sample{{Metric: m, Value: v}}}}}
			for _, format := range formats {
				var got bytes.Buffer
				if err := Encode(&got, format, s); err != nil {
					t.Fatal(err)
				}
				if want := viaExpfmt(t, format, s); got.String() != want {
					t.Errorf("%v: %q, expfmt writes %q", v, &got, want)
				}
			}
		}
	})
}

// FuzzEncode puts any text where names of pods and devices go.
func FuzzEncode(f *testing.F) {
	f.Add("web", `a"b\c`, "eth0", 17.0)
	f.Add("\n", "", "{},= \x1b", math.MaxFloat64)
	m, _ := Lookup("cosanet_netdev_receive_bytes_total")
	f.Fuzz(func(t *testing.T, pod, namespace, device string, v float64) {
		pod, namespace, device = strings.ToValidUTF8(pod, "?"), strings.ToValidUTF8(namespace, "?"), strings.ToValidUTF8(device, "?")
		if math.IsNaN(v) || !model.LabelValue(pod+namespace+device).IsValid() {
			return
		}
		s := &Snapshot{Records: []Record{{
			Sandbox: Sandbox{Node: "n", Namespace: namespace, Pod: pod, NetNS: "x"},
			Samples: []Sample{{Metric: m, Labels: []Label{{"cosanet_device", device}}, Value: v}},
		}}}
		for name, format := range formats {
			var text bytes.Buffer
			if err := Encode(&text, format, s); err != nil {
				t.Fatal(err)
			}
			if got, want := text.String(), viaExpfmt(t, format, s); got != want {
				t.Fatalf("%s: %q, expfmt writes %q", name, got, want)
			}
			text.WriteString("# EOF\n")
			if got, want := decode(t, format, &text), series(s); !cmp.Equal(got, want) {
				t.Errorf("%s (-want +got):\n%s", name, cmp.Diff(want, got))
			}
		}
	})
}

// BenchmarkEncode encodes a node of 150 pods with all counters.
func BenchmarkEncode(b *testing.B) {
	s := node(b, 150)
	var e Encoder
	var size int64
	for b.Loop() {
		size = 0
		e.Encode(writerFunc(func(p []byte) (int, error) { size += int64(len(p)); return len(p), nil }), TextFormat, s)
	}
	b.SetBytes(size)
	b.ReportMetric(float64(len(e.positions)), "series")
}
