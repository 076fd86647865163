package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// A Ctrl-C at whatever moment ends the command with 130 and leaves no pod.
func TestInterrupt(t *testing.T) {
	c := need(t)
	tests := []struct {
		name  string
		args  []string
		reach func(t *testing.T) // returns when the moment has come
	}{
		{"before the pod", nil, func(*testing.T) { time.Sleep(30 * time.Millisecond) }},
		{"pod pending", []string{"--image", "cosanet-demo:nosuch", "--image-pull-policy", "Never"}, func(t *testing.T) { c.WaitCollector(t, "Pending") }},
		{"pod created", nil, func(t *testing.T) { c.WaitCollector(t, "") }},
		{"streaming", []string{"--interval", "60s", "--timeout", "90s"}, func(t *testing.T) { c.WaitCollector(t, "Running") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := c.Command(append([]string{"cosanet", "top", "-n", namespace, "quiet-1"}, test.args...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			test.reach(t)
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatalf("it was over before the signal: %v\n%s", err, &stderr)
			}
			timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
			defer timer.Stop()
			err := cmd.Wait()
			// Before its handler is up, the signal ends the process as any other: nothing was created by then.
			exit, _ := err.(*exec.ExitError)
			if exit == nil {
				t.Fatalf("it ended with %v instead of being interrupted", err)
			}
			if code := exit.ExitCode(); code != 130 && exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("exit code %d, want 130\n%s", code, &stderr)
			}
			c.WantNothingLeft(t)
		})
	}
}

// Closing the pipe early is no error of embedded.Ours, and leaves nothing.
func TestPipeIntoHead(t *testing.T) {
	c := need(t)
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `"$0" cosanet raw --all-nodes | head -n 3`, c.Kubectl)
	cmd.Env = c.Env
	r := embedded.Finish(cmd)
	if got := strings.Count(r.Stdout, "\n"); got != 3 {
		t.Errorf("%d lines, want 3", got)
	}
	if strings.Contains(r.Stderr, "broken pipe") {
		t.Errorf("it complains: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
}

// addRefused makes what testdata/refused.yaml declares, and takes it away after the test.
func (c *cluster) addRefused(t *testing.T) {
	t.Helper()
	c.Must(t, "apply", "-f", "testdata/refused.yaml")
	t.Cleanup(func() { c.Must(t, "delete", "-f", "testdata/refused.yaml", "--wait", "--timeout=60s") })
	c.Must(t, "patch", "node", "silent-1", "--subresource=status", "--type=merge", "-p",
		`{"status":{"nodeInfo":{"operatingSystem":"linux"},"conditions":[{"type":"Ready","status":"Unknown","reason":"Test","message":"kubelet stopped posting node status"}]}}`)
}

// A node that cannot be asked costs its own rows and nobody else's; the exit code says that something is missing.
func TestOneNodeOfTwoFails(t *testing.T) {
	c := need(t)
	c.addRefused(t)
	r := c.Cosanet(t, 1, "top", "-A", "--node", "node-1", "--node", "silent-1")
	table := rows(t, r.Stdout)
	if table["quiet-1"] == nil || table["node/node-1"] == nil || table["quiet-2"] != nil {
		t.Errorf("the rows of node-1 alone should be there:\n%s", r.Stdout)
	}
	if !strings.Contains(r.Stderr, "silent-1") || !strings.Contains(r.Stderr, "NotReady") {
		t.Errorf("why silent-1 is missing should be said: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
}

// What cannot work is refused in words: the object, the reason, the next step. Nothing is left. What the cluster refuses is
// in test/faults.
func TestRefusals(t *testing.T) {
	c := need(t)
	c.addRefused(t)
	tests := []struct {
		name string
		args []string
		code int
		want []string // words on stderr
	}{
		{"unknown pod", []string{"top", "-n", namespace, "nosuch"}, 1, []string{"nosuch", "not found", namespace}},
		{"unknown node", []string{"top", "--node", "nosuch"}, 1, []string{"nosuch", "not found"}},
		{"pending pod", []string{"top", "-n", namespace, "stuck"}, 1, []string{"stuck", "on no node yet", "describe pod"}},
		{"image without a version", []string{"serve", "--image", "cosanet-demo:latest"}, 2, []string{"cosanet-demo:latest", "does not say which version"}},
		{"wrong flag", []string{"top", "--nosuch"}, 2, []string{"--nosuch"}},
		{"wrong flag of diff", []string{"diff", "a", "b", "--nosuch"}, 2, []string{"--nosuch"}},
		{"wrong verb", []string{"tpo"}, 2, []string{"tpo", "top"}},
		{"wrong profile", []string{"top", "--profile", "root"}, 2, []string{"root", "privileged"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := c.Cosanet(t, test.code, test.args...)
			for _, want := range test.want {
				if !strings.Contains(strings.ToLower(r.Stderr), strings.ToLower(want)) {
					t.Errorf("stderr does not mention %q:\n%s", want, r.Stderr)
				}
			}
			if r.Stdout != "" {
				t.Errorf("on stdout: %s", r.Stdout)
			}
			c.WantNothingLeft(t)
		})
	}
}

// cleanup removes what a killed run left, and only that; while its collector runs nobody knows that it was killed, and it is spared.
func TestCleanupAfterKill(t *testing.T) {
	c := need(t)
	cmd := c.Command("cosanet", "top", "-n", namespace, "quiet-1", "--interval", "60s", "--timeout", "90s")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.WaitCollector(t, "Running")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if len(c.Pods(t, embedded.Ours)) == 0 {
		t.Fatal("nothing left to clean up: the test shows nothing")
	}
	others := len(c.Pods(t, "app=quiet"))
	if r := c.Cosanet(t, 0, "cleanup"); !strings.Contains(r.Stderr, "may be in use") {
		t.Errorf("it does not say what it spared: %s%s", r.Stdout, r.Stderr)
	}
	if len(c.Pods(t, embedded.Ours)) == 0 {
		t.Fatal("a pod that runs was deleted")
	}
	r := c.Cosanet(t, 0, "cleanup", "--all")
	if !strings.Contains(r.Stdout+r.Stderr, "cosanet-") {
		t.Errorf("it does not say what it deleted: %s%s", r.Stdout, r.Stderr)
	}
	c.WantNothingLeft(t)
	if got := len(c.Pods(t, "app=quiet")); got != others {
		t.Errorf("%d of %d other pods are left", got, others)
	}
}
