package plugin

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// pair is a series of either side of a diff.
type pair struct {
	name   string // as seriesName
	metric *metrics.Metric
	rate   bool // a and b are units a second
	a, b   reading
}

// compare pairs all series of two rows: the union, in the order of a, then what only b has. What the collectors say of
// themselves and of the identity of pods is not compared.
func compare(a, b *row) []pair {
	rates := a.window > 0 && b.window > 0
	var pairs []pair
	at := map[string]int{}
	for _, side := range []*row{a, b} {
		for i := range side.last.Samples {
			s := &side.last.Samples[i]
			if own(s.Metric) {
				continue
			}
			name := seriesName(s)
			n, ok := at[name]
			if !ok {
				n = len(pairs)
				at[name] = n
				pairs = append(pairs, pair{name: name, metric: s.Metric, rate: rates && s.Metric.Type == metrics.Counter})
			}
			if side == a {
				pairs[n].a = a.read(s)
			} else {
				pairs[n].b = b.read(s)
			}
		}
	}
	for i := range pairs {
		p := &pairs[i]
		p.a = unread(p.a, a.last, p.metric.Name)
		p.b = unread(p.b, b.last, p.metric.Name)
	}
	return pairs
}

// own tells whether the collector says it of itself: no kernel counts it.
func own(m *metrics.Metric) bool { return m.Source == "" && m.Signal == metrics.Info }

// unread tells a series that the side does not have from one that could not be read.
func unread(v reading, r *metrics.Record, family string) reading {
	if v.state == absent && readFailed(r, family) {
		return reading{state: unreadable}
	}
	return v
}

// known is the number of sides whose value is known.
func (p *pair) known() (n int) {
	for _, v := range []reading{p.a, p.b} {
		if v.state == present {
			n++
		}
	}
	return n
}

// differs tells whether the sides differ by at least a share of the larger value. A series that one side lacks differs
// unless the other's value is 0; a counter that began again and one that could not be read on one side differ.
func (p *pair) differs(threshold float64) bool {
	if p.known() == 2 {
		return p.a.value != p.b.value && p.share() >= threshold
	}
	if p.a.state <= present && p.b.state <= present {
		return p.a.value != 0 || p.b.value != 0
	}
	return p.a.state != p.b.state || p.a.state == reset
}

// share is how much of the larger value the difference is: 0 to 1, and up to 2 across zero.
func (p *pair) share() float64 {
	return math.Abs(p.b.value-p.a.value) / max(math.Abs(p.a.value), math.Abs(p.b.value))
}

// weight orders pairs by how much they differ: the distance of the logarithms, moved by one so that 0 against 1000 weighs
// more than 0 against 1, and 10 against 1000 more than 10000 against 20000.
func (p *pair) weight() float64 {
	return math.Abs(squash(p.a.value) - squash(p.b.value))
}

func squash(v float64) float64 { return math.Copysign(math.Log1p(math.Abs(v)), v) }

func shownPairs(pairs []pair, threshold float64) []pair {
	return slices.DeleteFunc(pairs, func(p pair) bool { return !p.differs(threshold) })
}

// rank puts signs of trouble first, since one dropped connection says more than a megabyte of traffic; in each half what
// differs most comes first, and among equals the worse sign.
func rank(pairs []pair) {
	slices.SortStableFunc(pairs, func(x, y pair) int {
		switch xTrouble, yTrouble := x.trouble(), y.trouble(); {
		case xTrouble && !yTrouble:
			return -1
		case yTrouble && !xTrouble:
			return 1
		}
		return cmp.Or(cmp.Compare(y.weight(), x.weight()), cmp.Compare(y.metric.Signal, x.metric.Signal))
	})
}

func (p *pair) trouble() bool { return p.metric.Signal >= metrics.Error }

// title is the series' name, which says when its values are rates.
func (p *pair) title() string {
	if !p.rate {
		return p.name
	}
	family, labels, ok := strings.Cut(p.name, "{")
	if !ok {
		return family + "/s"
	}
	return family + "/s{" + labels
}

// side writes one side's value; it is blank where the side does not have the series.
func (p *pair) side(v reading) string {
	switch v.state {
	case absent:
		return ""
	case present:
		return p.amount(v.value)
	}
	return [...]string{reset: resetText, unreadable: failedText}[v.state]
}

func (p *pair) amount(v float64) string {
	if p.metric.Unit == "bytes" {
		return size(v)
	}
	return number(v)
}

func (p *pair) delta() string {
	if p.known() < 2 {
		return ""
	}
	d := p.b.value - p.a.value
	if d > 0 {
		return "+" + p.amount(d)
	}
	return p.amount(d)
}

// ratio is B over A. From zero there is no ratio: ? as benchstat writes it.
func (p *pair) ratio() string {
	switch {
	case p.known() < 2:
		return ""
	case p.a.value == p.b.value:
		return "1x"
	case p.a.value == 0:
		return "?"
	}
	r := p.b.value / p.a.value
	if math.Abs(r) >= 100 {
		return strconv.FormatFloat(r, 'f', 0, 64) + "x"
	}
	return strconv.FormatFloat(r, 'g', 3, 64) + "x"
}

// meaning is the sentence for the person on call, or where there is none what the kernel counts.
func meaning(m *metrics.Metric) string { return cmp.Or(m.Meaning, m.Help) }

func (p *pair) object() DiffSeries {
	s := DiffSeries{Metric: p.name, Unit: p.metric.Unit, Rate: p.rate, Signal: p.metric.Signal.String(), Meaning: meaning(p.metric)}
	s.A, s.B = finitePointer(p.a), finitePointer(p.b)
	if p.known() == 2 {
		s.Delta = finitePointer(reading{present, p.b.value - p.a.value})
		if p.a.value != 0 {
			s.Ratio = finitePointer(reading{present, p.b.value / p.a.value})
		}
	}
	var notes []string
	for i, v := range []reading{p.a, p.b} {
		switch v.state {
		case reset:
			notes = append(notes, [2]string{"a", "b"}[i]+": reset")
		case unreadable:
			notes = append(notes, [2]string{"a", "b"}[i]+": failed")
		}
	}
	s.Note = strings.Join(notes, ", ")
	return s
}

func finitePointer(v reading) *float64 {
	if value, ok := finite(v.value); ok && v.state == present {
		return &value
	}
	return nil
}
