package rules

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "write the table of proofs in docs/findings.md")

// document holds the table in docs/findings.md to what was seen; -update writes it.
func (o *outcome) document(t *testing.T) {
	t.Helper()
	golden.Part(t, "../../docs/findings.md", "<!-- the proofs of the rules: make docs, as root -->\n", "<!-- end of the proofs -->\n", o.markdown(t), *update)
}

// markdown is a row for each rule. One that nobody tried to provoke fails the test.
func (o *outcome) markdown(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n\n| rule | found when | silent on healthy traffic |\n|---|---|---|\n", healthy)
	all := proofs()
	proven := 0
	for _, rule := range o.rules {
		how, why := []string{}, ""
		for _, p := range all {
			if p.rule == rule && o.provoked[p.name()] {
				how = append(how, p.how)
			} else if p.rule == rule {
				why = p.unproven
			}
		}
		silent := "yes"
		if !slices.Contains(o.calm, rule) {
			silent = "not checked"
		}
		switch {
		case len(how) > 0:
			proven++
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", rule, strings.Join(how, "; "), silent)
		case why != "":
			fmt.Fprintf(&b, "| `%s` | not provoked: %s | %s |\n", rule, why, silent)
		default:
			t.Errorf("the rule %s has no proof: make its cause happen, or say why that cannot be done", rule)
		}
	}
	for _, p := range all {
		if !slices.Contains(o.rules, p.rule) {
			t.Errorf("%s is proven, and no rule", p.rule)
		}
	}
	if proven < 20 {
		t.Errorf("only %d rules are proven", proven)
	}
	return b.String() + "\n"
}
