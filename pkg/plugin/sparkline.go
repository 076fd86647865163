package plugin

import (
	"math"
	"slices"
	"strings"
	"time"
)

// remembered is how far back sparklines reach, in points so far apart at least; fewPoints are as many as are kept in any case.
const (
	remembered = time.Minute
	apart      = time.Second
	fewPoints  = 20
)

// point is what a row's columns were at a moment; NaN is no number.
type point struct {
	at     time.Time
	values []float32
}

// history has the last minute of every row, by its title.
type history map[string][]point

// note adds a row's values, if they are newer than those that are there.
func (h history) note(r *row, columns []column) {
	if r.last == nil || r.word != "" {
		return
	}
	points := h[r.title()]
	if n := len(points); n > 0 && r.at.Sub(points[n-1].at) < apart {
		return
	}
	p := point{at: r.at, values: make([]float32, len(columns))}
	for i := range columns {
		p.values[i] = float32(math.NaN())
		if columns[i].text == nil {
			if v := columns[i].read(r); v.state == present {
				p.values[i] = float32(v.value)
			}
		}
	}
	points = append(points, p)
	first := 0
	for len(points)-first > fewPoints && r.at.Sub(points[first].at) > remembered {
		first++
	}
	h[r.title()] = points[first:]
}

// keep forgets rows that are no more.
func (h history) keep(rows []*row) {
	there := make(map[string]bool, len(rows))
	for _, r := range rows {
		there[r.title()] = true
	}
	for title := range h {
		if !there[title] {
			delete(h, title)
		}
	}
}

// values are those of one column, the oldest first.
func (h history) values(title string, column int) []float32 {
	var values []float32
	for _, p := range h[title] {
		values = append(values, p.values[column])
	}
	return values
}

// bars are the heights of a sparkline, from nothing to the largest.
var bars = [...]string{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// sparkline draws values in so many characters, the newest to the right: the height of each is its share of the largest. A
// moment without a number is a gap. Of more values than characters, each character is the largest of some.
func sparkline(values []float32, width int) string {
	values = gathered(values, width)
	var most float32
	for _, v := range values {
		if v > most { // false for NaN
			most = v
		}
	}
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", width-len(values)))
	for _, v := range values {
		switch {
		case math.IsNaN(float64(v)):
			b.WriteByte(' ')
		case most <= 0 || v <= 0:
			b.WriteString(bars[0])
		default:
			b.WriteString(bars[min(len(bars)-1, 1+int(float64(v)/float64(most)*float64(len(bars)-2)+0.5))])
		}
	}
	return b.String()
}

// gathered makes at most so many values of more, of as many each, counted from the newest.
func gathered(values []float32, most int) []float32 {
	each := (len(values) + most - 1) / most
	if each <= 1 {
		return values
	}
	var few []float32
	for at := len(values); at > 0; at -= each {
		largest := float32(math.NaN())
		for _, v := range values[max(0, at-each):at] {
			if !(largest >= v) && !math.IsNaN(float64(v)) {
				largest = v
			}
		}
		few = append(few, largest)
	}
	slices.Reverse(few)
	return few
}
