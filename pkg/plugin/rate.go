package plugin

import (
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// state says what is known about a value.
type state uint8

const (
	absent     state = iota // not counted here, not asked for, or with too little traffic to say
	present                 // known; zero is a value
	reset                   // a counter that fell between the samples: the namespace was made anew
	unreadable              // counted, but the collector could not read it
)

// reading is a value, or why there is none.
type reading struct {
	state state
	value float64
}

// plus adds two parts of one sum: a part that this kernel does not have adds nothing, a part that could not be read
// makes the sum unknown.
func (a reading) plus(b reading) reading {
	if b.state > a.state {
		a.state = b.state
	}
	if a.state != present {
		return reading{state: a.state}
	}
	return reading{present, a.value + b.value}
}

// sumOf reads a family: over a window the rate of a counter in units a second, else and for everything that is not a
// counter the last value. Of a labelled family all series are added up, or with values only those that have each of
// them as some label's value.
func (r *row) sumOf(name string, values ...string) reading {
	if r.last == nil {
		return reading{}
	}
	var sum reading
	for i := range r.last.Samples {
		if s := &r.last.Samples[i]; s.Metric.Name == name && hasValues(s, values) {
			sum = sum.plus(r.read(s))
		}
	}
	if sum.state == absent && readFailed(r.last, name) {
		return reading{state: unreadable}
	}
	return sum
}

func hasValues(s *metrics.Sample, values []string) bool {
	for _, v := range values {
		if !hasValue(s, v) {
			return false
		}
	}
	return true
}

func hasValue(s *metrics.Sample, value string) bool {
	for _, l := range s.Labels {
		if strings.EqualFold(l.Value, value) {
			return true
		}
	}
	return false
}

// read turns a sample of the last snapshot into a reading, with the same series of the first one for a rate.
func (r *row) read(last *metrics.Sample) reading {
	if last.Metric.Type != metrics.Counter || r.window == 0 {
		return reading{present, last.Value}
	}
	if r.reborn {
		return reading{state: reset}
	}
	first, ok := r.before(last)
	switch {
	case !ok:
		return reading{} // appeared in between, such as an interface: one sample makes no rate
	case last.Value < first:
		return reading{state: reset}
	}
	return reading{present, (last.Value - first) / r.window.Seconds()}
}

// fewSamples are as many as are looked through faster than an index of them is made.
const fewSamples = 64

// before finds the value that a series had in the first snapshot.
func (r *row) before(last *metrics.Sample) (v float64, ok bool) {
	if r.first == nil {
		return 0, false
	}
	if len(r.first.Samples) <= fewSamples {
		for i := range r.first.Samples {
			if s := &r.first.Samples[i]; s.Metric.Name == last.Metric.Name && slices.Equal(s.Labels, last.Labels) {
				return s.Value, true
			}
		}
		return 0, false
	}
	if r.earlier == nil {
		r.earlier = make(map[string]float64, len(r.first.Samples))
		for i := range r.first.Samples {
			s := &r.first.Samples[i]
			r.earlier[seriesName(s)] = s.Value
		}
	}
	v, ok = r.earlier[seriesName(last)]
	return v, ok
}

// seriesName names a series within its record: the family's short name and the labels that are not the sandbox's.
func seriesName(s *metrics.Sample) string {
	if len(s.Labels) == 0 {
		return s.Metric.Short()
	}
	var b strings.Builder
	b.WriteString(s.Metric.Short())
	sep := byte('{')
	for _, l := range s.Labels {
		b.WriteByte(sep)
		b.WriteString(strings.TrimPrefix(l.Name, "cosanet_"))
		b.WriteString(`="`)
		b.WriteString(l.Value)
		b.WriteByte('"')
		sep = ','
	}
	b.WriteByte('}')
	return b.String()
}
