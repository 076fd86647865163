package plugin

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

// TestFindingsDocument holds the sections of docs/findings.md to the rules of explain; -update writes them.
func TestFindingsDocument(t *testing.T) {
	want := golden.Part(t, "../../docs/findings.md", "<!-- the rules of explain: make docs -->\n", "<!-- end of the rules -->\n", findingsMarkdown(), *update)
	for _, m := range regexp.MustCompile(`\]\(#(\w+)\)`).FindAllStringSubmatch(findingsMarkdown(), -1) {
		if !strings.Contains(strings.ToLower(want), "\n### "+m[1]+"\n") {
			t.Errorf("a rule links to a section %s that is not there", m[1])
		}
	}
}

// findingsMarkdown is a section for each rule.
func findingsMarkdown() string {
	var b strings.Builder
	of := map[bool]string{false: "\n## Pods, and the namespace of a node\n", true: "\n## Nodes\n"}
	for _, node := range []bool{false, true} {
		b.WriteString(of[node])
		for _, r := range rules() {
			if r.node != node {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n`%s`: %s, %s %s.\n\n", r.alert(), r.id, capitalized(r.title), r.levelText(), r.unit)
			fmt.Fprintf(&b, "**Means.** %s\n\n**Threshold.** %s\n\n**Look at.** %s\n\n", r.means, capitalized(r.source), r.look)
			switch {
			case r.silent != "":
				fmt.Fprintf(&b, "**Alert.** None: %s.\n\n", r.silent)
			case r.served != "":
				fmt.Fprintf(&b, "**Alert.** Only where the exporter is told to count it: %s.\n\n", r.served)
			}
			fmt.Fprintf(&b, "**Counted by.** %s\n\n**Next.**\n\n```\n%s\n```\n", familyNames(r.families()), strings.Join(r.next, "\n"))
		}
	}
	return b.String() + "\n"
}

func familyNames(families []string) string {
	var names []string
	for _, family := range families {
		m, _ := metrics.Lookup(family)
		names = append(names, "`"+m.Short()+"`")
	}
	return strings.Join(names, ", ")
}

// TestRules wants each rule whole: what it reads is in the catalog, its levels ascend, and it says all that a reader needs.
func TestRules(t *testing.T) {
	seen := map[string]bool{}
	all := rules()
	for i := range all {
		r := &all[i]
		t.Run(r.id, func(t *testing.T) {
			if seen[r.id] || !regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`).MatchString(r.id) {
				t.Error("its id is no word, or another's")
			}
			if r.unless != "" && !seen[r.unless] {
				t.Errorf("%s is no rule before it", r.unless)
			}
			seen[r.id] = true
			for name, text := range map[string]string{"title": r.title, "unit": r.unit, "source": r.source, "means": r.means, "look": r.look} {
				if text == "" {
					t.Errorf("no %s", name)
				}
			}
			if (r.worst == nil) == (len(r.measure.sum) == 0) {
				t.Error("it measures, or it looks for the worst: one of both")
			}
			for _, family := range r.families() {
				if _, ok := metrics.Lookup(family); !ok {
					t.Errorf("%s is not in the catalog", family)
				}
			}
			if len(r.families()) == 0 || len(r.next) == 0 || len(r.levels) == 0 {
				t.Errorf("it needs %d families, has %d commands and %d levels", len(r.families()), len(r.next), len(r.levels))
			}
			if !slices.IsSortedFunc(r.levels, func(a, b level) int { return int(a.severity) - int(b.severity) }) ||
				!slices.IsSortedFunc(r.levels, func(a, b level) int { return int(a.above*1000) - int(b.above*1000) }) {
				t.Errorf("levels %v do not ascend", r.levels)
			}
		})
	}
	if len(all) < 20 {
		t.Errorf("only %d rules", len(all))
	}
}
