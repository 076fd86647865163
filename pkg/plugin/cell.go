package plugin

import (
	"cmp"
	"math"
	"strconv"
)

// cell is one field of a table: its text, and how much it is worth a look.
type cell struct {
	text  string
	alarm alarm
}

// alarm repeats in colour what the marks in a cell's text say.
type alarm uint8

const (
	calm alarm = iota
	warn       // marked !
	bad        // marked !!
)

// The words of cells without a number.
const (
	absentText = "-"
	resetText  = "reset"
	failedText = "err"
)

// cell renders the column's value for a row. Totals since a pod's start have no mark: they say nothing of now, unless
// the column is a percentage.
func (c *column) cell(r *row) cell {
	if c.text != nil {
		return cell{text: cmp.Or(c.text(r), absentText)}
	}
	v := c.read(r)
	text := c.word(v)
	if v.state != present {
		return cell{text: text}
	}
	if family, mark := c.limit(r.host()); family != "" {
		if limit := r.sumOf(family); limit.state == present && limit.value > 0 {
			taken := 100 * v.value / limit.value
			return marked(text+"("+percent(taken)+")", taken, mark)
		}
	}
	if !c.share() && (r.window == 0 || !c.counts() || r.group != nil) { // thresholds are of one pod
		return cell{text: text}
	}
	return marked(text, v.value, c.mark)
}

// limit is the family of what a value may be at most, empty where nothing says it, and from which share of it on the value is
// worth a look: the levels of conntrack-full and conntrack-owner.
func (c *column) limit(host bool) (family string, mark threshold) {
	switch {
	case c.key == "conntrack" && host:
		return "cosanet_conntrack_max", threshold{75, 90}
	case c.key == "hostConntrack":
		return "cosanet_conntrack_owned_limit", threshold{50, 0}
	}
	return "", threshold{}
}

// word is a reading as text: its value, or the word for why there is none.
func (c *column) word(v reading) string {
	if v.state != present {
		return [...]string{absent: absentText, reset: resetText, unreadable: failedText}[v.state]
	}
	return c.format(v.value)
}

func (c *column) format(v float64) string {
	switch {
	case c.share():
		return percent(v)
	case c.bytes:
		return size(v)
	}
	return number(v) + c.unit
}

// marked adds the marks of a threshold: the marks carry the meaning, colour only repeats it.
func marked(text string, v float64, t threshold) cell {
	switch {
	case t.bad > 0 && v >= t.bad:
		return cell{text + "!!", bad}
	case t.warn > 0 && v >= t.warn:
		return cell{text + "!", warn}
	}
	return cell{text: text}
}

// number writes a count or a rate: whole from 100 on, else with one digit after the point where that is not zero.
// What is not zero never looks like it.
func number(v float64) string {
	switch abs := math.Abs(v); {
	case v == math.Trunc(v) || abs >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case abs < 0.05:
		return sign(v) + "<0.1"
	}
	return trimZero(strconv.FormatFloat(v, 'f', 1, 64))
}

func sign(v float64) string {
	if v < 0 {
		return "-"
	}
	return ""
}

func trimZero(s string) string {
	if n := len(s) - 2; n > 0 && s[n:] == ".0" {
		return s[:n]
	}
	return s
}

// size writes bytes as kubectl writes memory: Ki, Mi, Gi, ... with up to three digits.
func size(v float64) string {
	units := []string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}
	u := 0
	for math.Abs(v) >= 999.5 && u < len(units)-1 { // 1023 would print wider than 1.0Ki
		v /= 1024
		u++
	}
	if u == 0 {
		return number(v)
	}
	if math.Abs(v) < 9.95 {
		return strconv.FormatFloat(v, 'f', 1, 64) + units[u]
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + units[u]
}

// percent writes a percentage with one digit after the point below ten.
func percent(v float64) string {
	if v >= 9.95 {
		return strconv.FormatFloat(v, 'f', 0, 64) + "%"
	}
	return number(v) + "%"
}
