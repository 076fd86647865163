package plugin

import (
	"encoding/json"
	"io"
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// items makes of each node's answer the objects of its pods as soon as it is there, and lets go of the answer: of a
// thousand nodes, all series of all pods are gigabytes. What is left of a row is its packed object and what it is sorted by.
type items struct {
	view  *topView
	rates bool
	packing
}

// take turns what a node answered into rows. Pods are those listed on the node, nil where none are known (a saved file).
// What the fleet itself is asked stays: the times of the samples, and what the collector said of itself.
func (it *items) take(pods []livePod, o *Observation) error {
	if o.Err != nil || len(o.Snapshots) == 0 {
		return nil
	}
	node := &Fleet{Pods: pods, Observations: []Observation{*o}}
	node.name()
	for _, r := range rowsOf(node, &it.view.selection, it.rates) {
		text, err := json.Marshal(r.object(it.view.columns))
		if err != nil {
			return err
		}
		if r.packed, err = it.pack(text); err != nil {
			return err
		}
		r.forget(it.view.sortBy)
		o.rows = append(o.rows, r)
	}
	for i, s := range o.Snapshots {
		left := &metrics.Snapshot{Time: s.Time}
		for _, record := range s.Records {
			if record.Sandbox.Self() {
				left.Records = append(left.Records, record)
			}
		}
		o.Snapshots[i] = left
	}
	return nil
}

// forget lets go of what was counted, but for what the rows are sorted by.
func (r *row) forget(sortBy *column) {
	r.earlier = nil
	if sortBy == nil || sortBy.text != nil {
		r.first, r.last = nil, nil
		return
	}
	families := sortBy.families()
	for _, record := range []**metrics.Record{&r.first, &r.last} {
		if *record == nil {
			continue
		}
		kept := &metrics.Record{Sandbox: (*record).Sandbox}
		for _, s := range (*record).Samples {
			if slices.Contains(families, s.Metric.Name) || s.Metric.Name == readSuccess {
				kept.Samples = append(kept.Samples, s)
			}
		}
		*record = kept
	}
}

// write writes the objects of rows, of those that no node has counted as well, as one list.
func (it *items) write(w io.Writer, format string, rows []*row) error {
	list := newListStream(w, format)
	for _, r := range rows {
		text, err := it.text(r)
		if err != nil {
			return err
		}
		if err := list.item(text); err != nil {
			return err
		}
	}
	return list.close("PodNetStatsList")
}

func (it *items) text(r *row) ([]byte, error) {
	if r.packed != nil {
		return it.unpack(r.packed)
	}
	return json.Marshal(r.object(it.view.columns))
}
