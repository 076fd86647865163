package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
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
		{"pod pending", []string{"--image", "cosanet-demo:nosuch", "--image-pull-policy", "Never"}, func(t *testing.T) { c.waitCollector(t, "Pending") }},
		{"pod created", nil, func(t *testing.T) { c.waitCollector(t, "") }},
		{"streaming", []string{"--interval", "60s", "--timeout", "90s"}, func(t *testing.T) { c.waitCollector(t, "Running") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := c.command(append([]string{"cosanet", "top", "-n", namespace, "quiet-1"}, test.args...)...)
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
			c.wantNothingLeft(t)
		})
	}
}

// waitCollector waits until a collector pod is there, in the given phase if that is not empty.
func (c *cluster) waitCollector(t testing.TB, phase string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, pod := range c.pods(t, ours) {
			if pod.DeletionTimestamp == nil && (phase == "" || string(pod.Status.Phase) == phase) {
				return
			}
		}
	}
	t.Fatalf("no collector pod was %s in 30 s", phase)
}

// Closing the pipe early is no error of ours, and leaves nothing.
func TestPipeIntoHead(t *testing.T) {
	c := need(t)
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `"$0" cosanet raw --all-nodes | head -n 3`, c.kubectl)
	cmd.Env = c.env
	r := finish(cmd)
	if got := strings.Count(r.stdout, "\n"); got != 3 {
		t.Errorf("%d lines, want 3", got)
	}
	if strings.Contains(r.stderr, "broken pipe") {
		t.Errorf("it complains: %s", r.stderr)
	}
	c.wantNothingLeft(t)
}

// addRefused makes what testdata/refused.yaml declares, and takes it away after the test.
func (c *cluster) addRefused(t *testing.T) {
	t.Helper()
	c.must(t, "apply", "-f", "testdata/refused.yaml")
	t.Cleanup(func() { c.must(t, "delete", "-f", "testdata/refused.yaml", "--wait", "--timeout=60s") })
	for node, system := range map[string]string{"windows-1": "windows", "fargate-1": "linux", "silent-1": "linux"} {
		ready := "True"
		if node == "silent-1" {
			ready = "Unknown"
		}
		c.must(t, "patch", "node", node, "--subresource=status", "--type=merge", "-p",
			`{"status":{"nodeInfo":{"operatingSystem":"`+system+`"},"conditions":[{"type":"Ready","status":"`+ready+`","reason":"Test","message":"kubelet stopped posting node status"}]}}`)
	}
}

// A node that cannot be asked costs its own rows and nobody else's; the exit code says that something is missing.
func TestOneNodeOfTwoFails(t *testing.T) {
	c := need(t)
	c.addRefused(t)
	r := c.cosanet(t, 1, "top", "-A", "--node", "node-1", "--node", "silent-1")
	table := rows(t, r.stdout)
	if table["quiet-1"] == nil || table["node/node-1"] == nil || table["quiet-2"] != nil {
		t.Errorf("the rows of node-1 alone should be there:\n%s", r.stdout)
	}
	if !strings.Contains(r.stderr, "silent-1") || !strings.Contains(r.stderr, "NotReady") {
		t.Errorf("why silent-1 is missing should be said: %s", r.stderr)
	}
	c.wantNothingLeft(t)
}

// What cannot work is refused in words: the object, the reason, the next step. Nothing is left.
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
		{"Windows node", []string{"top", "--node", "windows-1"}, 1, []string{"windows-1", "Windows"}},
		{"virtual node", []string{"top", "--node", "fargate-1"}, 1, []string{"fargate-1"}},
		{"silent node", []string{"top", "--node", "silent-1"}, 1, []string{"silent-1", "NotReady"}},
		{"no rights", []string{"top", "-n", namespace, "quiet-1", "--as", "nobody"}, 1, []string{"nobody", "forbidden", "pods"}},
		{"pod security", []string{"top", "-n", namespace, "quiet-1", "--collector-namespace", "e2e-strict"}, 1,
			[]string{"e2e-strict", "PodSecurity", "pod-security.kubernetes.io/enforce=privileged"}},
		{"no such namespace", []string{"top", "-n", namespace, "quiet-1", "--collector-namespace", "e2e-nosuch"}, 1, []string{"e2e-nosuch", "not found"}},
		{"image that is not there", []string{"top", "-n", namespace, "quiet-1", "--image", "cosanet-demo:nosuch", "--image-pull-policy", "Never"}, 1,
			[]string{"cosanet-demo:nosuch", "--image"}},
		{"image name that is none", []string{"top", "-n", namespace, "quiet-1", "--image", "Not/A Name"}, 2, []string{"Not/A Name", "is no name of an image"}},
		{"image without a version", []string{"serve", "--image", "cosanet-demo:latest"}, 2, []string{"cosanet-demo:latest", "does not say which version"}},
		{"wrong flag", []string{"top", "--nosuch"}, 2, []string{"--nosuch"}},
		{"wrong flag of diff", []string{"diff", "a", "b", "--nosuch"}, 2, []string{"--nosuch"}},
		{"wrong verb", []string{"tpo"}, 2, []string{"tpo", "top"}},
		{"wrong profile", []string{"top", "--profile", "root"}, 2, []string{"root", "privileged"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := c.cosanet(t, test.code, test.args...)
			for _, want := range test.want {
				if !strings.Contains(strings.ToLower(r.stderr), strings.ToLower(want)) {
					t.Errorf("stderr does not mention %q:\n%s", want, r.stderr)
				}
			}
			if r.stdout != "" {
				t.Errorf("on stdout: %s", r.stdout)
			}
			c.wantNothingLeft(t)
		})
	}
}

// cleanup removes what a killed run left, and only that.
func TestCleanupAfterKill(t *testing.T) {
	c := need(t)
	cmd := c.command("cosanet", "top", "-n", namespace, "quiet-1", "--interval", "60s", "--timeout", "90s")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.waitCollector(t, "Running")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if len(c.pods(t, ours)) == 0 {
		t.Fatal("nothing left to clean up: the test shows nothing")
	}
	others := len(c.pods(t, "app=quiet"))
	r := c.cosanet(t, 0, "cleanup")
	if !strings.Contains(r.stdout+r.stderr, "cosanet-") {
		t.Errorf("it does not say what it deleted: %s%s", r.stdout, r.stderr)
	}
	c.wantNothingLeft(t)
	if got := len(c.pods(t, "app=quiet")); got != others {
		t.Errorf("%d of %d other pods are left", got, others)
	}
}
