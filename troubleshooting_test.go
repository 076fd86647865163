package cosanet

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestTroubleshooting wants every error text that docs/troubleshooting.md goes by in the code: a text that the program no
// longer prints, or prints in other words, is found by nobody.
func TestTroubleshooting(t *testing.T) {
	text, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	headings := regexp.MustCompile("(?m)^### (.*)$").FindAllStringSubmatch(string(text), -1)
	if len(headings) < 20 {
		t.Errorf("only %d headings: the pattern of this test is stale", len(headings))
	}
	printed := stringsOf(t, "pkg/plugin/", "pkg/metrics/", "pkg/collector/", "node-image/")
	for _, m := range headings {
		quoted, ok := strings.CutPrefix(m[1], "`")
		quoted, closed := strings.CutSuffix(quoted, "`")
		if !ok || !closed {
			t.Errorf("%q is not set as code: headings are what the program prints", m[1])
			continue
		}
		if !strings.Contains(printed, quoted) {
			t.Errorf("nothing in the code prints %q", quoted)
		}
	}
}

// stringsOf are the string literals of the code in some folders, one a line, with … for what a format fills in.
func stringsOf(t *testing.T, folders ...string) string {
	t.Helper()
	verb := regexp.MustCompile(`%(\[\d+\])?[-+#0-9.]*[a-zA-Z]|\(\\S\+\)|\(\.\*\)`)
	var all strings.Builder
	for _, file := range goFiles(t) {
		ours := false
		for _, folder := range folders {
			ours = ours || strings.HasPrefix(file, folder)
		}
		if !ours || strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				all.WriteString(verb.ReplaceAllString(value, "…") + "\n")
			}
			return true
		})
	}
	return all.String()
}
