package plugin

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// sheets are the tables of nodes and pods, those with findings first.
func (v *reportView) sheets(rows, concerned []*row, j *judgement, rates bool) []*listing {
	found := column{name: "FINDINGS", meaning: "rules that found something, see above", text: func(r *row) string {
		var marked []string
		for i := range j.findings {
			if j.findings[i].row == r {
				marked = append(marked, j.findings[i].marked())
			}
		}
		return strings.Join(marked, ", ")
	}}
	ranked := slices.Clone(concerned)
	first := map[*row]bool{}
	for _, r := range concerned {
		first[r] = true
	}
	for _, r := range rows {
		if !first[r] {
			ranked = append(ranked, r)
		}
	}
	of := func(host bool) []*row {
		return slices.DeleteFunc(slices.Clone(ranked), func(r *row) bool { return r.host() != host })
	}
	name := column{name: "NODE", meaning: "the network namespace of the node itself", text: func(r *row) string { return r.Node }}
	counted := slices.DeleteFunc(slices.Clone(v.columns), func(c column) bool { return c.text != nil })
	nodes := newListing("Nodes", of(true), append([]column{name, found}, counted...), rates)
	name = column{name: "POD", meaning: "namespace and name", text: (*row).title}
	pods := newListing("Pods", of(false), append([]column{name, found}, v.columns...), rates)
	return slices.DeleteFunc([]*listing{nodes, pods}, func(s *listing) bool { return len(s.Rows) == 0 })
}

// newListing fills a table.
func newListing(title string, rows []*row, columns []column, rates bool) *listing {
	s := &listing{Title: title, Left: max(0, len(rows)-mostRows)}
	for i := range columns {
		c := &columns[i]
		s.Headings = append(s.Headings, heading{Name: c.header(rates), Meaning: c.meaning, Wide: c.shown == inWide, Number: c.text == nil})
	}
	for _, r := range rows[:min(len(rows), mostRows)] {
		cells := r.cells(columns)
		fields := make([]field, len(cells))
		for i, cell := range cells {
			c := &columns[i]
			fields[i] = field{Text: printableLine(cell.text), Alarm: cell.alarm.name(), Wide: c.shown == inWide, Number: c.text == nil}
			if v := (reading{}); c.text == nil {
				if v = c.read(r); v.state == present {
					fields[i].Key = strconv.FormatFloat(v.value, 'g', 6, 64)
				}
			} else if strings.HasSuffix(cell.text, "!!") || strings.Contains(cell.text, "!!,") {
				fields[i].Alarm = bad.name()
			} else if strings.Contains(cell.text, "!") && c.name == "FINDINGS" {
				fields[i].Alarm = warn.name()
			}
		}
		s.Rows = append(s.Rows, fields)
	}
	return s
}

// name is the alarm as a word; empty for none.
func (a alarm) name() string { return [...]string{calm: "", warn: "warn", bad: "bad"}[a] }

// strips are the time lines of a recording: of the rows with findings, and of those that moved most. Still counts the rows
// that are left out.
func (v *reportView) strips(courses map[*row]*course, concerned []*row, rates bool) (strips []*strip, still int) {
	scores := moved(courses)
	chosen := slices.DeleteFunc(slices.Clone(concerned), func(r *row) bool { return courses[r] == nil })
	movers := slices.SortedFunc(maps.Keys(courses), func(a, b *row) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), strings.Compare(a.title(), b.title()), strings.Compare(a.Node, b.Node))
	})
	withFindings := min(len(chosen), mostStrips)
	for _, r := range movers {
		if len(chosen) < mostStrips && !slices.Contains(chosen, r) && scores[r] > 0 {
			chosen = append(chosen, r)
		}
	}
	for i, r := range chosen[:min(len(chosen), mostStrips)] {
		why := "with findings"
		if i >= withFindings {
			why = "moved most"
		}
		strips = append(strips, v.strip(r, courses[r], why, rates))
	}
	return strips, len(courses) - len(strips)
}

// strip draws the columns of a row that have anything to show. Those of the wide table are drawn if a mark is set on them.
func (v *reportView) strip(r *row, c *course, why string, rates bool) *strip {
	s := &strip{Title: r.title(), Why: why, Steps: &listing{Headings: []heading{{Name: "TIME"}}}}
	var drawn []int
	for n := range v.columns {
		column := &v.columns[n]
		if column.text != nil || column.shown != inDefault && column.mark == (threshold{}) {
			continue
		}
		header := column.header(rates)
		e, known := extremes(c.readings[n])
		switch {
		case !known:
			s.None = append(s.None, header+" "+column.word(c.readings[n][len(c.readings[n])-1]))
			continue
		case e.most != e.least || count(c.readings[n], present) < len(c.readings[n]):
		case e.most == 0:
			s.Zero = append(s.Zero, header)
			continue
		default:
			s.Same = append(s.Same, header+" "+column.format(e.most))
			continue
		}
		levels := []float64{column.mark.warn, column.mark.bad}
		s.Charts = append(s.Charts, newChart(header, r.title(), c.times, c.readings[n], column.word, levels))
		s.Steps.Headings = append(s.Steps.Headings, heading{Name: header, Number: true})
		drawn = append(drawn, n)
	}
	each := max(1, (len(c.times)+mostSteps-1)/mostSteps)
	for i := 0; i < len(c.times); i += each {
		fields := []field{{Text: timeOfDay(c.times[i])}}
		for _, n := range drawn {
			fields = append(fields, field{Text: v.columns[n].word(c.readings[n][i]), Number: true})
		}
		s.Steps.Rows = append(s.Steps.Rows, fields)
	}
	s.Steps.Left = len(c.times) - len(s.Steps.Rows)
	return s
}
