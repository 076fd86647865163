package metrics

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A value is counted in every bucket whose bound it does not exceed, as Prometheus has it, and nothing is left of it after
// Reset.
func TestDistribution(t *testing.T) {
	d := distribution("cosanet_tcp_rtt_seconds", 99)
	d.Reset()
	for _, v := range []float64{0, 0.0001, 0.00011, 1, 1.001} {
		d.Add(v)
	}
	want := map[string]float64{"0.0001": 2, "0.00025": 3, "0.5": 3, "1": 4, "+Inf": 5}
	got := map[string]float64{}
	samples := d.Append(nil)
	for _, s := range samples {
		if bound := ""; len(s.Labels) == 1 {
			bound = s.Labels[0].Value
			if _, ok := want[bound]; ok {
				got[bound] = s.Value
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("buckets (-want +got):\n%s", diff)
	}
	last := samples[len(samples)-2:]
	if last[0].Metric.Name != "cosanet_tcp_rtt_seconds_sum" || math.Abs(last[0].Value-2.00121) > 1e-9 || last[1].Metric.Name != "cosanet_tcp_rtt_seconds_count" || last[1].Value != 5 {
		t.Errorf("sum and count: %v", last)
	}
	if len(samples) != len(rttBuckets)+3 {
		t.Errorf("%d samples", len(samples))
	}
}

func TestHistogramsOfTheCatalog(t *testing.T) {
	for _, m := range Catalog() {
		if (m.Type == Histogram) != (len(m.Buckets) > 0) || !slices.IsSorted(m.Buckets) {
			t.Errorf("%s is a %s with the buckets %v", m.Name, m.Type, m.Buckets)
		}
		if m.Type != Histogram {
			continue
		}
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if s, ok := Lookup(m.Name + suffix); !ok || s.Family() != m || s.place() != m.place() || s.Signal != m.Signal {
				t.Errorf("%s%s: %+v", m.Name, suffix, s)
			}
		}
	}
}

// What a node says of histograms is believed no more than anything else.
func TestParseHistograms(t *testing.T) {
	const name = "cosanet_tcp_rtt_seconds"
	tests := []struct {
		name, text string
		want       string // of the error; empty: the samples
		samples    int
	}{
		{"whole", "# TYPE %[1]s histogram\n%[1]s_bucket{le=\"1\"} 2\n%[1]s_bucket{le=\"+Inf\"} 3\n%[1]s_sum 7.5\n%[1]s_count 3\n", "", 4},
		{"a bound of another version", "# TYPE %[1]s histogram\n%[1]s_bucket{le=\"0.3\"} 2\n%[1]s_bucket{le=\"+Inf\"} 3\n%[1]s_sum 7.5\n%[1]s_count 3\n", "", 4},
		{"not a histogram", "# TYPE %[1]s gauge\n%[1]s 2\n", "is no histogram", 0},
		{"untyped", "%[1]s 2\n", "is no histogram", 0},
		{"a bound twice", "# TYPE %[1]s histogram\n%[1]s_bucket{le=\"1\"} 2\n%[1]s_bucket{le=\"1.0\"} 3\n%[1]s_count 3\n", "twice", 0},
		{"no number", "# TYPE %[1]s histogram\n%[1]s_bucket{le=\"x\"} 2\n", "parsing exposition text", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(strings.NewReader(fmt.Sprintf(test.text, name)))
			switch {
			case test.want != "":
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want %q", err, test.want)
				}
			case err != nil:
				t.Error(err)
			case len(s.Records) != 1 || len(s.Records[0].Samples) != test.samples:
				t.Errorf("%+v, want %d samples", s.Records, test.samples)
			}
		})
	}
}
