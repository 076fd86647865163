package plugin

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// fewSubjects are as many as are listed of those that one rule found; -o json has all of them.
const fewSubjects = 10

// write words the findings for people: of each rule and severity whom it found, what that means, and what to do next.
func (j *judgement) write(w io.Writer, window time.Duration) error {
	var b strings.Builder
	for _, alike := range j.alike() {
		writeAlike(&b, alike)
	}
	b.WriteString(j.summary(window))
	_, err := io.WriteString(w, b.String())
	return err
}

// alike are the findings that follow each other with one rule and one severity.
func (j *judgement) alike() (groups [][]finding) {
	for rest := j.findings; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].rule == rest[0].rule && rest[n].severity == rest[0].severity {
			n++
		}
		groups = append(groups, rest[:n])
		rest = rest[n:]
	}
	return groups
}

// writeAlike words what one rule found.
func writeAlike(b *strings.Builder, found []finding) {
	first := &found[0]
	rule := first.rule
	fmt.Fprintf(b, "%s  %s  (%s)\n", strings.ToUpper(first.severity.String()), capitalized(rule.title), rule.id)
	for i := range found[:min(len(found), fewSubjects)] {
		f := &found[i]
		fmt.Fprintf(b, "  %s: %s %s\n", f.row.title(), rule.format(f.value), rule.unit)
		for _, line := range f.evidence {
			fmt.Fprintf(b, "    %s\n", line)
		}
	}
	if more := len(found) - fewSubjects; more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	fmt.Fprintf(b, "%s\n%s\n  Next:\n", wrapped(rule.means, 2), wrapped("Look at: "+unquoted(rule.look), 2))
	for _, command := range first.next() {
		fmt.Fprintf(b, "    %s\n", command)
	}
	b.WriteByte('\n')
}

// summary says what was checked: of nothing found, that is the answer.
func (j *judgement) summary(window time.Duration) string {
	over := ""
	if window > 0 {
		over = " over " + window.Round(100*time.Millisecond).String()
	}
	checked := fmt.Sprintf("%s checked on %s and %s%s", plural(len(j.checked), "rule"), plural(j.pods(), "pod"), plural(j.nodes(), "node"), over)
	below := ""
	if j.below > 0 {
		below = fmt.Sprintf(", and %d below %s", j.below, j.least)
	}
	switch {
	case len(j.findings) > 0:
		return fmt.Sprintf("%s%s: %s.\n", plural(len(j.findings), "finding"), below, checked)
	case j.below > 0:
		return fmt.Sprintf("Nothing %s found%s: %s.\n", j.atLeast(), below, checked)
	}
	return fmt.Sprintf("Nothing found: %s.\n%s\n", checked, wrapped(strings.Join(j.checked, ", "), 2))
}

// atLeast words the severity from which on findings are told.
func (j *judgement) atLeast() string {
	if j.least == Critical {
		return j.least.String()
	}
	return "of severity " + j.least.String() + " or above"
}

// notes are what could not be checked, one line each.
func (j *judgement) notes(rates bool) (lines []string) {
	if !rates {
		lines = append(lines, "There is one sample: only levels were judged, not rates.")
	} else if uncounted := j.uncounted(); len(uncounted) > 0 {
		lines = append(lines, "not checked, since nothing counts it there: "+strings.Join(uncounted, ", "))
	}
	unread := map[string][]string{} // rules by the rows
	for id, rows := range j.unread {
		of := enumerate(titles(rows))
		unread[of] = append(unread[of], id)
	}
	for _, of := range slices.Sorted(maps.Keys(unread)) {
		slices.Sort(unread[of])
		lines = append(lines, "not checked, since it could not be read, of "+of+": "+strings.Join(unread[of], ", "))
	}
	if len(j.restarts) > 0 {
		lines = append(lines, "counters began again within the interval, so that there are no rates, of "+enumerate(titles(j.restarts)))
	}
	return lines
}

// uncounted are the rules that could not be checked for want of counters. One that needs something else, such as siblings,
// has nothing to say of a single pod, and nobody misses it.
func (j *judgement) uncounted() (ids []string) {
	for _, r := range rules() {
		if r.needs == nil && slices.Contains(j.lacking, r.id) {
			ids = append(ids, r.id)
		}
	}
	return ids
}

func titles(rows []*row) []string {
	named := make([]string, len(rows))
	for i, r := range rows {
		named[i] = r.title()
	}
	return named
}

func capitalized(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
