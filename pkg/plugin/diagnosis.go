package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"
)

// Status is what doctor says of one thing that a run takes.
type Status string

const (
	// StatusOK is as a run needs it.
	StatusOK Status = "ok"
	// StatusWarn is worth knowing, and keeps no run from working.
	StatusWarn Status = "warn"
	// StatusFail keeps a run from working.
	StatusFail Status = "fail"
	// StatusUnknown could not be told, and is not guessed.
	StatusUnknown Status = "unknown"
)

// Check is one line of doctor.
type Check struct {
	Check  string   `json:"check"`
	Status Status   `json:"status"`
	Detail string   `json:"detail"`
	Fix    []string `json:"fix,omitempty"` // what helps, first the command that can be pasted

	aside bool `json:"-"` // a run works whatever is said here
}

// Diagnosis is what doctor shows.
type Diagnosis struct {
	metav1.TypeMeta `json:",inline"`
	Verdict         Verdict `json:"verdict"`
	Checks          []Check `json:"checks"`
}

// Verdict is what all checks together say of a run.
type Verdict string

const (
	// VerdictWorks says that a run would work.
	VerdictWorks Verdict = "works"
	// VerdictFails says that it would not.
	VerdictFails Verdict = "fails"
	// VerdictUnknown says that nothing is in the way that shows without a run, and that not all of it shows.
	VerdictUnknown Verdict = "unknown"
)

// checkOf is a check that says what an error says: the object and the reason in its first line, what helps in those below.
func checkOf(name string, status Status, err error) Check {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	c := Check{Check: name, Status: status, Detail: first}
	for line := range strings.Lines(rest) {
		c.Fix = append(c.Fix, strings.TrimSpace(line))
	}
	return c
}

// besides makes of a check one that a run does not depend on.
func (c Check) besides() Check {
	if c.aside = true; c.Status == StatusFail {
		c.Status = StatusWarn
	}
	return c
}

// doubt makes of a check that was well one that is worth a look.
func (c *Check) doubt() {
	if c.Status == StatusOK {
		c.Status = StatusWarn
	}
}

// diagnose draws the conclusion.
func diagnose(checks []Check) *Diagnosis {
	d := &Diagnosis{TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: "Diagnosis"}, Verdict: VerdictWorks, Checks: checks}
	for _, c := range checks {
		switch {
		case c.Status == StatusFail:
			d.Verdict = VerdictFails
		case c.Status == StatusUnknown && !c.aside && d.Verdict == VerdictWorks:
			d.Verdict = VerdictUnknown
		}
	}
	return d
}

// err is the conclusion as an error with its exit code, nil where a run would work.
func (d *Diagnosis) err() error {
	switch d.Verdict {
	case VerdictFails:
		return fmt.Errorf("a run would fail, for %s", strings.Join(d.names(StatusFail), ", "))
	case VerdictUnknown:
		return &ExitError{Code: ExitUnknown, Err: fmt.Errorf("whether a run would work cannot be told without one, for %s", strings.Join(d.names(StatusUnknown), ", "))}
	}
	return nil
}

// names are the checks of a status that the conclusion rests on, each once.
func (d *Diagnosis) names(of Status) []string {
	var names []string
	for _, c := range d.Checks {
		if c.Status == of && !c.aside && (len(names) == 0 || names[len(names)-1] != c.Check) {
			names = append(names, c.Check)
		}
	}
	return names
}

// print shows the checks as a table, with what helps below it, or as an object.
func (d *Diagnosis) print(w io.Writer, output *outputFlags, printer printers.ResourcePrinter) error {
	if printer != nil {
		obj, err := object(d)
		if err != nil {
			return err
		}
		return printer.PrintObj(obj, w)
	}
	t := table{headers: []string{"CHECK", "STATUS", "DETAIL"}}
	if output.noHeaders {
		t.headers = nil
	}
	for _, c := range d.Checks {
		t.rows = append(t.rows, []cell{{text: c.Check}, {text: string(c.Status), alarm: c.Status.alarm()}, {text: c.Detail}})
	}
	if err := t.write(w); err != nil {
		return err
	}
	_, err := io.WriteString(w, d.fixes())
	return err
}

// fixes is what helps, each line once: one command may bring several rights.
func (d *Diagnosis) fixes() string {
	var b strings.Builder
	var said []string
	title := ""
	for _, c := range d.Checks {
		for _, line := range c.Fix {
			if slices.Contains(said, line) {
				continue
			}
			if said = append(said, line); title != c.Check {
				title = c.Check
				fmt.Fprintf(&b, "\n%s:\n", title)
			}
			fmt.Fprintf(&b, "  %s\n", printableLine(line))
		}
	}
	return b.String()
}

func (s Status) alarm() alarm {
	switch s {
	case StatusFail:
		return bad
	case StatusWarn, StatusUnknown:
		return warn
	}
	return calm
}
