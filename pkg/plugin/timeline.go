package plugin

import (
	"slices"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// course is how a row went over a recording of more than two samples, from each to the next.
type course struct {
	snapshots []*metrics.Snapshot // of its node
	times     []time.Time         // when each step ended
	readings  [][]reading         // of each column, of each step
	sightings []*sighting         // in the order in which rules found something first
}

// sighting is what a rule found in some steps of a course.
type sighting struct {
	worst       finding // of its row over the whole recording, with the value and the evidence of the worst step
	at          time.Time
	first, last time.Time
	steps       int
}

// coursesOf follows rows from sample to sample, and judges each step as the whole is judged: what holds for ten seconds is
// lost in the average of ten minutes. It is empty where no node has more than two samples.
func coursesOf(fleet *Fleet, rows []*row, columns []column, rules []rule) map[*row]*course {
	courses := map[*row]*course{}
	longest := 0
	for _, r := range rows {
		snapshots := fleet.snapshotsOf(r.Node)
		if len(snapshots) > 2 && r.last != nil && r.word == "" {
			courses[r] = &course{snapshots: snapshots, readings: make([][]reading, len(columns))}
			longest = max(longest, len(snapshots))
		}
	}
	for i := 1; i < longest; i++ {
		whole := map[*row]*row{}
		var steps []*row
		for _, r := range rows {
			c := courses[r]
			if c == nil || i >= len(c.snapshots) {
				continue
			}
			step := r.step(c.snapshots[i-1], c.snapshots[i])
			c.times = append(c.times, c.snapshots[i].Time)
			for n := range columns {
				c.readings[n] = append(c.readings[n], columns[n].read(step))
			}
			whole[step] = r
			steps = append(steps, step)
		}
		for _, f := range examine(rules, steps).findings {
			r, at := whole[f.row], f.row.at
			f.row = r
			courses[r].sight(f, at)
		}
	}
	return courses
}

func (f *Fleet) snapshotsOf(node string) []*metrics.Snapshot {
	for i := range f.Observations {
		if o := &f.Observations[i]; o.Node == node && o.Err == nil {
			return o.Snapshots
		}
	}
	return nil
}

// step is the row between two samples that follow each other. It has no numbers where the later one does not have the row,
// or the node's clock stood still.
func (r *row) step(first, last *metrics.Snapshot) *row {
	w := window{node: r.Node, first: first, last: last, length: last.Time.Sub(first.Time)}
	record, _ := beginning(last, &r.last.Sandbox)
	if record == nil || w.length <= 0 {
		return &row{Node: r.Node, Namespace: r.Namespace, Name: r.Name, at: last.Time}
	}
	step := w.row(record)
	step.Namespace, step.Name = r.Namespace, r.Name
	return step
}

// sight adds what was found in the step that ended at a time.
func (c *course) sight(f finding, at time.Time) {
	s := c.sighting(f.rule.id)
	if s == nil {
		s = &sighting{worst: f, at: at, first: at}
		c.sightings = append(c.sightings, s)
	}
	if f.severity > s.worst.severity || f.severity == s.worst.severity && f.value > s.worst.value {
		s.worst, s.at = f, at
	}
	s.last = at
	s.steps++
}

// sighting is what a rule found; nil: nothing, in any step.
func (c *course) sighting(id string) *sighting {
	if c == nil {
		return nil
	}
	for _, s := range c.sightings {
		if s.worst.rule.id == id {
			return s
		}
	}
	return nil
}

// measured is what a rule measures in each step.
func (c *course) measured(r *row, rule *rule) []reading {
	readings := make([]reading, len(c.times))
	for i := range readings {
		readings[i] = rule.measure.read(r.step(c.snapshots[i], c.snapshots[i+1]))
	}
	return readings
}

// moved is how far each row's columns went up and down, against the largest value that any row has in that column: 0 for a
// row that stood still, 1 for one that went from nothing to the largest of all.
func moved(courses map[*row]*course) map[*row]float64 {
	type span struct{ least, most float64 }
	spans := map[*row][]span{}
	var largest []float64
	for r, c := range courses {
		largest = append(largest, make([]float64, max(0, len(c.readings)-len(largest)))...)
		for n, readings := range c.readings {
			s, ok := extremes(readings)
			if !ok {
				s.least, s.most = 0, 0
			}
			spans[r] = append(spans[r], span{s.least, s.most})
			largest[n] = max(largest[n], s.most)
		}
	}
	scores := map[*row]float64{}
	for r := range courses {
		for n, s := range spans[r] {
			if largest[n] > 0 {
				scores[r] = max(scores[r], (s.most-s.least)/largest[n])
			}
		}
	}
	return scores
}

// extreme is the least and the most of a course's readings, and where they are.
type extreme struct {
	least, most     float64
	leastAt, mostAt int
}

// extremes looks for them; ok is false where nothing is known at all.
func extremes(readings []reading) (e extreme, ok bool) {
	for i, v := range readings {
		if v.state != present {
			continue
		}
		if !ok || v.value < e.least {
			e.least, e.leastAt = v.value, i
		}
		if !ok || v.value > e.most {
			e.most, e.mostAt = v.value, i
		}
		ok = true
	}
	return e, ok
}

// vanished are the pods that a recording has, and its last sample not, each with when it was there last.
func (f *Fleet) vanished(sel *Selection) map[string]time.Time {
	gone := map[string]time.Time{}
	for i := range f.Observations {
		o := &f.Observations[i]
		if len(o.Snapshots) < 3 || o.Err != nil {
			continue
		}
		there := index(o.Snapshots[len(o.Snapshots)-1])
		for _, s := range slices.Backward(o.Snapshots[:len(o.Snapshots)-1]) {
			for j := range s.Records {
				box := &s.Records[j].Sandbox
				ref := PodRef{box.Namespace, box.Pod}
				if _, noted := gone[ref.String()]; noted || box.Pod == "" || box.Host() || there[ref] != nil || !sel.admits(box) {
					continue
				}
				gone[ref.String()] = s.Time
			}
		}
	}
	return gone
}
