package plugin

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The size of a chart, in units of its SVG.
const (
	chartWidth  = 240
	chartHeight = 56
	chartEdge   = 3 // room for the line's own width
)

// mostPoints is as many as a chart of that size can show: of more, the least and the most of each so many.
const mostPoints = 120

// chart is a line over time: as SVG, and in words for whoever does not see it.
type chart struct {
	Name     string
	Lines    []string // the points of each stretch without a gap
	Areas    []string // what is below each
	Dots     []spot   // values between two gaps
	Unknown  []gap    // steps that could not be read, or in which a counter began again
	Levels   []string // y of what a rule or a mark of top calls too much
	Most     string
	Last     string
	From, To string
	Says     string
	Spark    string // the line in a line of text
}

// spot is a point of a chart.
type spot struct{ X, Y string }

// gap is a step without a value: the word that tables have for it, which is no reason for a gap where nothing counts.
type gap struct{ X, Word string }

// newChart draws readings, one a time. Word writes a value; levels are drawn where the values come near them. It is nil
// where nothing is known at all.
func newChart(name, of string, times []time.Time, readings []reading, word func(reading) string, levels []float64) *chart {
	e, ok := extremes(readings)
	if !ok {
		return nil
	}
	c := &chart{Name: name, Most: word(readings[e.mostAt]), Last: word(readings[len(readings)-1]), Spark: spark(readings), From: timeOfDay(times[0]), To: timeOfDay(times[len(times)-1])}
	top := e.most
	for _, l := range levels {
		if l > 0 && l <= 1.5*e.most {
			top = max(top, l)
		}
	}
	d := &drawing{chart: c, top: max(top, 1e-9), first: times[0], length: times[len(times)-1].Sub(times[0])}
	for _, l := range levels {
		if l > 0 && l <= top {
			c.Levels = append(c.Levels, coordinate(d.y(l)))
		}
	}
	for _, i := range thinned(readings) {
		d.add(times[i], readings[i])
	}
	d.end()
	c.Says = fmt.Sprintf("%s of %s, %s to %s: least %s at %s, most %s at %s, last %s", name, of, c.From, c.To,
		word(readings[e.leastAt]), timeOfDay(times[e.leastAt]), c.Most, timeOfDay(times[e.mostAt]), c.Last)
	for _, none := range []struct {
		state state
		words string
	}{{absent, "without a value"}, {unreadable, "not read"}, {reset, "with counters that began again"}} {
		if n := count(readings, none.state); n > 0 {
			c.Says += fmt.Sprintf("; %d of %s %s", n, plural(len(readings), "step"), none.words)
		}
	}
	return c
}

// drawing is a chart that is being drawn.
type drawing struct {
	*chart
	top    float64 // the value at the upper edge; 0 is at the lower one
	first  time.Time
	length time.Duration
	points []spot // since the last gap
}

func (d *drawing) x(at time.Time) float64 {
	if d.length <= 0 {
		return chartWidth / 2
	}
	return chartEdge + (chartWidth-2*chartEdge)*float64(at.Sub(d.first))/float64(d.length)
}

func (d *drawing) y(v float64) float64 {
	return chartHeight - chartEdge - (chartHeight-2*chartEdge)*max(0, v)/d.top
}

func (d *drawing) add(at time.Time, v reading) {
	x := coordinate(d.x(at))
	switch v.state {
	case present:
		d.points = append(d.points, spot{x, coordinate(d.y(v.value))})
		return
	case unreadable:
		d.Unknown = append(d.Unknown, gap{x, failedText})
	case reset:
		d.Unknown = append(d.Unknown, gap{x, resetText})
	}
	d.end()
}

// end ends a stretch.
func (d *drawing) end() {
	switch n := len(d.points); n {
	case 0:
	case 1:
		d.Dots = append(d.Dots, d.points[0])
	default:
		var line strings.Builder
		for i, p := range d.points {
			if i > 0 {
				line.WriteByte(' ')
			}
			line.WriteString(p.X + "," + p.Y)
		}
		floor := coordinate(chartHeight - chartEdge)
		d.Lines = append(d.Lines, line.String())
		d.Areas = append(d.Areas, d.points[0].X+","+floor+" "+line.String()+" "+d.points[n-1].X+","+floor)
	}
	d.points = nil
}

// coordinate is a number of an SVG, to a tenth of a unit.
func coordinate(v float64) string { return trimZero(strconv.FormatFloat(v, 'f', 1, 64)) }

// timeOfDay is a time of the day.
func timeOfDay(at time.Time) string { return at.UTC().Format("15:04:05") }

// thinned are the steps that are drawn: all, or of each so many the least and the most and what is not known.
func thinned(readings []reading) (steps []int) {
	size := 1
	if len(readings) > mostPoints {
		size = (2*len(readings) + mostPoints - 1) / mostPoints
	}
	for from := 0; from < len(readings); from += size {
		part := readings[from:min(from+size, len(readings))]
		e, ok := extremes(part)
		unknown := -1
		for i, v := range part {
			if v.state != present {
				unknown = i
			}
		}
		for i := range part {
			if size == 1 || ok && (i == e.leastAt || i == e.mostAt) || i == unknown {
				steps = append(steps, from+i)
			}
		}
	}
	return steps
}

func count(readings []reading, s state) int {
	n := 0
	for _, v := range readings {
		if v.state == s {
			n++
		}
	}
	return n
}

// spark draws readings in a line of text: _ is zero, - not counted, x not read, r a counter that began again.
func spark(readings []reading) string {
	const most = 60
	e, _ := extremes(readings)
	size := (len(readings) + most - 1) / most
	var b strings.Builder
	for from := 0; from < len(readings); from += size {
		part := readings[from:min(from+size, len(readings))]
		high, ok := extremes(part)
		switch {
		case !ok:
			b.WriteByte([...]byte{absent: '-', reset: 'r', unreadable: 'x'}[part[len(part)-1].state])
		case high.most <= 0:
			b.WriteByte('_')
		default:
			bars := []rune("▁▂▃▄▅▆▇█")
			b.WriteRune(bars[min(len(bars)-1, int(high.most/e.most*float64(len(bars))))])
		}
	}
	return b.String()
}
