package plugin

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// object builds the list that the formats of kubectl show.
func (v *topView) object(rows []*row) *PodNetStatsList {
	list := &PodNetStatsList{TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: "PodNetStatsList"}, Items: []PodNetStats{}}
	for _, r := range rows {
		list.Items = append(list.Items, r.object(v.columns))
	}
	return list
}

func (r *row) object(columns []column) PodNetStats {
	p := PodNetStats{
		APIVersion: APIVersion, Kind: "PodNetStats",
		Metadata: Metadata{Name: r.Name, Namespace: r.Namespace, UID: types.UID(r.UID)},
		Node:     r.Node, PodIP: r.IP, Status: r.word, Message: r.why,
		Columns: map[string]float64{},
	}
	if r.host() {
		p.Kind, p.Metadata.Name, p.Metadata.Namespace = "NodeNetStats", r.Node, ""
	}
	if r.group != nil {
		r.group.describe(r, &p)
	}
	if r.ControllerKind != "" {
		p.Controller = &Controller{r.ControllerKind, r.ControllerName}
	}
	if r.last == nil {
		return p
	}
	if !r.at.IsZero() {
		p.Time = &metav1.MicroTime{Time: r.at.UTC()}
	}
	p.WindowSeconds, _ = finite(r.window.Seconds())
	for i := range columns {
		if v := columns[i].read(r); v.state == present && columns[i].text == nil {
			if value, ok := finite(v.value); ok {
				p.Columns[columns[i].key] = value
			}
		}
	}
	p.Failed = r.last.FailedSources()
	if r.group == nil { // of a group the columns are what was added up
		p.Metrics, p.Reset = r.series()
	}
	r.earlier = nil // of a hundred thousand rows
	return p
}

// series are all values of the row, and the counters among them that began again.
func (r *row) series() (values map[string]Value, fell []string) {
	values = map[string]Value{}
	for i := range r.last.Samples {
		s := &r.last.Samples[i]
		if own(s.Metric) {
			continue // what the collector says of itself is in the other fields
		}
		last, ok := finite(s.Value)
		if !ok {
			continue
		}
		value := Value{Value: last}
		if s.Metric.Type == metrics.Counter && r.window > 0 {
			switch v := r.read(s); v.state {
			case present:
				if rate, ok := finite(v.value); ok {
					value.Rate = &rate
				}
			case reset:
				fell = append(fell, seriesName(s))
			}
		}
		values[seriesName(s)] = value
	}
	return values, fell
}
