package e2e

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// A watch shows one table after the other, and a recording has as many moments as of a real node, by one pod.
func (c *cluster) testHollowWatch(t *testing.T, node string) {
	cmd := exec.Command("bash", "-o", "pipefail", "-c", `"$0" cosanet top -A --node "$1" --watch --interval 1s --tcp | head -n 40`, c.Kubectl, node)
	cmd.Env = c.Env
	r := embedded.Finish(cmd)
	tables := regexp.MustCompile(`(?m)^(20\S+Z)  \d+ rows on 1 node\nNAMESPACE +POD +IN/s.* RTT .*\n(?:HOST +node/\S+ +\d)`).FindAllStringSubmatch(r.Stdout, -1)
	if len(tables) < 2 || tables[0][1] == tables[len(tables)-1][1] || r.Code != 141 || strings.Contains(r.Stderr, "again") {
		t.Errorf("exit code %d, %d tables:\n%s\n%s", r.Code, len(tables), r.Stdout, r.Stderr)
	}
	c.WantNothingLeft(t)

	file := filepath.Join(t.TempDir(), "recording.prom")
	if r := c.Cosanet(t, 0, "snapshot", "-A", "--node", node, "--duration", "2s", "--interval", "500ms", "-o", file); !strings.Contains(r.Stderr, "Recorded 5 moments of") {
		t.Errorf("it says: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
}

// An exporter of all metrics has the connections of pods, too, without a pod being made.
func (c *cluster) testHollowExporter(t *testing.T) {
	c.hollowCommand(t, "2", "--pods", "6", "--exporter", "--exporter-metrics", "all")
	c.Must(t, "-n", "cosanet", "rollout", "status", "daemonset/cosanet-exporter", "--timeout=60s")
	made := len(c.Pods(t, embedded.Ours))
	table := c.Cosanet(t, 0, "top", "-A", "--node", "hollow-0001", "--source", "exporter", "--tcp").Stdout
	if !regexp.MustCompile(`(?m)^NAMESPACE .* RTT .* PORTS%$`).MatchString(table) || !regexp.MustCompile(`(?m)^hollow-\d+ .* [\d.<]+ms +[\d.<]+ms +[\d.<]+% +\d+ +[\d.<]+%$`).MatchString(table) {
		t.Errorf("no round trip times of the hollow pods:\n%s", table)
	}
	if n := len(c.Pods(t, embedded.Ours)); n != made {
		t.Errorf("%d collector pods, and there were %d before", n, made)
	}
}
