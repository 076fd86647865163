package trial

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	well := Result{Group: Truth, Claim: "nothing is mixed up", Runs: 3, Faults: 2, Survived: 3}
	tests := []struct {
		name   string
		change func(*Result)
		want   string // in the error; empty: none
	}{
		{"well", func(*Result) {}, ""},
		{"no fault", func(r *Result) { r.Faults = 0 }, ""},
		{"no claim", func(r *Result) { r.Claim = "" }, "claim"},
		{"unknown group", func(r *Result) { r.Group = "Luck" }, "groups"},
		{"no runs", func(r *Result) { r.Runs, r.Faults, r.Survived = 0, 0, 0 }, "show nothing"},
		{"more faults than runs", func(r *Result) { r.Faults = 4 }, "show nothing"},
		{"uneven", func(r *Result) { r.Survived = 2 }, "of 3 runs 2 survived and 0 were lost"},
		{"lost", func(r *Result) { r.Survived, r.Lost = 2, 1 }, "1 of 3 runs were lost"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := well
			test.change(&r)
			err := r.check()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestRounds(t *testing.T) {
	t.Setenv(longVariable, "")
	if got := Rounds(3, 100); got != 3 {
		t.Errorf("short: %d rounds, want 3", got)
	}
	t.Setenv(longVariable, "1")
	if got := Rounds(3, 100); got != 100 {
		t.Errorf("long: %d rounds, want 100", got)
	}
}

// What tests record comes back, added up by claim, in the table's order.
func TestRecordAndRead(t *testing.T) {
	file := t.TempDir() + "/figures"
	t.Setenv(figuresVariable, file)
	Record(t, Result{Group: Truth, Claim: "b", Runs: 1, Survived: 1})
	for range 2 {
		t.Run("part", func(t *testing.T) { Record(t, Result{Group: Truth, Claim: "a", Runs: 5, Faults: 2, Survived: 5}) })
	}
	Record(t, Result{Group: Lifecycle, Claim: "c", Runs: 1, Survived: 1})
	other := Result{Group: Truth, Claim: "b", Test: "FuzzB", Runs: 2, Survived: 2}
	if err := other.append(file); err != nil {
		t.Fatal(err)
	}
	want := []Result{
		{Group: Lifecycle, Claim: "c", Test: t.Name(), Runs: 1, Survived: 1},
		{Group: Truth, Claim: "a", Test: t.Name(), Runs: 10, Faults: 4, Survived: 10},
		{Group: Truth, Claim: "b", Test: t.Name() + ", FuzzB", Runs: 3, Survived: 3},
	}
	got, err := readFile(file)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, results (-want +got):\n%s", err, diff)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, text := range []string{"no JSON", `{"group":"Luck","claim":"x","runs":1}`} {
		if results, err := Read(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read as %v", text, results)
		}
	}
}

// What was measured anew takes the place of all that the same tests showed; the rest stays as it was.
func TestReplace(t *testing.T) {
	f := &Figures{Results: []Result{
		{Group: Lifecycle, Claim: "kept", Test: "TestA", Runs: 1, Date: "2026-01-01"},
		{Group: Lifecycle, Claim: "in other words", Test: "TestB", Runs: 1, Date: "2026-01-01"},
		{Group: Parsers, Claim: "inputs", Test: "FuzzA, FuzzB", Runs: 7, Date: "2026-01-01"},
	}}
	f.replace([]Result{
		{Group: Parsers, Claim: "inputs", Test: "FuzzB", Runs: 9},
		{Group: Lifecycle, Claim: "anew", Test: "TestB", Runs: 2},
	}, "2026-02-02", "Linux")
	want := []Result{
		{Group: Lifecycle, Claim: "anew", Test: "TestB", Runs: 2, Date: "2026-02-02", System: "Linux"},
		{Group: Lifecycle, Claim: "kept", Test: "TestA", Runs: 1, Date: "2026-01-01"},
		{Group: Parsers, Claim: "inputs", Test: "FuzzB", Runs: 9, Date: "2026-02-02", System: "Linux"},
	}
	if diff := cmp.Diff(want, f.Results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}
