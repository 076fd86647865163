package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// shell is a real interactive bash on a terminal, with kubectl's own completion loaded as its help says.
type shell struct {
	keys   io.Writer
	screen chan []byte // what the terminal shows, as it comes
	seen   []byte
}

const bashrc = `
source /usr/share/bash-completion/bash_completion
source <(kubectl completion bash)
bind 'set completion-query-items 0' # nobody is there to be asked
bind 'set page-completions off'
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
PS1='ready> ' PS2= HISTFILE=
`

// newShell starts a bash whose kubectl finds the plugin, and the completer that the plugin installs, in a folder of the
// test's own.
func newShell(t *testing.T, c *cluster) *shell {
	t.Helper()
	folder := t.TempDir()
	if err := os.Symlink(filepath.Join(filepath.Dir(c.Program), "kubectl-cosanet"), filepath.Join(folder, "kubectl-cosanet")); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "TERM=dumb", "INPUTRC=/dev/null", "COLUMNS=200",
		"HOME="+folder, "PATH="+folder+":"+filepath.Dir(c.Kubectl)+":/usr/bin:/bin")
	install := exec.Command(c.Kubectl, "cosanet", "completion", "install")
	install.Env = env
	if out, err := install.CombinedOutput(); err != nil || string(out) != folder+"/kubectl_complete-cosanet installed\n" {
		t.Fatalf("kubectl cosanet completion install: %v\n%s", err, out)
	}
	rc := filepath.Join(folder, "bashrc")
	if err := os.WriteFile(rc, []byte(bashrc), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("script", "--quiet", "--command", "bash --noprofile --rcfile "+rc+" -i", "/dev/null") // gives it the terminal
	cmd.Env, cmd.Dir = env, folder
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	sh := &shell{keys: keys, screen: make(chan []byte)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(sh.screen)
		for {
			some := make([]byte, 4096)
			n, err := screen.Read(some)
			select {
			case sh.screen <- some[:n]:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		keys.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	sh.until(t, "ready> ")
	return sh
}

// until reads the screen until it shows text, and returns what came before.
func (sh *shell) until(t *testing.T, text string) string {
	t.Helper()
	patience := time.After(time.Minute)
	for {
		if before, after, ok := bytes.Cut(sh.seen, []byte(text)); ok {
			sh.seen = after
			return string(before)
		}
		select {
		case some, ok := <-sh.screen:
			if !ok {
				t.Fatalf("the shell ended; it showed %q", sh.seen)
			}
			sh.seen = append(sh.seen, some...)
		case <-patience:
			t.Fatalf("waited for %q; the screen shows %q", text, sh.seen)
		}
	}
}

func (sh *shell) press(t *testing.T, keys string) {
	t.Helper()
	if _, err := io.WriteString(sh.keys, keys); err != nil {
		t.Fatal(err)
	}
}

// completions presses what inserts all completions of the last word of a line (readline's insert-completions), and has the
// line printed instead of run, in marks that the screen shows nowhere else.
func (sh *shell) completions(t *testing.T, line string) []string {
	t.Helper()
	const toEnd, toBegin, insertAll = "\x05", "\x01", "\x1b*"
	sh.press(t, line+insertAll+toEnd+`; printf '\004'`+toBegin+`printf '\002%s\003' `+"\n")
	printed := sh.until(t, "\x04")
	sh.until(t, "ready> ")
	var words []string
	for _, mark := range strings.Split(printed, "\x02")[1:] {
		word, _, _ := strings.Cut(mark, "\x03")
		words = append(words, word)
	}
	typed := strings.Count(line, " ")
	if len(words) < typed {
		t.Fatalf("the shell made %q of %q", words, line)
	}
	return words[typed:]
}

// What is typed and what the tab key makes of its last word. Names are compared as a set.
func TestTabKey(t *testing.T) {
	c := need(t)
	sh := newShell(t, c)
	contexts := strings.Fields(c.Must(t, "config", "get-contexts", "-o", "name"))
	slices.Sort(contexts)
	tests := []struct {
		name, line string
		want       []string
	}{
		{"the plugin", "kubectl cosan", []string{"cosanet"}},
		{"a verb", "kubectl cosanet vers", []string{"version"}},
		{"a verb's verbs", "kubectl cosanet completion ", []string{"install", "uninstall"}},
		{"a flag", "kubectl cosanet top --sel", []string{"--selector"}},
		{"pods of the context's namespace", "kubectl cosanet top quiet", []string{"quiet"}}, // default, where none is
		{"pods of a namespace", "kubectl cosanet top -n e2e quiet-", []string{"quiet-1", "quiet-2"}},
		{"pods by namespace and name", "kubectl cosanet raw e2e/quiet-", []string{"e2e/quiet-1", "e2e/quiet-2"}},
		{"pods to compare", "kubectl cosanet diff -n e2e quiet-", []string{"quiet-1", "quiet-2"}},
		{"nodes to compare", "kubectl cosanet diff node/", []string{"node/node-1", "node/node-2"}},
		{"nodes", "kubectl cosanet top --node ", []string{"node-1", "node-2"}},
		{"columns", "kubectl cosanet top --columns LISTEND", []string{"LISTENDROP"}},
		{"columns to sort by", "kubectl cosanet top --sort-by LISTENO", []string{"LISTENOVFL"}},
		{"the last of some columns", "kubectl cosanet top --columns IN,OUT,LISTEND", []string{"IN,OUT,LISTENDROP"}},
		{"a metric", "kubectl cosanet top --columns TcpExt_ListenD", []string{"TcpExt_ListenDrops"}},
		{"a metric to sort by", "kubectl cosanet top --sort-by conntrack_cur", []string{"conntrack_curr"}},
		{"namespaces", "kubectl cosanet top -n kube-n", []string{"kube-node-lease"}},
		{"contexts", "kubectl cosanet top --context ", []string{"admin", "nobody", "operator", "viewer"}},
		{"users", "kubectl cosanet top --user vi", []string{"viewer"}},
		{"one of kubectl's flags", "kubectl cosanet diff --request-t", []string{"--request-timeout"}},
		{"not the same pod again", "kubectl cosanet top -n e2e quiet-1 quiet-", []string{"quiet-2"}},
		{"a flag's values", "kubectl cosanet top --source ", []string{"auto", "exporter", "pod"}},
		{"namespaces", "kubectl cosanet top -n e2", []string{"e2e"}},
		{"contexts", "kubectl cosanet top --context ", contexts},
		{"the last of several columns", "kubectl cosanet top --columns IN,OU", []string{"IN,OUT"}},
		{"metrics", "kubectl cosanet top --columns TcpExt_ListenD", []string{"TcpExt_ListenDrops"}},
		{"metrics to sort by", "kubectl cosanet top --sort-by TcpExt_ListenD", []string{"TcpExt_ListenDrops"}},
		{"the other one to compare", "kubectl cosanet diff -n e2e quiet-1 quiet-", []string{"quiet-2"}},
		{"folders", "kubectl cosanet completion install --dir /usr/loca", []string{"/usr/local"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := sh.completions(t, tt.line)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s<TAB> (-want +got):\n%s", tt.line, diff)
			}
		})
	}
}

// The tab key itself: twice for a list of what is possible, once for what is the only one.
func TestTabKeyListsPods(t *testing.T) {
	c := need(t)
	sh := newShell(t, c)
	sh.press(t, "kubectl cosanet top -n e2e \t\t")
	listed := sh.until(t, "ready> ")
	for _, pod := range []string{"full-queue", "quiet-1", "quiet-2", "store-0"} {
		if !strings.Contains(listed, pod) {
			t.Errorf("%s is not in the list:\n%s", pod, listed)
		}
	}
	sh.press(t, "full\t") // the line is there again, as it was
	sh.until(t, "full-queue")
}
