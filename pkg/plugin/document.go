package plugin

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// How much of what there may be much of is in a report. What is left out is said, with the command that shows it.
const (
	mostRows    = 1000 // of a table
	mostStrips  = 12   // rows with time lines
	mostNumbers = 10   // rows with all their numbers
	mostSteps   = 120  // lines of the table below a time line
)

// reportOf is how the title of a report begins.
const reportOf = "Pod network report: "

// document is what a report says, in the words and numbers of the other views. The formats only lay it out.
type document struct {
	Of       string     // what it is a report of
	Facts    []fact     // what was asked, of whom, when, and by which version
	Counts   []severed  // how many findings of each severity, the worst first
	Failed   []string   // nodes that did not answer, and why
	Remarks  []string   // what was not read, or otherwise than usual
	Summary  string     // what was judged
	Rules    string     // by their ids
	Findings []*verdict // the worst first
	Passing  []*verdict // what was found in steps of a recording, and not over the whole
	Sheets   []*listing // nodes, pods
	Strips   []*strip   // time lines
	Still    int        // rows of a recording without time lines
	Numbers  []*numbers // of the rows with findings
	Unlisted int        // rows with findings whose numbers are left out
}

type fact struct {
	Name, Text string
	Code       bool // to be typed
}

type severed struct {
	Severity severity
	Text     string
}

// verdict is what one rule found, as explain words it.
type verdict struct {
	Severity  severity
	Title, ID string
	Link      string
	Threshold string
	Subjects  []affected
	More      int    // subjects beyond the first few
	Means     string // with the markup of docs/findings.md, as Look
	Look      string
	Next      []string
}

// affected is whom a rule found.
type affected struct {
	Name, Value string
	Evidence    []string
	When        string // of a recording
	Chart       *chart // of a recording, nil otherwise
}

// listing is a table: of its columns the first names the row.
type listing struct {
	Title    string
	Headings []heading
	Rows     [][]field
	Left     int // rows that are left out
}

type heading struct {
	Name, Meaning string
	Wide          bool // not in the default table of top
	Number        bool
}

type field struct {
	Text, Alarm string
	Key         string // what a number is sorted by; empty where there is none
	Wide        bool
	Number      bool
}

// strip is the time lines of a row.
type strip struct {
	Title, Why string
	Charts     []*chart
	Zero       []string // columns that are zero throughout
	Same       []string // that do not change, with their value
	None       []string // that have no value throughout, with the word for why
	Steps      *listing
}

// numbers are all series of a row.
type numbers struct {
	Title  string
	Rates  bool
	Series []series
	Zero   []string
}

type series struct {
	Name, Value, Rate string
	Trouble           bool // it counts errors, drops or what is full, and it is not zero
}

// document says what was found of rows.
func (v *reportView) document(f *factory, fleet *Fleet, rows []*row, rates bool) *document {
	j := examine(v.rules, rows)
	courses := coursesOf(fleet, rows, v.columns, v.rules)
	j.from(v.severity)
	passing := passingOf(j, courses)
	passing.from(v.severity)
	concerned := concerned(j, passing)

	d := &document{Of: v.of(), Facts: v.facts(f, fleet, rows, j), Rules: strings.Join(j.checked, ", ")}
	for _, t := range fleet.troubles() {
		d.Failed = append(d.Failed, printableLines(t.String()))
	}
	d.Remarks = slices.Concat(fleet.remarks, fleet.undiscovered(), notes(rows), failures(rows), j.notes(rates), goneSince(fleet.vanished(&v.selection)))
	for i := range d.Remarks {
		d.Remarks[i] = printableLines(d.Remarks[i])
	}
	if len(j.rows) > 0 {
		d.Summary, _, _ = strings.Cut(j.summary(j.rows[0].window), "\n")
	}
	for _, s := range []severity{Critical, Warning, Info} {
		n := len(slices.DeleteFunc(slices.Clone(j.findings), func(f finding) bool { return f.severity != s }))
		switch {
		case n == 0:
		case s == Warning:
			d.Counts = append(d.Counts, severed{s, plural(n, "warning")})
		default:
			d.Counts = append(d.Counts, severed{s, fmt.Sprintf("%d %s", n, s)})
		}
	}
	d.Findings, d.Passing = verdicts(j, courses), verdicts(passing, courses)
	d.Sheets = v.sheets(rows, concerned, j, rates)
	d.Strips, d.Still = v.strips(courses, concerned, rates)
	for _, r := range concerned[:min(len(concerned), mostNumbers)] {
		d.Numbers = append(d.Numbers, numbersOf(r))
	}
	d.Unlisted = max(0, len(concerned)-mostNumbers)
	return d
}

// Title is the title of the page.
func (d *document) Title() string { return reportOf + d.Of }

// numbersOf are all series of a row, those that are zero by name alone.
func numbersOf(r *row) *numbers {
	n := &numbers{Title: r.title(), Rates: r.window > 0}
	for i := range r.last.Samples {
		s := &r.last.Samples[i]
		if own(s.Metric) {
			continue
		}
		if s.Value == 0 {
			n.Zero = append(n.Zero, seriesName(s))
			continue
		}
		line := series{Name: seriesName(s), Value: number(s.Value), Trouble: s.Metric.Signal >= metrics.Error}
		if v := r.read(s); s.Metric.Type == metrics.Counter && r.window > 0 {
			c := column{}
			line.Rate = c.word(v)
			line.Trouble = line.Trouble && (v.state != present || v.value > 0)
		}
		n.Series = append(n.Series, line)
	}
	slices.SortFunc(n.Series, func(a, b series) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(n.Zero)
	r.earlier = nil
	return n
}
