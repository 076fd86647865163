package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

var update = flag.Bool("update", false, "write what the commands print into the README")

const readme = "../../README.md"

// consoleBlock is a fenced block of the README that shows a shell: `$ command` lines, each with what it prints below it.
var consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")

// TestReadme runs the commands that the README shows with their output, on the demo's pods. With -update (make readme) their
// output is written there, as it is; without, what is there must have the form of what they print: the same headings, and
// each line but for its numbers.
func TestReadme(t *testing.T) {
	c := need(t)
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		c.Must(t, "delete", "namespace", namespace, "--wait") // the README shows the demo's pods alone
	}
	c.shell(t, "../../test/demo/deploy.sh")
	blocks := consoleBlock.FindAllSubmatchIndex(text, -1)
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of ```console: there is nothing to run", readme)
	}
	slices.Reverse(blocks) // from the end, so that the places of those before stay
	for _, at := range blocks {
		shown := string(text[at[2]:at[3]])
		var printed strings.Builder
		for _, example := range examples(t, shown) {
			output := c.shell(t, example.command)
			fmt.Fprintf(&printed, "$ %s\n%s\n", example.command, output)
			if *update {
				continue
			}
			if missing := formsMissing(example.output, output); len(missing) > 0 {
				t.Errorf("$ %s\nnow prints\n%s\nwhich has nothing of the form of\n%s\nmake readme writes the README anew", example.command, output, strings.Join(missing, "\n"))
			}
		}
		text = slices.Concat(text[:at[2]], []byte(strings.TrimSuffix(printed.String(), "\n")), text[at[3]:])
	}
	if *update {
		if err := os.WriteFile(readme, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.WantNothingLeft(t)
}

// example is a command of a document, and what the document shows that it prints.
type example struct{ command, output string }

func examples(t *testing.T, block string) []example {
	t.Helper()
	var found []example
	for _, part := range regexp.MustCompile(`(?m)^\$ `).Split(block, -1)[1:] {
		command, output, _ := strings.Cut(part, "\n")
		found = append(found, example{command, output})
	}
	if !strings.HasPrefix(block, "$ ") {
		t.Fatalf("a block that does not begin with a command:\n%s", block)
	}
	return found
}

// shell runs a line as one types it and returns what the terminal shows. Exit codes up to 1 are fine: diff's says that two
// pods differ.
func (c *cluster) shell(t *testing.T, line string) string {
	t.Helper()
	cmd := exec.Command("bash", "-c", "{ "+line+"; } 2>&1")
	cmd.Env = append(c.Env, "PATH="+filepath.Dir(c.Kubectl)+":"+envOf(c.Env, "PATH"))
	r := embedded.Finish(cmd)
	if r.Code < 0 || r.Code > 1 {
		t.Fatalf("%s: exit code %d: %s%s", line, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

func envOf(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v // the last one counts
		}
	}
	return value
}

// formsMissing are the lines of want of whose form there is none in got.
func formsMissing(want, got string) []string {
	var forms, missing []string
	for line := range strings.Lines(got) {
		forms = append(forms, form(line))
	}
	for line := range strings.Lines(want) {
		if form(line) != "" && !slices.Contains(forms, form(line)) { // an empty line parts it from the next command
			missing = append(missing, strings.TrimSuffix(line, "\n"))
		}
	}
	return missing
}

var (
	// A number, or the sign for none: 157Ki, -102Ki, 0(0%), 44(<0.1%), 8!!, 0.0027x, 3m48s, ?, -.
	numberInText = regexp.MustCompile(`^([-+]?<?[0-9][0-9.]*(Ki|Mi|Gi|%|x|s)?([0-9a-z.]*s)?(\(<?[0-9.]+%\))?!{0,2}|[-?]),?$`)
	// What Kubernetes makes up: the end of a pod's name, of a Deployment and not.
	randomInText = regexp.MustCompile(`-[0-9a-f]{8,10}-[0-9a-z]{5}\b|-[bcdfghjklmnpqrstvwxz2456789]{5}\b`)
	// What a runtime does, the name of a network namespace; where the scheduler put a pod; and the port that a socket got.
	placeInText = regexp.MustCompile(`(cni)-[0-9a-f-]{36}|(node)-[0-9]+|(127\.0\.0\.1|\[::1\]):[0-9]+`)
)

// form is a line without what differs from run to run.
func form(line string) string {
	words := strings.Fields(placeInText.ReplaceAllString(line, "$1$2$3-*"))
	for i, word := range words {
		word = randomInText.ReplaceAllString(word, "-*")
		if numberInText.MatchString(word) {
			word = "0"
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

// The forms keep apart what must be kept apart.
func TestForm(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"demo   web   157Ki   0%   8!!   0(0%)", "demo web 1.2Mi -  0 12(3%)", true},
		{"demo   web   157Ki", "demo   web   157Ki   0", false},
		{"HOST node/node-1 0% 0(0%)", "HOST node/node-2 <0.1% 44(<0.1%)", true},
		{"demo idle-674687597f-8wz2f 0", "demo idle-7d9c5b6f4d-x2x2x -", true},
		{"demo web 0", "demo udp 0", false},
		{"POD IN/s OUT/s", "POD OUT/s IN/s", false},
		{"A: demo/web on node-2, 3m48s old, rates over 1.001s", "A: demo/web on node-2, 9s old, rates over 1s", true},
		{"A: demo/web on node-2, 9s old", "A: demo/web on node-1, 9s old", true},
		{"A: demo/web on node-2, 9s old", "B: demo/web on node-2, 9s old", false},
		{"[::1]:42163: 1 wait to be accepted", "[::1]:44605: 1 wait to be accepted", true},
		{"[::1]:42163: 1 wait to be accepted", "127.0.0.1:42163: 1 wait to be accepted", false},
		{`x{netns="cni-e4c38006-c39b-09ce-04e5-272bb183b32c"} 12`, `x{netns="cni-9b1f6a40-0f43-4f4e-8c4e-3a2f3d1f7c11"} 7`, true},
	} {
		if got := form(tt.a) == form(tt.b); got != tt.same {
			t.Errorf("%q and %q have the same form: %t, want %t", form(tt.a), form(tt.b), got, tt.same)
		}
	}
}
