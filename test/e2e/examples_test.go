package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// TestExamples types what the help of every command gives as examples, line by line, into a shell whose context is in the
// namespace shop.
func TestExamples(t *testing.T) {
	c := withShop(t)
	folder := t.TempDir()
	c = c.in(t, folder, "shop")
	if err := os.MkdirAll(filepath.Join(folder, ".local", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"before.prom", "after.prom"} { // of another day
		c.Cosanet(t, 0, "snapshot", "-n", "shop", "-o", filepath.Join(folder, file))
	}
	t.Cleanup(func() { c.Run("cosanet", "serve", "--remove") })
	examples := 0
	for _, command := range c.commands(t) {
		for _, line := range c.examples(t, command) {
			examples++
			t.Run(line, func(t *testing.T) {
				if len(command) > 0 && command[0] == "doctor" {
					c.knowsItsImage(t)
				}
				shell := exec.Command("bash", "-o", "pipefail", "-c", line)
				shell.Env, shell.Dir = c.Env, folder
				r := embedded.Finish(shell)
				different := r.Code == 1 && strings.Contains(line, " diff ")
				if r.Code != 0 && !different || strings.Contains(r.Stderr, "error:") {
					t.Errorf("exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
				}
			})
		}
	}
	if examples < 20 {
		t.Errorf("%d examples: they are no longer found where they are", examples)
	}
	c.WantNothingLeft(t)
}

// withShop is the cluster with the pods that the examples name, until the test ends.
func withShop(t *testing.T) *cluster {
	t.Helper()
	c := reach(t)
	t.Cleanup(func() {
		c.Must(t, "delete", "-f", "testdata/examples.yaml", "--ignore-not-found", "--wait", "--timeout=60s")
	})
	c.Must(t, "apply", "-f", "testdata/examples.yaml")
	c.Must(t, "wait", "crd", "podmonitors.monitoring.coreos.com", "prometheusrules.monitoring.coreos.com", "--for=condition=Established", "--timeout=60s")
	for _, namespace := range []string{"shop", "staging"} {
		c.Must(t, "-n", namespace, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
	}
	return c
}

// in is the cluster with a home of its own, where the plugin is installed, and a context in a namespace.
func (c *cluster) in(t *testing.T, home, namespace string) *cluster {
	t.Helper()
	config, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	own := *c
	own.Kubeconfig = filepath.Join(home, "kubeconfig")
	if err := os.WriteFile(own.Kubeconfig, config, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(home, "bin")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(filepath.Dir(c.Program), "kubectl-cosanet"), filepath.Join(folder, "kubectl-cosanet")); err != nil {
		t.Fatal(err)
	}
	own.Env = append(os.Environ(), "HOME="+home, "KUBECONFIG="+own.Kubeconfig, "PATH="+folder+":"+filepath.Dir(c.Kubectl)+":/usr/bin:/bin")
	own.Must(t, "config", "set-context", "--current", "--namespace", namespace)
	return &own
}

// commands are the commands that help lists, with those below them; the first is none at all.
func (c *cluster) commands(t *testing.T) [][]string {
	t.Helper()
	list := func(command ...string) (names []string) {
		help := c.Cosanet(t, 0, append(command, "--help")...).Stdout
		_, after, _ := strings.Cut(help, "\nCommands:\n")
		block, _, _ := strings.Cut(after, "\n\n")
		for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+) `).FindAllStringSubmatch(block, -1) {
			names = append(names, m[1])
		}
		return names
	}
	commands := [][]string{nil}
	for _, name := range list() {
		commands = append(commands, []string{name})
		for _, below := range list(name) {
			commands = append(commands, []string{name, below})
		}
	}
	return commands
}

// examples are those of a command's help.
func (c *cluster) examples(t *testing.T, command []string) []string {
	t.Helper()
	help := c.Cosanet(t, 0, append(command, "--help")...).Stdout
	_, after, ok := strings.Cut(help, "\nExamples:\n")
	if !ok {
		t.Errorf("kubectl cosanet %s --help has no examples:\n%s", strings.Join(command, " "), help)
	}
	block, _, _ := strings.Cut(after, "\n\n")
	var lines []string
	for line := range strings.Lines(block) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return lines
}
