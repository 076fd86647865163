package plugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// grouping says what the pods of one row of top have in common. Its values are those of --group-by.
type grouping string

const (
	byPod       grouping = "" // each is a row of its own
	byWorkload  grouping = "workload"
	byNode      grouping = "node"
	byNamespace grouping = "namespace"
)

func groupings() []string { return []string{string(byWorkload), string(byNode), string(byNamespace)} }

func (g *grouping) String() string { return string(*g) }

// Set and Type make a flag of it.
func (g *grouping) Set(text string) error {
	if !slices.Contains(groupings(), text) {
		return fmt.Errorf("use %s", strings.Join(groupings(), ", "))
	}
	*g = grouping(text)
	return nil
}

// Type is the word for the value in usage texts.
func (g *grouping) Type() string { return "grouping" }

// header is that of the column that names the rows.
func (g grouping) header() string {
	if g == byPod {
		return "POD"
	}
	return strings.ToUpper(string(g))
}

// group is what a row has that stands for several pods.
type group struct {
	by            grouping
	pods, counted int      // those that are meant, and those among them of which there are numbers
	odd           []oddity // pods that are unlike the others
}

// name is what a row belongs to, the namespace apart.
func (g grouping) name(r *row) (namespace, name string) {
	switch {
	case g == byNode:
		return "", cmp.Or(r.Node, absentText)
	case g == byNamespace:
		return "", cmp.Or(r.Namespace, absentText)
	}
	return r.Namespace, cmp.Or(r.controller(), "pod/"+r.Name)
}

// sum makes one row of all that belong together. The nodes' own rows stay what they are: what a node forwards for its pods
// would be counted twice.
func (g grouping) sum(rows []*row) []*row {
	compareSiblings(rows)
	var groups []*row
	sums := map[[2]string]*sum{}
	for _, r := range rows {
		if r.host() {
			groups = append(groups, r)
			continue
		}
		namespace, name := g.name(r)
		s, ok := sums[[2]string{namespace, name}]
		if !ok {
			s = &sum{row: &row{Namespace: namespace, Name: name, word: r.word, group: &group{by: g}}, at: map[string]int{}}
			if g == byWorkload {
				s.row.ControllerKind, s.row.ControllerName = r.ControllerKind, r.ControllerName
			}
			sums[[2]string{namespace, name}] = s
			groups = append(groups, s.row)
		}
		s.add(r)
	}
	for _, s := range sums {
		s.finish()
	}
	return groups
}

// sum adds up series of pods.
type sum struct {
	row    *row
	series []sumOfSeries
	at     map[string]int // in series, by name
	failed []metrics.Sample
}

type sumOfSeries struct {
	last, rate float64 // of a counter over a window also its rate
	sample     metrics.Sample
	fell       bool // a counter of one pod began again: the rate of all is not known
}

func (s *sum) add(r *row) {
	s.row.group.pods++
	if r.word != s.row.word {
		s.row.word = ""
	}
	if r.last == nil || r.word != "" || r.reborn { // a pod that began again within the window has no rates yet
		return
	}
	s.row.group.counted++
	s.row.group.odd = append(s.row.group.odd, r.odd...)
	s.row.window = max(s.row.window, r.window)
	if r.at.After(s.row.at) {
		s.row.at = r.at
	}
	for i := range r.last.Samples {
		sample := &r.last.Samples[i]
		switch {
		case sample.Metric.Name == readSuccess && sample.Value == 0:
			s.failed = append(s.failed, *sample)
		case own(sample.Metric) || sample.Metric.Signal == metrics.Info: // limits and settings do not add up
		default:
			s.count(r, sample)
		}
	}
}

func (s *sum) count(r *row, sample *metrics.Sample) {
	name := seriesName(sample)
	i, ok := s.at[name]
	if !ok {
		i = len(s.series)
		s.at[name] = i
		s.series = append(s.series, sumOfSeries{sample: *sample})
	}
	to := &s.series[i]
	to.last += sample.Value
	if v := r.read(sample); sample.Metric.Type == metrics.Counter && r.window > 0 {
		to.rate += v.value
		to.fell = to.fell || v.state == reset
	}
}

// finish makes records of the sums, by which every column can be computed: as far apart as the rates say. What could not be
// read of one pod is not known of all.
func (s *sum) finish() {
	if s.row.group.counted == 0 {
		return
	}
	s.row.word = ""
	s.row.first, s.row.last = &metrics.Record{}, &metrics.Record{Samples: s.failed}
	for i := range s.series {
		of := &s.series[i]
		if readFailed(s.row.last, of.sample.Metric.Name) {
			continue
		}
		first, last := of.sample, of.sample
		last.Value = of.last
		first.Value = of.last - of.rate*s.row.window.Seconds()
		if of.fell {
			first.Value = of.last + 1
		}
		s.row.first.Samples = append(s.row.first.Samples, first)
		s.row.last.Samples = append(s.row.last.Samples, last)
	}
}

// podCount is how many pods the numbers are of, and of how many there should be.
func (g *group) podCount() string {
	if g.pods == 0 { // a node's own row
		return absentText
	}
	if g.counted < g.pods {
		return fmt.Sprintf("%d/%d", g.counted, g.pods)
	}
	return fmt.Sprint(g.pods)
}

// oddCell names the pods that are unlike the others, and says why.
func (g *group) oddCell() cell {
	if len(g.odd) == 0 {
		return cell{text: absentText}
	}
	var reasons []string
	for i, o := range g.odd {
		reason := o.String()
		if i == 0 || o.pod != g.odd[i-1].pod {
			reason = o.pod.Name + ": " + reason
		}
		reasons = append(reasons, reason)
	}
	return cell{"! " + strings.Join(reasons, "; "), warn}
}

// Odd is a value of a pod that sets it apart from the other pods of its workload.
type Odd struct {
	Column   string  `json:"column"` // as the table names it
	Median   float64 `json:"median"` // of the siblings
	Pod      string  `json:"pod"`
	Reason   string  `json:"reason"`
	Siblings int     `json:"siblings"`
	Value    float64 `json:"value"`
}

// describe fills in what an object of a group has in place of a pod's.
func (g *group) describe(r *row, p *PodNetStats) {
	p.Kind, p.GroupBy = "NetStatsGroup", string(g.by)
	p.Metadata = Metadata{Name: r.Name, Namespace: r.Namespace}
	p.Pods, p.Counted = &g.pods, &g.counted
	for _, o := range g.odd {
		value, _ := finite(o.value)
		median, _ := finite(o.median)
		p.Odd = append(p.Odd, Odd{Column: o.column.name, Median: median, Pod: o.pod.Name, Reason: o.String(), Siblings: o.siblings, Value: value})
	}
}

// grouped leaves out the columns that are words about one pod, or refuses those that were asked for, and adds to what is
// needed that by which siblings are compared.
func (v *topView) grouped(needed []column, asked bool) ([]column, error) {
	words := func(c column) bool { return c.text != nil && c.name != "POD" && c.name != "NAMESPACE" }
	if !asked {
		needed = slices.DeleteFunc(slices.Clone(needed), func(c column) bool { return words(c) && (v.sortBy == nil || c.name != v.sortBy.name) })
		v.columns = slices.DeleteFunc(v.columns, words)
	}
	if i := slices.IndexFunc(needed, words); i >= 0 {
		return nil, fmt.Errorf("--group-by: %s is of one pod, and no sum", needed[i].name)
	}
	if v.by == byWorkload {
		for _, t := range traits() {
			needed = append(needed, t.column)
		}
	}
	return needed, nil
}
