package plugin

import (
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// formula computes a value from metric families: a sum of rates or levels, or the percentage that one sum is of another.
type formula struct {
	sum    []string // families that are added up; those that a kernel does not have are left out
	minus  []string // and those taken away from it, down to zero
	values []string // label values that a series must have to count
	over   []string // the value is a percentage of the sum of these
	least  float64  // for a percentage: the units of over below which there is too little traffic to say

	quantile float64 // in place of all that: 0.99 is what 99 of 100 are not above, of the one histogram in sum
	times    float64 // the unit of that: 1000 makes milliseconds of seconds
}

// share tells whether the value is a percentage.
func (f *formula) share() bool { return len(f.over) > 0 }

// counts tells whether the value is made of counters, so that it has a rate. A percentage of counters has none of its own.
func (f *formula) counts() bool {
	m, ok := metrics.Lookup(f.sum[0])
	return ok && m.Type == metrics.Counter && !f.share()
}

// families are the metrics that the value is computed from.
func (f *formula) families() []string { return slices.Concat(f.sum, f.minus, f.over) }

// read computes the value for a row.
func (f *formula) read(r *row) reading {
	if f.quantile > 0 {
		v := r.quantile(f.sum[0], f.quantile)
		v.value *= f.times
		return v
	}
	sum := r.total(f.sum, f.values)
	if less := r.total(f.minus, f.values); sum.state == present && less.state == present {
		sum.value = max(0, sum.value-less.value)
	} else if less.state > present {
		return less
	}
	if !f.share() || sum.state != present {
		return sum
	}
	over := r.total(f.over, nil)
	units := over.value
	if m, ok := metrics.Lookup(f.over[0]); ok && m.Type == metrics.Counter && r.window > 0 {
		units *= r.window.Seconds()
	}
	switch {
	case over.state != present:
		return over
	case units < f.least || over.value == 0:
		return reading{}
	}
	return reading{present, 100 * sum.value / over.value}
}

// total adds up families.
func (r *row) total(families, values []string) (sum reading) {
	for _, name := range families {
		sum = sum.plus(r.sumOf(name, values...))
	}
	return sum
}
