package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// findings are the parts of explain's JSON that the tests look at.
type findings struct {
	Items []struct {
		ID, Severity, Object string
		Metadata             struct{ Name, Namespace string }
		Evidence, Next       []string
	}
	Checked struct {
		Rules       []string
		Pods, Nodes int
	}
}

func (c *cluster) explain(t *testing.T, code int, args ...string) (f findings) {
	t.Helper()
	r := c.Cosanet(t, code, append([]string{"explain", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.Stdout), &f); err != nil {
		t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return f
}

// explain names the full listen queue, with its port and depth as ss on the node has them, and nothing of its neighbours.
func TestExplain(t *testing.T) {
	c := need(t)
	f := c.explain(t, 0, "-n", namespace, "--severity", "warning")
	var got []string
	for _, item := range f.Items {
		got = append(got, item.Severity+" "+item.ID+" "+item.Object+" "+item.Metadata.Namespace+"/"+item.Metadata.Name)
	}
	if diff := cmp.Diff([]string{"critical listen-overflows Pod e2e/full-queue"}, got); diff != "" {
		t.Fatalf("findings (-want +got):\n%s", diff)
	}
	var want []string
	for line := range strings.Lines(c.InPod(t, c.Pod(t, namespace, "full-queue"), "ss", "-Hlnt")) {
		cells := strings.Fields(line) // LISTEN Recv-Q Send-Q Local:Port Peer:Port
		want = append(want, fmt.Sprintf("%s: %s wait to be accepted, with room for %s", cells[3], cells[1], cells[2]))
	}
	evidence := slices.Sorted(slices.Values(f.Items[0].Evidence))
	slices.Sort(want)
	if diff := cmp.Diff(want, evidence); diff != "" {
		t.Errorf("ss on the node (-), evidence (+):\n%s", diff)
	}
	if f.Checked.Nodes != 2 || f.Checked.Pods < 5 || len(f.Checked.Rules) < 20 {
		t.Errorf("checked %+v, want two nodes, at least five pods and twenty rules", f.Checked)
	}
	c.WantNothingLeft(t)
}

// For CI and cron: the exit code says whether anything was found.
func TestExplainCheck(t *testing.T) {
	c := need(t)
	quick := []string{"explain", "-n", namespace, "--check", "--severity", "critical", "--interval", "2s"}
	c.Cosanet(t, 3, append(quick, "full-queue")...)
	well := c.Cosanet(t, 0, append(quick, "quiet-1")...)
	if !strings.HasPrefix(well.Stdout, "Nothing found: ") || !strings.Contains(well.Stdout, "on 1 pod and 1 node over 2s") {
		t.Errorf("of a pod that is well: %s", well.Stdout)
	}
	c.Cosanet(t, 1, append(quick, "nosuch")...)
	restricted := c.Cosanet(t, 3, append(quick, "full-queue", "--profile", "restricted")...)
	if !strings.Contains(restricted.Stderr, "not checked, since it could not be read, of") || !strings.Contains(restricted.Stderr, "accept-queue-full") {
		t.Errorf("what the profile cannot read is not said: %s", restricted.Stderr)
	}
	c.WantNothingLeft(t)
}
