package plugin

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRightsAreOnceEach wants no right twice, and none that is not of the core group.
func TestRightsAreOnceEach(t *testing.T) {
	seen := map[Right]bool{}
	for _, r := range Rights() {
		key := Right{Where: r.Where, Resource: r.Resource, Verb: r.Verb}
		if seen[key] {
			t.Errorf("%s %s in %s: twice", r.Verb, r.Resource, r.Where)
		}
		seen[key] = true
		if slices.Contains([]string{"*", "escalate", "bind", "impersonate"}, r.Verb) || strings.Contains(r.Resource, "*") || r.Resource == "secrets" {
			t.Errorf("%s %s in %s: nobody should have to give that", r.Verb, r.Resource, r.Where)
		}
	}
}

// TestRightsAreDocumented holds the README's table to Rights, which `make docs` writes, and point 8 of docs/security.md.
func TestRightsAreDocumented(t *testing.T) {
	const readme, head = "../../README.md", "| where | resource | verbs |\n|---|---|---|\n"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), head)
	_, after, ok2 := strings.Cut(rest, "\n\n")
	if !ok || !ok2 {
		t.Fatalf("%s has no table of rights", readme)
	}
	want := before + head + rightsTable() + "\n" + after
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is stale, run make docs (-rights.go +document):\n%s", readme, diff)
	}

	security, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, point, _ := strings.Cut(string(security), "\n8. ")
	point, _, _ = strings.Cut(point, "\n9. ")
	for _, r := range Rights() {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(r.Resource) + `\s+(` + "`[a-z]+`" + `,\s+)*` + "`" + r.Verb + "`").MatchString(point) {
			t.Errorf("docs/security.md, point 8, does not name %s %s (%s)", r.Resource, r.Verb, r.Where)
		}
	}
}

// rightsTable is one row for each rule of a Role.
func rightsTable() string {
	var b strings.Builder
	for _, g := range grantsOf(Rights()) {
		where := string(g.where)
		if g.exporter {
			where += ", with an exporter"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", where, g.resource, verbsOf(g.rights))
	}
	return b.String()
}
