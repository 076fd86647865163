// Package cosanet holds no code: its test is where the rules of the whole repository are kept (docs/design.md, section 2).
package cosanet

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cosanet/kubectl-cosanet"

// TestImports looks at everything that is linked, not only at what a package names itself.
func TestImports(t *testing.T) {
	const (
		halves   = "the two halves meet in pkg/metrics and nowhere else"
		noAPI    = "the node's half has no credentials and speaks to no API server"
		portable = "the workstation's half builds for macOS and Windows, where these do not"
		leaf     = "the contract is what both halves import: what it imports, both must carry"
		small    = "the node's image is pulled by every node: it stays small"
	)
	tests := []struct {
		name     string
		packages []string
		banned   map[string]string // import path, or prefix ending in /: why
	}{
		{"contract", []string{"./pkg/metrics"}, map[string]string{
			module + "/pkg/collector": leaf, module + "/pkg/plugin": leaf, "k8s.io/": leaf, "google.golang.org/grpc": leaf,
			"github.com/spf13/": leaf, "github.com/vishvananda/": leaf, "github.com/mdlayher/": leaf, "github.com/ti-mo/": leaf,
			"github.com/prometheus/client_golang/": leaf,
		}},
		{"collector", []string{"./pkg/collector", "./node-image"}, map[string]string{
			module + "/pkg/plugin": halves, "k8s.io/client-go/": noAPI, "k8s.io/kubectl/": noAPI, "k8s.io/cli-runtime/": noAPI,
			"k8s.io/api/": noAPI, "github.com/spf13/cobra": small, "github.com/olekukonko/": small, "charm.land/": small,
		}},
		{"plugin", []string{"./pkg/plugin", "./cmd/kubectl-cosanet"}, map[string]string{
			module + "/pkg/collector": halves, "github.com/vishvananda/": portable, "github.com/mdlayher/": portable,
			"github.com/ti-mo/": portable, "github.com/prometheus/procfs": portable, "k8s.io/cri-api/": portable,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, dep := range dependencies(t, tt.packages...) {
				for banned, why := range tt.banned {
					if dep == banned || strings.HasPrefix(dep, strings.TrimSuffix(banned, "/")+"/") {
						t.Errorf("%s links %s: %s", strings.Join(tt.packages, " "), dep, why)
					}
				}
			}
		})
	}
}

// TestDirectImports lists the modules each package may name itself. A further one is a decision: it belongs into
// docs/design.md first.
func TestDirectImports(t *testing.T) {
	allowed := map[string][]string{
		"./deploy":      {"sigs.k8s.io/yaml"},
		"./pkg/metrics": {"github.com/prometheus/client_model/", "github.com/prometheus/common/"},
		"./pkg/collector": {
			module + "/pkg/metrics", "golang.org/x/sys/", "golang.org/x/sync/", "github.com/vishvananda/netns", "github.com/ti-mo/conntrack",
			"github.com/mdlayher/netlink", "k8s.io/cri-api/", "google.golang.org/grpc", "golang.org/x/net/netutil", "github.com/klauspost/compress/flate",
			"github.com/prometheus/client_golang/", "github.com/prometheus/common/expfmt", "github.com/prometheus/exporter-toolkit/",
		},
		"./pkg/plugin": {
			module + "/pkg/metrics", module + "/deploy", "golang.org/x/sync/", "golang.org/x/term", "github.com/spf13/", "k8s.io/api/", "k8s.io/apimachinery/",
			"k8s.io/client-go/", "k8s.io/cli-runtime/", "k8s.io/kubectl/", "github.com/olekukonko/tablewriter", "sigs.k8s.io/yaml", "sigs.k8s.io/kustomize/",
			"charm.land/bubbletea/", "github.com/charmbracelet/x/ansi", // the live view
		},
	}
	for pkg, prefixes := range allowed {
		for _, imported := range goList(t, "linux", "{{range .Imports}}{{println .}}{{end}}", pkg) {
			first, _, _ := strings.Cut(imported, "/")
			ok := !strings.Contains(first, ".") || slices.ContainsFunc(prefixes, func(prefix string) bool {
				return imported == prefix || strings.HasPrefix(imported, strings.TrimSuffix(prefix, "/")+"/")
			})
			if !ok {
				t.Errorf("%s imports %s, which docs/design.md does not grant it", pkg, imported)
			}
		}
	}
}

// TestBuildsEverywhere compiles the plugin for the other systems where kubectl runs. Two packages at once: the go tool
// then compiles without linking.
func TestBuildsEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the API machinery for two more systems: minutes, the first time")
	}
	for _, goos := range []string{"darwin", "windows"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "./cmd/kubectl-cosanet", "./pkg/plugin")
		cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=arm64", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("compiling the plugin for %s: %v\n%s", goos, err, out)
		}
	}
}

// TestSources keeps files short enough to read in one go and free of what hides where things happen.
func TestSources(t *testing.T) {
	const maxLines = 400
	vague := []string{"util", "utils", "common", "helper", "helpers", "manager", "service", "misc", "base"}
	for _, file := range goFiles(t) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(source, []byte("\n")); n > maxLines {
			t.Errorf("%s: %d lines; over %d it holds more than one concept: split it", file, n, maxLines)
		}
		words := strings.FieldsFunc(strings.TrimSuffix(filepath.Base(file), ".go"), func(r rune) bool { return r == '_' || r == '-' })
		for _, word := range append(words, filepath.Base(filepath.Dir(file))) {
			if slices.Contains(vague, word) {
				t.Errorf("%s: %q says nothing about what is in it: name the concept", file, word)
			}
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parsing %s: %v", file, err)
			continue
		}
		for _, decl := range parsed.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init: what happens before main cannot be followed, or tested: use a value", file)
			}
		}
	}
}

// TestCommandsExist wants every make target and every kubectl cosanet verb that the documents tell people to type.
func TestCommandsExist(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	plugin := exec.Command("go", "run", "./cmd/kubectl-cosanet", "--help")
	plugin.Env = append(os.Environ(), "CGO_ENABLED=0")
	help, err := plugin.CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl-cosanet --help: %v\n%s", err, help)
	}
	target := regexp.MustCompile(`\bmake ([a-z][a-z0-9-]+)`)
	verb := regexp.MustCompile(`\bkubectl cosanet ([a-z][a-z-]+)`)
	documents := []string{"README.md", "CONTRIBUTING.md", "docs/design.md", "docs/security.md", "docs/findings.md", "docs/operations.md", "docs/airgap.md", "docs/troubleshooting.md", "docs/reference.md", "docs/release.md", "test/demo/run.sh"}
	seen := 0
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Errorf("reading a document: %v", err)
			continue
		}
		code := codeOf(document, string(text))
		for _, m := range target.FindAllStringSubmatch(code, -1) {
			seen++
			if !regexp.MustCompile(`(?m)^` + m[1] + `:.*## `).Match(makefile) {
				t.Errorf("%s: make %s is not a target that make help lists", document, m[1])
			}
		}
		for _, m := range verb.FindAllStringSubmatch(code, -1) {
			seen++
			if !regexp.MustCompile(`(?m)^  ` + m[1] + `\s`).Match(help) {
				t.Errorf("%s: kubectl cosanet %s is not a command that --help lists", document, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d commands found in %v: the patterns of this test are stale", seen, documents)
	}
}

// TestDocuments wants what the README and a packager expect to find.
func TestDocuments(t *testing.T) {
	for _, file := range []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/design.md", "docs/security.md", "docs/metrics.md", "docs/findings.md", "docs/operations.md", "docs/airgap.md", "docs/troubleshooting.md", "docs/reference.md", "docs/release.md", "docs/reliability.md"} {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("no %s", file)
		}
	}
	link := regexp.MustCompile(`\]\(([^)#:\s]+)(#[^)]*)?\)`)
	markdown, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("docs/cli/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Concat(markdown, more, pages) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", file, m[1])
			}
		}
	}
}

// codeOf returns what a document sets as code: fenced blocks and `spans` of Markdown, all of a script.
func codeOf(document, text string) string {
	if filepath.Ext(document) != ".md" {
		return text
	}
	return strings.Join(regexp.MustCompile("(?s)```.*?```|`[^`\n]+`").FindAllString(text, -1), "\n")
}

// dependencies lists all packages that are linked into the given ones on Linux.
func dependencies(t *testing.T, packages ...string) []string {
	t.Helper()
	return goList(t, "linux", "{{range .Deps}}{{println .}}{{end}}", packages...)
}

func goList(t *testing.T, goos, format string, packages ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-f", format}, packages...)...)
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(packages, " "), err, &stderr)
	}
	lines := strings.Fields(string(out))
	slices.Sort(lines)
	return slices.Compact(lines)
}

// goFiles lists the Go files of all modules of the repository.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path != "." && strings.HasPrefix(d.Name(), ".") || path == "bin" || path == "dist") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ".go" {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
