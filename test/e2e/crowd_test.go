package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// The image is on every node before the first one is asked, and nodes that cannot have it are told, with one reason.
func (c *cluster) testHollowPrepull(t *testing.T) {
	c.hollowCommand(t, "50", "--pods", "6", "--pull", "200ms-2s", "--fail", "ImagePullBackOff=10%")
	r := c.Cosanet(t, 1, "top", "-A", "--interval", "0", "--image-prepull", "--node-selector", hollowNodes)
	if want := "5 of 50 nodes failed:\n  5 nodes ("; !strings.Contains(r.Stderr, want) || !strings.Contains(r.Stderr, "ErrImagePull: ") {
		t.Errorf("messages have no %q with the reason:\n%s", want, r.Stderr)
	}
	if rows := strings.Count(r.Stdout, "node/hollow-"); rows != 45 {
		t.Errorf("%d nodes are shown, want the 45 that have the image", rows)
	}
	c.WantNothingLeft(t)
}

// A Ctrl-C while each of many nodes has a collector pod deletes all of them.
func (c *cluster) testHollowInterrupt(t *testing.T) {
	nodes := 50
	if trial.Long() {
		nodes = 200
	}
	c.hollowCommand(t, strconv.Itoa(nodes), "--pods", "0", "--delay", "5m")
	cmd := c.Command("cosanet", "top", "-A", "--node-selector", hollowNodes, "--timeout", "4m", "--max-concurrent-nodes", strconv.Itoa(nodes))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	embedded.Eventually(t, "every node has its collector pod", func() error {
		if n := strings.Count(c.Must(t, "get", "pods", "-A", "-l", embedded.Ours, "-o", "name"), "\n"); n != nodes {
			return fmt.Errorf("%d of %d have", n, nodes)
		}
		return nil
	})
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	took := time.Since(begin)
	if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("it ended with %v, want exit code 130\n%s", err, &stderr)
	}
	if stderr.Len() > 0 {
		t.Errorf("messages: %s", &stderr)
	}
	t.Logf("%d pods were deleted in %s", nodes, took.Round(time.Millisecond))
	c.WantNothingLeft(t)
}

// On real nodes: the image is pulled, or why not is told, and what is in it starts.
func TestImagePrepull(t *testing.T) {
	c := need(t)
	r := c.Cosanet(t, 0, "top", "--all-nodes", "-A", "--interval", "0", "--image-prepull")
	for _, node := range []string{"node-1", "node-2"} {
		if !strings.Contains(r.Stdout, "node/"+node) {
			t.Errorf("no row of %s:\n%s", node, r.Stdout)
		}
	}
	c.WantNothingLeft(t)
	for _, tt := range []struct{ image, want string }{
		{"cosanet.invalid/collector:v1", "ErrImagePull: "},
		{"cosanet-demo:dev", "the collector failed (exit code "}, // it is there, and no collector
	} {
		r := c.Cosanet(t, 1, "top", "--all-nodes", "-A", "--interval", "0", "--image-prepull", "--image", tt.image)
		if !strings.Contains(r.Stderr, tt.want) || r.Stdout != "" {
			t.Errorf("%s: stdout %q, messages %q; want %q", tt.image, r.Stdout, r.Stderr, tt.want)
		}
		c.WantNothingLeft(t)
	}
}
