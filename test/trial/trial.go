// Package trial is what tests of trust share: how long they go on, and where they note what came of it. docs/reliability.md
// is made of these notes, by `make chaos`.
package trial

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// Environment variables that `make chaos` sets.
const (
	longVariable    = "COSANET_CHAOS"   // 1: the long form
	figuresVariable = "COSANET_FIGURES" // the file that results are appended to, a line of JSON each
)

// Group is a part of the table.
type Group string

// The groups, in the table's order.
const (
	Lifecycle  Group = "Lifecycle"
	Truth      Group = "Truth"
	Neighbours Group = "Hostile neighbours"
	Privilege  Group = "Least privilege"
	Parsers    Group = "Parsers"
)

var groups = []Group{Lifecycle, Truth, Neighbours, Privilege, Parsers}

// Result is what a test measured for one claim.
type Result struct {
	Group    Group  `json:"group"`
	Claim    string `json:"claim"`            // what the numbers show, as a sentence without a full stop
	Test     string `json:"test"`             // filled in by Record; several are "TestA, TestB"
	Runs     int    `json:"runs"`             // tries in all
	Faults   int    `json:"faults"`           // tries in which something was made to go wrong
	Survived int    `json:"survived"`         // tries that ended as the documents say
	Lost     int    `json:"lost"`             // tries that did not: the test fails, too
	Date     string `json:"date,omitempty"`   // of the measurement, year-month-day; in docs/reliability.json, as is
	System   string `json:"system,omitempty"` // the kernel and processors of the machine
}

// Long tells whether the long form is asked for.
func Long() bool { return os.Getenv(longVariable) == "1" }

// Rounds is how often a test tries: short in `make test`, long in `make chaos`.
func Rounds(short, long int) int {
	if Long() {
		return long
	}
	return short
}

// Record notes a result. One that is not even in itself, or lost anything, fails the test.
func Record(t testing.TB, r Result) {
	t.Helper()
	r.Test = t.Name()
	if err := r.check(); err != nil {
		t.Error(err)
	}
	t.Logf("%s: %d runs, %d faults, %d survived, %d lost", r.Claim, r.Runs, r.Faults, r.Survived, r.Lost)
	if file := os.Getenv(figuresVariable); file != "" {
		if err := r.append(file); err != nil {
			t.Error(err)
		}
	}
}

func (r *Result) check() error {
	switch {
	case r.Claim == "" || !slices.Contains(groups, r.Group):
		return fmt.Errorf("a result needs a claim, and one of the groups %q", groups)
	case r.Runs <= 0 || r.Faults < 0 || r.Faults > r.Runs:
		return fmt.Errorf("%s: %d runs with %d faults show nothing", r.Claim, r.Runs, r.Faults)
	case r.Survived+r.Lost != r.Runs:
		return fmt.Errorf("%s: of %d runs %d survived and %d were lost", r.Claim, r.Runs, r.Survived, r.Lost)
	case r.Lost > 0:
		return fmt.Errorf("%s: %d of %d runs were lost", r.Claim, r.Lost, r.Runs)
	}
	return nil
}

// append writes one line with one call, so that packages that are tested side by side do not mix theirs.
func (r *Result) append(name string) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
