package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// A recording has as many moments of each node as its duration has intervals, and every view shows any of them without a
// cluster.
func TestRecord(t *testing.T) {
	c := need(t)
	file := filepath.Join(t.TempDir(), "recording.prom.gz")
	r := c.Cosanet(t, 0, "snapshot", "-A", "--duration", "6s", "--interval", "2s", "-o", file)
	if !strings.Contains(r.Stderr, "Recorded 4 moments of") || !strings.Contains(r.Stderr, "of 2 nodes over 6s to "+file) {
		t.Errorf("it says: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
	offline := *c
	offline.Env = append(offline.Env, "KUBECONFIG=/nosuch")
	for _, test := range []struct {
		args []string
		want string // on standard error
	}{
		{[]string{"top", "-A"}, "the last moment of a recording of 4 moments"},
		{[]string{"top", "-A", "--at", "+4s"}, "of a recording of 4 moments"},
		{[]string{"top", "-A", "--between", "+0s,+6s"}, "between "},
		{[]string{"explain", "-A", "--at", "+2s"}, "of a recording of 4 moments"},
		{[]string{"raw", "-A", "--at", "+2s"}, ""},
	} {
		r := offline.Cosanet(t, 0, append(test.args, "--from", file)...)
		if !strings.Contains(r.Stderr, test.want) || !strings.Contains(r.Stdout, "quiet-1") && test.args[0] != "explain" {
			t.Errorf("%v: %s%s", test.args, r.Stdout, r.Stderr)
		}
	}
}

// An interrupted recording has what was there by then.
func TestRecordInterrupted(t *testing.T) {
	c := need(t)
	file := filepath.Join(t.TempDir(), "recording.prom")
	cmd := c.Command("cosanet", "snapshot", "-A", "--duration", "10m", "--interval", "1s", "-o", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	embedded.Eventually(t, "there are some frames", func() error {
		text, err := os.ReadFile(file)
		if n := bytes.Count(text, []byte("# EOF\n")); err == nil && n < 6 {
			err = os.ErrNotExist
		}
		return err
	})
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if exit, _ := err.(*exec.ExitError); exit == nil || exit.ExitCode() != 130 || !strings.Contains(stderr.String(), "Interrupted, recorded ") {
		t.Errorf("%v, want exit code 130 and a word of what there is:\n%s", err, &stderr)
	}
	c.WantNothingLeft(t)
	if r := c.Cosanet(t, 0, "top", "-A", "--from", file); !strings.Contains(r.Stdout, "quiet-1") || strings.Contains(r.Stderr, "warning") {
		t.Errorf("%s%s", r.Stdout, r.Stderr)
	}
}
