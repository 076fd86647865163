package plugin

import (
	"bytes"
	"strings"
	"testing"
)

// TestHelpFitsAScreen wants every command's help on 80 columns and 24 lines, the last of which is the prompt's.
func TestHelpFitsAScreen(t *testing.T) {
	const lines = 24 - 1
	root := rootOf(Build{Version: "v1.2.3", Image: "ghcr.io/cosanet/kubectl-cosanet:v1.2.3"}, new(bytes.Buffer))
	for _, cmd := range commandsOf(root) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			var out bytes.Buffer
			help(cmd, &out)
			if n := strings.Count(out.String(), "\n"); n > lines {
				t.Errorf("%d lines, %d fit", n, lines)
			}
			for line := range strings.Lines(out.String()) {
				if n := len(strings.TrimSuffix(line, "\n")); n > screenWidth {
					t.Errorf("%d columns, %d fit: %s", n, screenWidth, line)
				}
			}
			if cmd.Example == "" {
				t.Error("no example")
			}
			if strings.Contains(out.String(), "kubectl-cosanet ") {
				t.Errorf("names the program, which is typed as kubectl cosanet:\n%s", &out)
			}
		})
	}
}

// What help leaves out, options has.
func TestOptionsHaveEveryFlag(t *testing.T) {
	root := rootOf(Build{Version: "v1.2.3"}, new(bytes.Buffer))
	for _, cmd := range commandsOf(root) {
		var out bytes.Buffer
		options(cmd, &out)
		for _, name := range flagNames(cmd) {
			if name != "help" && !strings.Contains(out.String(), "--"+name+" ") && !strings.Contains(out.String(), "--"+name+"\n") && !strings.Contains(out.String(), "--"+name+"[") {
				t.Errorf("kubectl cosanet options %s has no --%s", typed(cmd), name)
			}
		}
		for line := range strings.Lines(out.String()) {
			if len(strings.TrimSuffix(line, "\n")) > screenWidth {
				t.Errorf("kubectl cosanet options %s: too wide: %s", typed(cmd), line)
			}
		}
	}
}
