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

// Figures is what docs/reliability.json holds: the results of one run of `make chaos`.
type Figures struct {
	Date    string   `json:"date"`   // of the measurement, year-month-day
	System  string   `json:"system"` // kernel and processors of the machine
	Results []Result `json:"results"`
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
	slices.SortFunc(results, func(a, b Result) int {
		return cmp.Or(cmp.Compare(slices.Index(groups, a.Group), slices.Index(groups, b.Group)), cmp.Compare(a.Claim, b.Claim))
	})
	return results, lines.Err()
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
	fmt.Fprintf(&b, "Measured on %s: %s.\n", f.Date, f.System)
	for _, group := range groups {
		rows := slices.DeleteFunc(slices.Clone(f.Results), func(r Result) bool { return r.Group != group })
		if len(rows) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n## %s\n\n| what was shown | runs | with a fault | survived | lost | by |\n|---|---:|---:|---:|---:|---|\n", group)
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | `%s` |\n", strings.ReplaceAll(r.Claim, "|", `\|`), r.Runs, r.Faults, r.Survived, r.Lost, strings.ReplaceAll(r.Test, ", ", "`, `"))
		}
	}
	return b.String()
}
