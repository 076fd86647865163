package e2e

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// terminal is a real terminal, of tmux, in which one command runs.
type terminal struct {
	t      *testing.T
	socket string
	pid    string // file that has the process of the command
}

// open runs a command of kubectl in a terminal of its own, where something stands already.
func (c *cluster) open(t *testing.T, args ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no tmux: make deps installs it")
	}
	folder := t.TempDir()
	term := &terminal{t: t, socket: filepath.Join(folder, "tmux"), pid: filepath.Join(folder, "pid")}
	script := fmt.Sprintf("echo BEFORE; sh -c 'echo $$ >%s; exec %s cosanet %s'; echo exit=$?; exec sleep 600", term.pid, c.Kubectl, strings.Join(args, " "))
	cmd := exec.Command("tmux", "-S", term.socket, "-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "24", "sh", "-c", script)
	cmd.Env = append(c.Env, "TERM=xterm-256color", "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v\n%s", err, out)
	}
	t.Cleanup(func() { term.tmux("kill-server") })
	return term
}

func (term *terminal) tmux(args ...string) string {
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	if err != nil && args[0] != "kill-server" {
		term.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (term *terminal) press(keys ...string) {
	term.tmux(append([]string{"send-keys"}, keys...)...)
}

// shows waits until the screen matches, and returns it.
func (term *terminal) shows(want string) string {
	term.t.Helper()
	pattern := regexp.MustCompile(want)
	var screen string
	embedded.Eventually(term.t, "the screen shows "+want, func() error {
		if screen = term.tmux("capture-pane", "-p"); !pattern.MatchString(screen) {
			return fmt.Errorf("it shows\n%s", screen)
		}
		return nil
	})
	return screen
}

// The live view in a real terminal: the table comes, keys do what help says, and quitting leaves neither a trace on the
// screen nor a pod in the cluster.
func TestWatchInATerminal(t *testing.T) {
	c := need(t)
	term := c.open(t, "top", "-n", namespace, "--watch", "--interval", "1s")
	screen := term.shows(`(?s)POD +IN/s.*quiet-1 .*\d.*quiet-2 `)
	if strings.Contains(screen, "BEFORE") {
		t.Errorf("it is not on a screen of its own:\n%s", screen)
	}
	pods := map[string]bool{}
	for _, pod := range c.Pods(t, embedded.Ours) {
		pods[pod.Name] = true
	}
	term.press("Right", "Right")
	term.shows(`OUT/s v.*LAST MINUTE`)
	term.press("r")
	term.shows(`OUT/s \^`)
	term.press("/", "quiet-1")
	term.shows(`filter: quiet-1`)
	term.press("Enter")
	if screen = term.shows(`> quiet-1 `); strings.Contains(screen, "quiet-2") {
		t.Errorf("the filter lets others through:\n%s", screen)
	}
	term.press("Enter")
	term.shows(`(?s)e2e/quiet-1 +on node-1.*(rules checked|next: ).*(COUNTERS THAT MOVE +PER SECOND|No counter moves)`)
	term.tmux("resize-window", "-x", "90", "-y", "12")
	term.press("Escape")
	term.shows(`(?s)POD .*> quiet-1`)
	term.shows(`\A(?:.*\n){10}(?:.*\n)?q quit .*\n\z`)
	term.press("?")
	term.shows(`sort by the next column`)
	term.press("Escape") // together with the next key it would be Alt and that
	term.shows(`> quiet-1 `)
	term.press("Space")
	term.shows(`PAUSED`)
	for _, pod := range c.Pods(t, embedded.Ours) {
		if !pods[pod.Name] {
			t.Errorf("one pod a node for the whole watch, and now there is %s", pod.Name)
		}
	}
	term.press("q")
	if screen = term.shows(`(?s)BEFORE\s+exit=0`); strings.Contains(screen, "PAUSED") {
		t.Errorf("the screen is not what it was before:\n%s", screen)
	}
	c.WantNothingLeft(t)
}

// Ctrl-C, and a signal from elsewhere, end the live view in order too.
func TestWatchInterrupted(t *testing.T) {
	c := need(t)
	for name, end := range map[string]func(term *terminal){
		"Ctrl-C": func(term *terminal) { term.press("C-c") },
		"kill -INT": func(term *terminal) {
			text, err := os.ReadFile(term.pid)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := c.open(t, "top", "-n", namespace, "--watch", "--interval", "1s")
			term.shows(`quiet-1 `)
			end(term)
			term.shows(`(?s)BEFORE\s+exit=130`)
			c.WantNothingLeft(t)
		})
	}
}

// Where there is no terminal, one table comes after the other, and whoever has seen enough ends it.
func TestWatchIntoAPipe(t *testing.T) {
	c := need(t)
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `"$0" cosanet top -n e2e --watch --interval 1s | head -n 40`, c.Kubectl)
	cmd.Env = c.Env
	r := embedded.Finish(cmd)
	if tables := len(regexp.MustCompile(`(?m)^20\d\d-\d\d-\d\dT\S+Z  \d+ rows on 2 nodes\nPOD +IN/s`).FindAllString(r.Stdout, -1)); tables < 2 || r.Code != 141 {
		t.Errorf("exit code %d, %d tables:\n%s\n%s", r.Code, tables, r.Stdout, r.Stderr)
	}
	if strings.Contains(r.Stderr, "error") {
		t.Errorf("it complains: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
}

// A collector pod that is deleted, and a log that is cut, cost a watch no more than a moment.
func TestWatchGoesOn(t *testing.T) {
	c := need(t)
	cmd := c.Command("cosanet", "top", "--node", "node-1", "-n", namespace, "--watch", "--interval", "1s")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	tables := func(n int) {
		for n > 0 && lines.Scan() {
			if strings.Contains(lines.Text(), " on 1 node") {
				n--
			}
		}
		if n > 0 {
			t.Fatalf("it ended:\n%s", &stderr)
		}
	}
	tables(2)
	first := c.WaitCollector(t, "Running")
	c.Must(t, "-n", first.Namespace, "delete", "pod", first.Name, "--wait=false")
	tables(4)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "it is asked again") {
		t.Errorf("exit code %d, want 130, and a word of the pod that was deleted:\n%s", code, &stderr)
	}
	c.WantNothingLeft(t)
}
