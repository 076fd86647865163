package plugin

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

const madeHere = "<!-- Made by make docs from pkg/plugin: change it there. -->\n"

// documentedRoot is the command tree as the documents show it: of no version in particular.
func documentedRoot() *cobra.Command {
	return rootOf(Build{Version: "VERSION", Image: "ghcr.io/cosanet/kubectl-cosanet:VERSION"}, io.Discard)
}

func rootOf(build Build, out io.Writer) *cobra.Command {
	streams := genericiooptions.IOStreams{In: new(bytes.Buffer), Out: out, ErrOut: out}
	root := newRoot(&factory{flags: genericclioptions.NewConfigFlags(true), streams: streams, build: build, ledger: new(Ledger)})
	root.InitDefaultHelpCmd()
	root.SetOut(out)
	root.SetErr(out)
	return root
}

// commandsOf are a command and all below it that help lists.
func commandsOf(cmd *cobra.Command) []*cobra.Command {
	commands := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			commands = append(commands, commandsOf(sub)...)
		}
	}
	return commands
}

// TestManual keeps docs/cli and docs/reference.md as the commands say it; `make docs` writes them anew.
func TestManual(t *testing.T) {
	t.Setenv(ImageVariable, "")
	const docs = "../../docs"
	root := documentedRoot()
	want := map[string]string{"reference.md": manual(root)}
	for i, cmd := range commandsOf(root) {
		if i == 1 { // the page of the root has its flags: once is enough
			root.PersistentFlags().VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
		}
		var page bytes.Buffer
		if err := doc.GenMarkdown(cmd, &page); err != nil {
			t.Fatal(err)
		}
		want["cli/"+pageOf(cmd)] = madeHere + strings.TrimRight(page.String(), "\n") + "\n"
	}
	there, err := filepath.Glob(docs + "/cli/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		name := "cli/" + filepath.Base(path)
		if _, ok := want[name]; ok {
			continue
		}
		if !*update {
			t.Errorf("docs/%s is of no command: run make docs", name)
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range want {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		golden.File(t, path, text, *update)
	}
}

// pageOf is the file of a command in docs/cli.
func pageOf(cmd *cobra.Command) string {
	return strings.ReplaceAll(cmd.CommandPath(), " ", "_") + ".md"
}

// manual is docs/reference.md.
func manual(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(madeHere + `# Reference

What scripts may depend on. The same is shown by ` + "`kubectl cosanet COMMAND --help`, `kubectl cosanet options COMMAND` and `kubectl cosanet columns`" + `;
the metrics are in [metrics.md](metrics.md), what they are signs of in [findings.md](findings.md).

## Commands

| Command | does |
|---|---|
`)
	for _, cmd := range commandsOf(root)[1:] {
		fmt.Fprintf(&b, "| [`%s`](cli/%s) | %s |\n", cmd.CommandPath(), pageOf(cmd), cmd.Short)
	}
	b.WriteString("\n## Exit codes\n\n| Code | of all commands | of `diff`, as of `kubectl diff` |\n|---|---|---|\n")
	for _, e := range exitCodes() {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", e.code, e.meaning, e.diff)
	}
	b.WriteString("\nData is on standard output, everything else on standard error.\n\n## Environment\n\n| Variable | says |\n|---|---|\n")
	for _, v := range environment() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", strings.ReplaceAll(v.name, ", ", "`, `"), v.meaning)
	}
	b.WriteString(`
## Configuration

There is no configuration file: what no flag says comes from the environment, then from the kubeconfig, then from the defaults below.

| What | is, in this order |
|---|---|
| cluster and user | ` + "`--context`, `--cluster`, `--user`, `--server`, `--token`, ...; the current context of the kubeconfig; where there is none, the service account of the pod that the plugin runs in" + ` |
| whose rights | ` + "those of that user, or of `--as`, `--as-group`, `--as-uid`" + ` |
| pods | ` + "those of `--namespace`; of the context's namespace; of `default`" + ` |
| collector image | ` + "`--image`; `COSANET_IMAGE`; that of the plugin's own version" + ` |
| who counts | ` + "`--source`; the exporter of a node where it can answer, else a collector pod" + ` |
| namespace of the collector pods | ` + "`--collector-namespace`; `cosanet` where there is one; `default`" + ` |

## Saved files

What ` + "`kubectl cosanet snapshot` writes and `--from` reads" + ` is text in the Prometheus format, compressed with gzip if the name ends in ` + "`.gz`" + `. One frame follows another: all that a node
counted at one moment, and two comment lines that prove it.

` + "```" + `
# TYPE cosanet_conntrack_curr gauge
...
# cosanet-trailer v=1 run=snapshot sandboxes=3 samples=1290 failed=0 bytes=180233 sha256=... number=2 of=4
# EOF
` + "```" + `

A snapshot's frames say how many they are: cut anywhere, the file is refused, with exit code 1. A recording (` + "`--duration`" + `), and a copy of one, is written as it comes: its frames are numbered, and a line ends it.

` + "```" + `
# cosanet-end v=1 frames=240
` + "```" + `

Ctrl-C ends a recording with that line, too. One without it was killed, or cut between two frames: it is shown up to its last frame, with a warning on standard error; cut within a frame it is refused. Files of earlier versions, whose
frames are not numbered, are read as they are, and so are the logs of collector pods. Files may be written one after the other into one.

## Flags of the commands that count

`)
	counting := pflag.NewFlagSet("", pflag.ContinueOnError)
	newCollection(&factory{build: Build{Image: "ghcr.io/cosanet/kubectl-cosanet:VERSION"}, streams: genericiooptions.IOStreams{ErrOut: io.Discard}}).AddFlags(counting)
	b.WriteString("Of `top`, `diff`, `raw`, `explain`, `report`, `snapshot` and `doctor`, beside their own.\n\n" + flagTable(counting))
	b.WriteString("\n## Flags of all commands\n\nThose of kubectl, behind the name of the command: `kubectl cosanet top --context NAME`.\n\n" + flagTable(root.PersistentFlags()))
	b.WriteString("\n## Columns of top\n\n| Column | in | `!` from | `!!` from | is | key in `-o json` |\n|---|---|---|---|---|---|\n")
	for _, c := range builtin() {
		in := [...]string{inDefault: "every table", inWide: "`-o wide`", inSockets: "`--sockets`", inTCP: "`--tcp`", inOwners: "`--conntrack-owners`"}[c.shown]
		key := ""
		if c.key != "" {
			key = "`" + c.key + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", c.name, in, c.bound(c.mark.warn), c.bound(c.mark.bad), c.meaning, key)
	}
	return b.String()
}

// flagTable is one row a flag.
func flagTable(flags *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString("| Flag | Default | says |\n|---|---|---|\n")
	flags.VisitAll(func(flag *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(flag)
		byDefault := flag.DefValue
		if flagDefault(flag) == "" {
			byDefault = ""
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.TrimSpace(flagTitle(flag)), byDefault, usage)
	})
	return b.String()
}

// TestEnvironmentIsDeclared wants every variable that the plugin reads in the table of environment().
func TestEnvironmentIsDeclared(t *testing.T) {
	const ofTheSystem = "PATH" // no switch of this program
	var declared []string
	for _, v := range environment() {
		declared = append(declared, strings.Split(v.name, ", ")...)
	}
	read := 0
	files := append(parsed(t, "*.go"), parsed(t, "../../cmd/kubectl-cosanet/*.go")...)
	constants := stringConstants(files)
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			name, ok := variableRead(node, constants)
			if ok {
				read++
			}
			if ok && !slices.Contains(append(declared, ofTheSystem), name) {
				t.Errorf("$%s is read, and not in the table of environment.go", name)
			}
			return true
		})
	}
	if read == 0 {
		t.Error("no variable is read at all: the test looks for them in the wrong way")
	}
}

// parsed are the Go files of a pattern, without tests.
func parsed(t *testing.T, pattern string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// variableRead is the environment variable that an expression such as os.Getenv("TERM") reads.
func variableRead(node ast.Node, constants map[string]string) (string, bool) {
	call, ok := node.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return "", false
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Getenv" && f.Sel.Name != "LookupEnv" {
		return "", false
	}
	switch arg := call.Args[0].(type) {
	case *ast.BasicLit:
		name, err := strconv.Unquote(arg.Value)
		return name, err == nil
	case *ast.Ident:
		return constants[arg.Name], true
	}
	return "", true // computed: no table could have it
}

func stringConstants(files []*ast.File) map[string]string {
	constants := map[string]string{}
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, value := range spec.Values {
				if literal, ok := value.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					constants[spec.Names[i].Name], _ = strconv.Unquote(literal.Value)
				}
			}
			return true
		})
	}
	return constants
}
