package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// rotation is a kubelet that rotates the log between two samples, since it may be of 2 KiB only: who follows the log gets both, and so
// does who has to read it again, since the kubelet was restarted as well: the first one had come by then.
func (c *cluster) rotation(t *testing.T) {
	const node, config = "node-2", "/var/lib/kubelet/config.yaml"
	kubelet := service{c, node, "kubelet"}
	c.healed(t, node)
	c.Exec(t, node, "cp", config, config+".before")
	t.Cleanup(func() {
		c.Exec(t, node, "mv", config+".before", config)
		kubelet.kill(t)()
	})
	c.Exec(t, node, "sh", "-c", "printf 'containerLogMaxSize: 2Ki\ncontainerLogMonitorInterval: 3s\n' >>"+config)
	kubelet.kill(t)()
	embedded.Eventually(t, node+" takes pods", func() error {
		if r := c.top(node, "--timeout", "10s"); r.Code != 0 {
			return fmt.Errorf("%s", r.Stderr)
		}
		return nil
	})
	tests := []struct {
		name   string
		during func(t *testing.T) // once the log was rotated
		want   outcome
	}{
		{"followed", func(*testing.T) {}, fine(node)},
		{"read again", func(t *testing.T) { kubelet.kill(t)() }, fine(node)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			run := c.begin(node, "--interval", "10s")
			pod := c.collector(t, node, "Running")
			embedded.Eventually(t, "the log of "+pod.Name+" is rotated", func() error {
				logs := c.Control("exec", node, "--", "sh", "-c", "ls /var/log/pods/*_"+pod.Name+"_*/*").Stdout
				if strings.Count(logs, "\n") < 2 {
					return fmt.Errorf("there is %q", logs)
				}
				return nil
			})
			tt.during(t)
			tt.want.check(t, <-run)
		})
	}
}
