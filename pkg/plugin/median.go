package plugin

import (
	"fmt"
	"slices"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// siblingsOf is the row in the middle of the other pods of a pod's workload.
func siblingsOf(pod *row, fleet *Fleet, rates bool) (*row, error) {
	all := anything()
	w, ok := pod.workload()
	if !ok {
		return nil, fmt.Errorf("--siblings: no controller made %s, so that it has no siblings; at least 1 is needed", pod.title())
	}
	siblings := slices.DeleteFunc(kin(rowsOf(fleet, &all, rates))[w], func(r *row) bool { return r.Name == pod.Name || r.reborn })
	if len(siblings) == 0 {
		return nil, fmt.Errorf("--siblings: %s has no other pod that is counted beside %s; at least 1 is needed", pod.controller(), pod.title())
	}
	name := fmt.Sprintf("the median of the other %s of %s/%s", plural(len(siblings), "pod"), pod.Namespace, pod.controller())
	return medianRow(name, siblings), nil
}

// medianRow is the row that lies in the middle of others: of every series that most of them have, the median. As their
// windows are not quite the same, it has that of one second.
func medianRow(name string, rows []*row) *row {
	m := &row{Name: name, first: &metrics.Record{}, last: &metrics.Record{}}
	var order []metrics.Sample
	values := map[string][]float64{}
	for _, r := range rows {
		if r.window > 0 {
			m.window = time.Second
		}
		if r.at.After(m.at) {
			m.at = r.at
		}
		for i := range r.last.Samples {
			s := &r.last.Samples[i]
			series := seriesName(s)
			if own(s.Metric) {
				continue
			}
			if _, ok := values[series]; !ok {
				order = append(order, *s)
			}
			values[series] = append(values[series], r.known(s)...)
		}
	}
	for _, s := range order {
		of := values[seriesName(&s)]
		if 2*len(of) <= len(rows) {
			continue
		}
		first, last := s, s
		first.Value, last.Value = 0, medianOf(of)
		if s.Metric.Type != metrics.Counter {
			first.Value = last.Value
		}
		m.first.Samples = append(m.first.Samples, first)
		m.last.Samples = append(m.last.Samples, last)
	}
	return m
}

// known is a sample's value or rate, none where it is not known.
func (r *row) known(s *metrics.Sample) []float64 {
	if v := r.read(s); v.state == present {
		return []float64{v.value}
	}
	return nil
}
