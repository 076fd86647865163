package plugin

import (
	"cmp"
	"fmt"
	"slices"
)

// passingOf are the findings in steps of a recording that do not hold over the whole of it: of each rule and row the worst.
func passingOf(j *judgement, courses map[*row]*course) *judgement {
	p := &judgement{}
	for _, r := range j.rows {
		c := courses[r]
		if c == nil {
			continue
		}
		for _, s := range c.sightings {
			if !j.found(r, s.worst.rule.id) {
				p.findings = append(p.findings, s.worst)
			}
		}
	}
	slices.SortStableFunc(p.findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), cmp.Compare(a.rule.id, b.rule.id), cmp.Compare(b.excess(), a.excess()))
	})
	return p
}

// verdicts are a judgement's findings, those of one rule and severity together.
func verdicts(j *judgement, courses map[*row]*course) (all []*verdict) {
	for _, alike := range j.alike() {
		rule := alike[0].rule
		a := &verdict{
			Severity: alike[0].severity, Title: capitalized(rule.title), ID: rule.id, Link: rule.link(), Threshold: rule.levelText(),
			More: max(0, len(alike)-fewSubjects), Means: rule.means, Look: rule.look, Next: alike[0].next(),
		}
		for i := range alike[:min(len(alike), fewSubjects)] {
			a.Subjects = append(a.Subjects, alike[i].affects(courses[alike[i].row]))
		}
		all = append(all, a)
	}
	return all
}

// affects says whom a finding is about; of a recording also when, and how it went.
func (f *finding) affects(c *course) affected {
	s := affected{Name: f.row.title(), Value: f.rule.format(f.value) + " " + f.rule.unit, Evidence: f.evidence}
	if seen := c.sighting(f.rule.id); seen != nil {
		s.When = seen.words(len(c.times), f.severity)
	} else if c != nil {
		s.When = fmt.Sprintf("over the whole, and in none of its %s alone", plural(len(c.times), "step"))
	}
	if c == nil || f.rule.worst != nil {
		return s
	}
	var levels []float64
	for _, l := range f.rule.levels {
		levels = append(levels, l.above)
	}
	if s.Chart = newChart(f.rule.id, f.row.title(), c.times, c.measured(f.row, f.rule), f.rule.word, levels); s.Chart != nil {
		s.Chart.Name = "" // which the finding says
	}
	return s
}

// words say in which steps a rule found something, and how bad the worst of them was if it was worse than the whole.
func (s *sighting) words(steps int, whole severity) string {
	worst := s.worst.rule.format(s.worst.value) + " at " + timeOfDay(s.at)
	if s.worst.severity > whole {
		worst += ", which is " + s.worst.severity.String()
	}
	switch {
	case s.steps == steps:
		return fmt.Sprintf("in all of %s; at most %s", plural(steps, "step"), worst)
	case s.steps == 1:
		return fmt.Sprintf("in one of %s: %s", plural(steps, "step"), worst)
	}
	return fmt.Sprintf("in %d of %s, %s to %s; at most %s", s.steps, plural(steps, "step"), timeOfDay(s.first), timeOfDay(s.last), worst)
}

// word is a reading of what the rule measures as text.
func (r *rule) word(v reading) string {
	c := column{formula: r.measure}
	return c.word(v)
}

// concerned are the rows with findings, the worst first.
func concerned(judgements ...*judgement) (rows []*row) {
	for _, j := range judgements {
		for i := range j.findings {
			if r := j.findings[i].row; !slices.Contains(rows, r) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}
