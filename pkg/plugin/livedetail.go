package plugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// pod is the page of the chosen row: who it is, what is wrong with it, and the counters that move.
func (p *page) pod() []line {
	i := slices.IndexFunc(p.rows, func(r *row) bool { return r.title() == p.cursor })
	if i < 0 {
		return []line{{{p.cursor, boldInk}}, {{"It is not there any more.", plainInk}}}
	}
	r := p.rows[i]
	lines := []line{p.who(r), nil}
	if r.last == nil || r.word != "" {
		return append(lines, line{{strings.TrimSuffix(r.word+": "+r.why, ": "), plainInk}})
	}
	lines = append(lines, p.findings(r)...)
	return append(append(lines, nil), p.moving(r)...)
}

func (p *page) who(r *row) line {
	text := "  on " + r.Node
	if r.host() {
		text = ""
	}
	for _, more := range []string{r.controller(), r.IP} {
		if more != "" {
			text += ", " + more
		}
	}
	if r.window > 0 {
		text += ", over " + r.window.Round(100*time.Millisecond).String()
	}
	return line{{r.title(), boldInk}, {text, plainInk}}
}

// findings are what the rules say of the row.
func (p *page) findings(r *row) []line {
	j := examine(p.rules, []*row{r})
	if len(j.findings) == 0 {
		return []line{{{fmt.Sprintf("Nothing found: %s checked.", plural(len(j.checked), "rule")), plainInk}}}
	}
	var lines []line
	for i := range j.findings {
		f := &j.findings[i]
		look := [...]style{Info: boldInk, Warning: warnInk, Critical: badInk}[f.severity]
		lines = append(lines, line{{strings.ToUpper(f.severity.String()) + "  ", look}, {capitalized(f.rule.title), boldInk}, {"  (" + f.rule.id + ")", plainInk}})
		lines = append(lines, p.folded(f.rule.format(f.value)+" "+f.rule.unit, plainInk)...)
		for _, text := range f.evidence {
			lines = append(lines, p.folded(text, plainInk)...)
		}
		lines = append(lines, p.folded(f.rule.means, faintInk)...)
		for _, command := range f.next() {
			lines = append(lines, p.folded("next: "+command, plainInk)...)
		}
	}
	return lines
}

// folded is a text in as many lines as it takes.
func (p *page) folded(text string, look style) (lines []line) {
	for l := range strings.SplitSeq(wrappedAt(p.width, printableLine(text), 2), "\n") {
		lines = append(lines, line{{l, look}})
	}
	return lines
}

// mover is a counter that moves.
type mover struct {
	sample *metrics.Sample
	rate   float64
}

// moving are the row's counters that moved since the sample before: signs of trouble first, then the fastest.
func (p *page) moving(r *row) []line {
	var movers []mover
	for i := range r.last.Samples {
		s := &r.last.Samples[i]
		if s.Metric.Type != metrics.Counter || own(s.Metric) {
			continue
		}
		if v := r.read(s); v.state == present && v.value > 0 {
			movers = append(movers, mover{s, v.value})
		}
	}
	if len(movers) == 0 {
		return []line{{{"No counter moves.", plainInk}}}
	}
	trouble := func(m mover) int {
		if s := m.sample.Metric.Signal; s == metrics.Error || s == metrics.Drop {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(movers, func(a, b mover) int {
		return cmp.Or(trouble(b)-trouble(a), cmp.Compare(b.rate, a.rate))
	})
	width := 0
	for _, m := range movers {
		width = max(width, len(seriesName(m.sample)))
	}
	width = min(width, max(20, p.width-40))
	lines := []line{{{padded("COUNTERS THAT MOVE", width) + padded("PER SECOND", 10) + padded("TOTAL", 14) + "SIGNAL", boldInk}}}
	for _, m := range movers {
		look := plainInk
		if trouble(m) > 0 {
			look = warnInk
		}
		format := number
		if m.sample.Metric.Unit == "bytes" {
			format = size
		}
		lines = append(lines, line{{padded(seriesName(m.sample), width), look},
			{padded(format(m.rate), 10) + padded(number(m.sample.Value), 14) + m.sample.Metric.Signal.String(), plainInk}})
	}
	return lines
}

// helpLines are the keys and what they do.
func helpLines() []line {
	lines := []line{{{"Keys", boldInk}}, nil}
	for _, k := range livekeys() {
		if k.title != "" {
			lines = append(lines, line{{"  " + padded(k.title, 12), boldInk}, {k.meaning, plainInk}})
		}
	}
	return append(lines, nil,
		line{{"! marks a value worth a look, !! a bad one; - is not counted there, err could not be", plainInk}},
		line{{"read, reset began again. The drawing is the sorted column's last minute, each row by", plainInk}},
		line{{"its own largest value. What the columns mean: kubectl cosanet columns", plainInk}})
}
