package plugin

import (
	"cmp"
	"slices"
)

// finding is a rule that applies to a row.
type finding struct {
	rule     *rule
	row      *row
	severity severity
	value    float64
	evidence []string // what makes it more exact, a line each
}

// judgement is what the rules say of rows.
type judgement struct {
	checked  []string // rules, by their id, that could say something of at least one row
	lacking  []string // those that could not, for want of what they measure: the kernel, the file or a single sample has it not
	rows     []*row   // those that were judged
	findings []finding
	unread   map[string][]*row // by the rule that could not be checked, since its source could not be read
	restarts []*row            // whose counters began again within the window: their rates are not known
	least    severity          // of the findings that are told
	below    int               // findings that are not, since they are below that
}

// examine applies the rules to rows, and ranks what it finds: the worst first, of one rule the one that is furthest above its
// level, pods before nodes.
func examine(rules []rule, rows []*row) *judgement {
	j := &judgement{unread: map[string][]*row{}}
	said := map[string]bool{}
	compareSiblings(rows)
	for _, r := range rows {
		if r.last == nil || r.word != "" {
			continue
		}
		j.rows = append(j.rows, r)
		restarted := false
		for i := range rules {
			rule := &rules[i]
			if rule.node && !r.host() {
				continue
			}
			f, state := rule.judge(r)
			said[rule.id] = said[rule.id] || state != absent || rule.idle(r)
			switch {
			case state == unreadable:
				j.unread[rule.id] = append(j.unread[rule.id], r)
			case state == reset:
				restarted = true
			case f != nil && !j.found(r, rule.unless):
				j.findings = append(j.findings, *f)
			}
		}
		if restarted {
			j.restarts = append(j.restarts, r)
		}
	}
	for i := range rules {
		if id := rules[i].id; said[id] {
			j.checked = append(j.checked, id)
		} else {
			j.lacking = append(j.lacking, id)
		}
	}
	slices.SortStableFunc(j.findings, func(a, b finding) int {
		return cmp.Or(cmp.Compare(b.severity, a.severity), cmp.Compare(b.excess(), a.excess()))
	})
	return j
}

// idle tells whether a percentage has no value only because there is too little traffic to say.
func (rule *rule) idle(r *row) bool {
	return rule.measure.share() && r.window > 0 && r.total(rule.measure.sum, nil).state == present && r.total(rule.measure.over, nil).state == present
}

// found tells whether a rule has found something in a row.
func (j *judgement) found(r *row, id string) bool {
	return slices.ContainsFunc(j.findings, func(f finding) bool { return f.row == r && f.rule.id == id })
}

// judge applies one rule: nil where nothing is wrong, and the state of the value where it is not known.
func (rule *rule) judge(r *row) (*finding, state) {
	f := &finding{rule: rule, row: r}
	switch {
	case rule.needs != nil && !rule.needs(r):
		return nil, absent
	case rule.needs == nil && rule.worst != nil && rule.known(r) != present:
		return nil, rule.known(r)
	case rule.worst != nil:
		f.evidence = rule.worst(r)
		f.value = float64(len(f.evidence))
	default:
		v := rule.measure.read(r)
		if v.state != present {
			return nil, v.state
		}
		if r.window == 0 && rule.measure.counts() {
			return nil, absent // a total since the start of the pod says nothing of now
		}
		f.value = v.value
	}
	found := false
	for _, l := range rule.levels {
		if f.value > l.above {
			f.severity, found = l.severity, true
		}
	}
	if !found {
		return nil, present
	}
	if rule.shows != nil {
		f.evidence = rule.shows(r)
	}
	f.evidence = append(f.evidence, rule.grows.lines(r)...)
	return f, present
}

// known tells whether the source of a rule that looks for the worst was read; nothing may be in it.
func (rule *rule) known(r *row) state {
	for i := range r.last.Samples {
		if s := &r.last.Samples[i]; s.Metric.Name == readSuccess && isOf(rule.beside[0], label(s, "source")) {
			if s.Value == 0 {
				return unreadable
			}
			return present
		}
	}
	return absent
}

// excess is how many times the value is above the level that made the finding; with a level of zero, the value.
func (f *finding) excess() float64 {
	for _, l := range f.rule.levels {
		if l.severity == f.severity && l.above > 0 {
			return f.value / l.above
		}
	}
	return f.value
}

// worst is the highest severity; ok is false where nothing was found.
func (j *judgement) worst() (worst severity, ok bool) {
	for i := range j.findings {
		worst = max(worst, j.findings[i].severity)
	}
	return worst, len(j.findings) > 0
}

// from leaves the findings of a severity and of those above it.
func (j *judgement) from(least severity) {
	all := len(j.findings)
	j.findings = slices.DeleteFunc(j.findings, func(f finding) bool { return f.severity < least })
	j.least, j.below = least, all-len(j.findings)
}

// pods and nodes count the rows that were judged.
func (j *judgement) pods() int {
	pods := 0
	for _, r := range j.rows {
		if !r.host() {
			pods++
		}
	}
	return pods
}

func (j *judgement) nodes() int { return len(j.rows) - j.pods() }
