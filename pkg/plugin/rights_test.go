package plugin

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/golden"
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
	golden.Part(t, "../../README.md", "| where | resource | verbs |\n|---|---|---|\n", "\n\n", strings.TrimSuffix(rightsTable(), "\n"), *update)

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
