package metrics

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// A histogram travels as what it is in the exposition: series NAME_bucket with the label le, one a bound and one for
// infinity, each of which counts what is up to its bound, then NAME_sum and NAME_count. In the Snapshot each is a Sample, in
// this order; to the views they are gauges, since what is counted is there now.

// bucketBound is the label of a bucket's upper bound.
const bucketBound = "le"

// series declares the series of a histogram: of its buckets, its sum and its count.
func (m *Metric) series() [3]*Metric {
	var declared [3]*Metric
	for i, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		s := *m
		s.Name, s.Type, s.histogram = m.Name+suffix, Gauge, m
		s.counts = suffix != "_sum"
		declared[i] = &s
	}
	declared[0].Labels = append(slices.Clone(m.Labels), bucketBound)
	return declared
}

// Distribution counts values into the buckets of a histogram of the catalog. One that has no labels beside the bounds.
type Distribution struct {
	metric *Metric
	series [3]*Metric
	labels [][]Label // of each bucket
	counts []uint64  // by bucket, and those above the last bound
	sum    float64
}

// NewDistribution makes an empty one. The name must be that of a histogram in the catalog.
func NewDistribution(name string) *Distribution {
	d := &Distribution{metric: byName[name]}
	for i, suffix := range [...]string{"_bucket", "_sum", "_count"} {
		d.series[i] = byName[name+suffix]
	}
	for _, bound := range append(slices.Clone(d.metric.Buckets), math.Inf(1)) {
		d.labels = append(d.labels, []Label{{bucketBound, boundText(bound)}})
	}
	d.counts = make([]uint64, len(d.labels))
	return d
}

// Add counts a value.
func (d *Distribution) Add(v float64) {
	at, _ := slices.BinarySearch(d.metric.Buckets, v)
	d.counts[at]++
	d.sum += v
}

// Reset makes it empty again.
func (d *Distribution) Reset() {
	clear(d.counts)
	d.sum = 0
}

// Append appends its samples: buckets, sum and count.
func (d *Distribution) Append(dst []Sample) []Sample {
	var count uint64
	for i, labels := range d.labels {
		count += d.counts[i]
		dst = append(dst, Sample{Metric: d.series[0], Labels: labels, Value: float64(count)})
	}
	return append(dst, Sample{Metric: d.series[1], Value: d.sum}, Sample{Metric: d.series[2], Value: float64(count)})
}

// boundText writes a bound as expfmt does in the text format.
func boundText(bound float64) string {
	if math.IsInf(bound, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(bound, 'g', -1, 64)
}

// openMetricsBound is a bound as OpenMetrics writes it, which has no integers there.
func openMetricsBound(text string) string {
	if text == "+Inf" || strings.ContainsAny(text, "e.") {
		return text
	}
	return text + ".0"
}

// samples takes a decoded histogram apart. Errors: no histogram, or a bound that is there twice.
func (m *Metric) samples(dst []Sample, labels []Label, h *dto.Histogram) ([]Sample, error) {
	if h == nil {
		return dst, errors.New(m.Name + " is no histogram")
	}
	series := m.series()
	for i := range series {
		series[i] = byName[series[i].Name]
	}
	last := math.Inf(-1)
	for _, b := range h.Bucket {
		if i := b.GetUpperBound(); i <= last || math.IsNaN(i) {
			return dst, fmt.Errorf("%s has the bound %s twice, or out of order", m.Name, boundText(i))
		}
		last = b.GetUpperBound()
		dst = append(dst, Sample{Metric: series[0], Labels: append(slices.Clone(labels), Label{bucketBound, boundText(last)}), Value: float64(b.GetCumulativeCount())})
	}
	return append(dst, Sample{Metric: series[1], Labels: labels, Value: h.GetSampleSum()},
		Sample{Metric: series[2], Labels: labels, Value: float64(h.GetSampleCount())}), nil
}
