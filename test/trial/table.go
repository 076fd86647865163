package trial

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Figures is what docs/reliability.json holds: the results of `make chaos`, each as it was measured last.
type Figures struct {
	Results []Result `json:"results"`
}

// replace puts what was measured anew, on a day and a machine, in the place of what the same tests had shown before.
func (f *Figures) replace(anew []Result, date, system string) {
	measured := map[string]bool{}
	for i := range anew {
		anew[i].Date, anew[i].System = date, system
		for test := range strings.SplitSeq(anew[i].Test, ", ") {
			measured[test] = true
		}
	}
	f.Results = slices.DeleteFunc(f.Results, func(r Result) bool {
		return slices.ContainsFunc(strings.Split(r.Test, ", "), func(test string) bool { return measured[test] })
	})
	f.Results = sorted(append(f.Results, anew...))
}

// Read reads the lines that Record and test/fuzz.sh wrote. Results of one claim are added up, since subtests and fuzz targets
// have each their own.
func Read(r io.Reader) ([]Result, error) {
	var results []Result
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var result Result
		if err := json.Unmarshal(lines.Bytes(), &result); err != nil {
			return nil, fmt.Errorf("reading a result: %w", err)
		}
		if !slices.Contains(groups, result.Group) {
			return nil, fmt.Errorf("reading a result: %q is no group", result.Group)
		}
		result.Test, _, _ = strings.Cut(result.Test, "/")
		results = add(results, result)
	}
	return sorted(results), lines.Err()
}

// sorted orders results as the table has them.
func sorted(results []Result) []Result {
	slices.SortFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)), cmp.Compare(a.Claim, b.Claim))
	})
	return results
}

func add(results []Result, more Result) []Result {
	for i := range results {
		if r := &results[i]; r.Group == more.Group && r.Claim == more.Claim {
			r.Runs += more.Runs
			r.Faults += more.Faults
			r.Survived += more.Survived
			r.Lost += more.Lost
			if !slices.Contains(strings.Split(r.Test, ", "), more.Test) {
				r.Test += ", " + more.Test
			}
			return results
		}
	}
	return append(results, more)
}

// Markdown is the table of the figures, a section for each group.
func (f *Figures) Markdown() string {
	var b strings.Builder
	b.WriteString("Measured on:\n\n")
	for _, when := range f.occasions() {
		fmt.Fprintf(&b, "- %s\n", when)
	}
	for _, group := range groups {
		rows := slices.DeleteFunc(slices.Clone(f.Results), func(r Result) bool { return r.Group != group })
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| what was shown | runs | with a fault | survived | lost | by | on |\n|---|---:|---:|---:|---:|---|---|\n", group)
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | `%s` | %s |\n", strings.ReplaceAll(r.Claim, "|", `\|`), r.Runs, r.Faults, r.Survived, r.Lost, strings.ReplaceAll(r.Test, ", ", "`, `"), r.Date)
		}
	}
	return b.String()
}

// occasions are the days that something was measured on, each with its machine, the earliest first.
func (f *Figures) occasions() []string {
	var list []string
	for _, r := range f.Results {
		list = append(list, r.Date+": "+r.System)
	}
	slices.Sort(list)
	return slices.Compact(list)
}
