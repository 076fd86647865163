package plugin

import (
	"fmt"
	"math"
	"slices"
)

// fewSiblings are as many as a pod is compared with at least: of two that differ nobody can say which one is odd.
const fewSiblings = 3

// workload is what pods have in common that one controller made.
type workload struct{ namespace, kind, name string }

// workload is that of a row; ok is false for a node's own row and a pod that no controller made. A static pod's controller
// is its node, and the others there are no siblings.
func (r *row) workload() (w workload, ok bool) {
	if r.host() || r.ControllerKind == "" || r.ControllerKind == "Node" {
		return w, false
	}
	return workload{r.Namespace, r.ControllerKind, r.ControllerName}, true
}

// trait is a column by which siblings are compared.
type trait struct {
	column
	least  float64 // the difference below which nobody would care, in the column's unit
	reason string  // of that
}

// traits are all of them. What differs by less than a finding takes is no reason to look at one pod of many.
func traits() []trait {
	list := []trait{
		{column{name: "RETR%"}, 1, "as much as `retransmits` takes"},
		{column{name: "RTO"}, 1, "a stall of 200 ms or more each second"},
		{column{name: "LISTENDROP"}, 1, "as much as `listen-drops` takes"},
		{column{name: "RST"}, 5, "as much as `resets-sent` takes"},
		{column{name: "FAILS"}, 5, "as much as `failed-connects` takes"},
		{column{name: "SYNRETR"}, 1, "a client that waits for a second, each second"},
		{column{name: "UDPDROP"}, 1, "as much as `udp-receive-buffer-errors` takes"},
		{column{name: "UDPNOPORT"}, 10, "as much as `udp-no-port` takes"},
		{column{name: "EST"}, 100, "a few pools of connections more or less are nothing"},
		{column{name: "IN"}, 1 << 20, "1 MiB a second; below, the load of a replica is chance"},
		{column{name: "OUT"}, 1 << 20, "the same"},
	}
	for i := range list {
		list[i].column, _ = parseColumn(list[i].name) // a test wants each to be there
		if list[i].share() {
			list[i].formula.least = 100 // of fewer segments, one that was lost is a percent
		}
	}
	return list
}

// oddity is a value that sets a pod apart from its siblings.
type oddity struct {
	pod           *row
	column        column
	value, median float64 // the pod's, and that of the others
	siblings      int     // the others
	alike         bool    // they all have the median, as it is written
}

// String is the reason in words: RETR% 4.1%, the other 5 have 0.1%.
func (o oddity) String() string {
	of := ""
	if !o.alike {
		of = " in the median"
	}
	return fmt.Sprintf("%s %s, the other %d have %s%s", o.column.header(o.pod.window > 0), o.column.format(o.value), o.siblings, o.column.format(o.median), of)
}

// kin are rows by their workload.
func kin(rows []*row) map[workload][]*row {
	of := map[workload][]*row{}
	for _, r := range rows {
		if w, ok := r.workload(); ok && r.last != nil && r.word == "" {
			of[w] = append(of[w], r)
		}
	}
	return of
}

// compareSiblings tells each row among others how many siblings it has there, and what sets it apart from them.
func compareSiblings(rows []*row) {
	by := traits()
	for _, pods := range kin(rows) {
		for _, r := range pods {
			r.siblings, r.odd = len(pods)-1, nil
		}
		for i := range by {
			for _, o := range by[i].oddities(pods) {
				o.pod.odd = append(o.pod.odd, o)
			}
		}
	}
}

// oddities are the pods of one workload whose value is an outlier among that of the others. The measure is the modified
// z-score, 0.6745 * |value - median| / MAD above 3.5 (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993), with
// the median and the median absolute deviation of the others, which one that is far off cannot move. Where these are
// all alike the deviation is 0 and everything else an outlier: so it must also be far enough to matter, by least and by half
// of the median.
func (t *trait) oddities(pods []*row) (found []oddity) {
	var values []float64
	var of []*row
	for _, r := range pods {
		v := t.read(r)
		if v.state == present && (r.window > 0 || !t.counts()) { // totals tell the age of a pod
			values, of = append(values, v.value), append(of, r)
		}
	}
	if len(values) <= fewSiblings {
		return nil
	}
	for i, v := range values {
		others := slices.Delete(slices.Clone(values), i, i+1)
		median := medianOf(others)
		distance := math.Abs(v - median)
		if distance < t.least || distance < median/2 {
			continue
		}
		alike := !slices.ContainsFunc(others, func(other float64) bool { return t.format(other) != t.format(median) })
		for j := range others {
			others[j] = math.Abs(others[j] - median)
		}
		if 0.6745*distance > 3.5*medianOf(others) {
			found = append(found, oddity{of[i], t.column, v, median, len(others), alike})
		}
	}
	return found
}

// medianOf sorts values, of which there must be one, and returns that in the middle.
func medianOf(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// oddities are what sets a row apart from its siblings, a line each.
func (r *row) oddities() (lines []string) {
	for _, o := range r.odd {
		lines = append(lines, o.String())
	}
	return lines
}

// siblingRules are about pods that differ from those of the same workload.
func siblingRules() []rule {
	var families []string
	for _, t := range traits() {
		families = append(families, t.families()...)
	}
	return []rule{{
		id: "odd-one-out", title: "one replica is unlike its siblings",
		worst: (*row).oddities, unit: "of its values set it apart from the other pods of its workload",
		levels: []level{{Info, 0}},
		source: "the modified z-score of Iglewicz and Hoaglin (3.5), by the median and the median absolute deviation of the other pods, of which there must be three; and a difference that matters, at least half of the median and, by column, " +
			traitText() + ". All of it but the score is this project's.",
		means:  "Pods of one workload do the same work, and one of them does not fare like the others: its node, its share of the load, or what is in its memory is different.",
		look:   "Whether all pods of its node are hit; when it was started; whether the load balancer gives it its share. `kubectl cosanet diff POD --siblings` compares all that is counted.",
		next:   []string{"kubectl cosanet diff --siblings -n $NAMESPACE $POD", "kubectl cosanet top -A --node $NODE --interval 5s", "kubectl get pod -n $NAMESPACE $POD -o wide"},
		needs:  func(r *row) bool { return r.siblings >= fewSiblings },
		beside: families,
		silent: "which pods are siblings, and how far one may be from their median, is judged by `explain` alone",
	}}
}

// traitText words the least differences.
func traitText() string {
	text := ""
	for i, t := range traits() {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %s (%s)", t.header(true), t.format(t.least), t.reason)
	}
	return text
}
