package plugin

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// bucket is how many are not above a bound.
type bucket struct{ bound, count float64 }

// quantile computes a quantile of a histogram in the last snapshot, as histogram_quantile does in Prometheus: within a bucket
// values are taken to be spread evenly, and above the last bound nothing is known but the bound.
func (r *row) quantile(histogram string, q float64) reading {
	if r.last == nil {
		return reading{}
	}
	var buckets []bucket
	for i := range r.last.Samples {
		if s := &r.last.Samples[i]; s.Metric.Name == histogram+"_bucket" {
			if bound, err := strconv.ParseFloat(label(s, "le"), 64); err == nil {
				buckets = append(buckets, bucket{bound, s.Value})
			}
		}
	}
	if len(buckets) == 0 && readFailed(r.last, histogram) {
		return reading{state: unreadable}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.bound, b.bound) })
	if len(buckets) < 2 || !(buckets[len(buckets)-1].count > 0) {
		return reading{} // nothing is counted in it
	}
	rank := q * buckets[len(buckets)-1].count
	at := slices.IndexFunc(buckets, func(b bucket) bool { return b.count >= rank })
	if at == len(buckets)-1 || at < 0 || math.IsInf(buckets[at].bound, 0) {
		return reading{present, buckets[len(buckets)-2].bound}
	}
	var below bucket
	if at > 0 {
		below = buckets[at-1]
	}
	if buckets[at].count == below.count {
		return reading{present, buckets[at].bound}
	}
	return reading{present, below.bound + (buckets[at].bound-below.bound)*(rank-below.count)/(buckets[at].count-below.count)}
}
