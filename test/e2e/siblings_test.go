package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// four are the replicas of one workload.
const four = `
apiVersion: v1
kind: Namespace
metadata: {name: siblings}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: siblings}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: server, image: "cosanet-demo:dev", imagePullPolicy: Never, args: [http-server, ":8080"]}]
`

// TestOddOneOut has one of four replicas connect to a port where nobody listens, and wants it named, with the reason: in
// the row of its workload, by explain, and by what sets it apart from the median of the others.
func TestOddOneOut(t *testing.T) {
	c := need(t)
	ended := make(chan struct{})
	c.Apply(t, four)
	t.Cleanup(func() { <-ended }) // with the pod, which is deleted before
	t.Cleanup(func() { c.Must(t, "delete", "namespace", "siblings", "--wait") })
	c.Must(t, "-n", "siblings", "rollout", "status", "deployment/web", "--timeout=120s")
	odd := c.Pods(t, "app=web", "siblings")[0]
	go func() {
		defer close(ended)
		c.refuse(odd)
	}()
	c.untilRefused(t, odd)

	var list struct {
		Items []struct {
			Kind, GroupBy string
			Metadata      struct{ Name, Namespace string }
			Pods, Counted int
			Odd           []struct{ Pod, Column string }
		}
	}
	r := c.Cosanet(t, 0, "top", "-n", "siblings", "--group-by", "workload", "--interval", "3s", "-o", "json")
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 1 || list.Items[0].Metadata.Name != "deployment/web" || list.Items[0].Pods != 4 || list.Items[0].Counted != 4 {
		t.Fatalf("%s\nwant one group, of the 4 pods of deployment/web", r.Stdout)
	}
	columns := map[string]string{}
	for _, o := range list.Items[0].Odd {
		columns[o.Column] = o.Pod
	}
	if diff := cmp.Diff(map[string]string{"FAILS": odd.Name, "RST": odd.Name}, columns); diff != "" {
		t.Errorf("odd by column (-want +got):\n%s", diff)
	}
	table := c.Cosanet(t, 0, "top", "-n", "siblings", "--group-by", "workload", "--interval", "3s").Stdout
	if !strings.Contains(table, "! "+odd.Name+": ") || !strings.Contains(table, "the other 3 have 0") {
		t.Errorf("the table does not name the pod:\n%s", table)
	}

	found := false
	for _, item := range c.explain(t, 0, "-n", "siblings").Items {
		if item.ID == "odd-one-out" {
			found = item.Metadata.Name == odd.Name && strings.Contains(strings.Join(item.Evidence, "\n"), "FAILS/s ")
			if !found {
				t.Errorf("%+v is odd", item)
			}
		}
	}
	if !found {
		t.Error("explain does not name the pod")
	}

	diff := c.Cosanet(t, 1, "diff", "-n", "siblings", odd.Name, "--siblings", "--interval", "3s")
	if !strings.HasPrefix(diff.Stdout, "A: the median of the other 3 pods of siblings/deployment/web\nB: siblings/"+odd.Name+" on ") || !strings.Contains(diff.Stdout, "Tcp_AttemptFails/s ") {
		t.Errorf("diff --siblings:\n%s", diff.Stdout)
	}
	alone := c.Cosanet(t, 2, "diff", "-n", namespace, "full-queue", "--siblings")
	if !strings.Contains(alone.Stderr, "no controller made e2e/full-queue, so that it has no siblings; at least 1 is needed") {
		t.Errorf("of a pod without siblings: %s", alone.Stderr)
	}
	c.WantNothingLeft(t)
}

// refuse has a pod connect to a closed port, again and again until it ends or two minutes have passed.
func (c *cluster) refuse(pod corev1.Pod) {
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	const script = `pid=$(grep -ls "$1" /proc/[0-9]*/cgroup | head -1 | cut -d/ -f3)
exec nsenter -t "$pid" -n timeout 120 bash -c 'while [ -e /proc/$0 ]; do (exec 3<>/dev/tcp/127.0.0.1/9) 2>/dev/null; done' "$pid"`
	c.Control("exec", pod.Spec.NodeName, "--", "bash", "-c", script, "bash", id)
}

// untilRefused waits until the kernel has counted the first hundred connections of a pod that failed.
func (c *cluster) untilRefused(t *testing.T, pod corev1.Pod) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		tcp := strings.Fields(c.InPod(t, pod, "sh", "-c", "grep ^Tcp: /proc/self/net/snmp | tail -1"))
		if len(tcp) > 7 && len(tcp[7]) > 2 { // AttemptFails
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no connection of the pod fails: %v", tcp)
		}
	}
}

// TestDemoFindings wants explain to name the two pods of the demo that are in trouble, with the port and its depth, and nothing
// else of the demo and the whole cluster.
func TestDemoFindings(t *testing.T) {
	c := need(t)
	c.shell(t, "../../test/demo/deploy.sh")
	var got []string
	for _, item := range c.explain(t, 0, "-A").Items {
		if item.Metadata.Namespace == namespace {
			continue // this suite's own pods, some of which are in trouble, too
		}
		got = append(got, item.ID+" "+item.Object+" "+item.Metadata.Namespace+"/"+item.Metadata.Name)
		if item.ID == "listen-overflows" && !strings.Contains(strings.Join(item.Evidence, "\n"), ": 1 wait to be accepted, with room for 0") {
			t.Errorf("the full queue is shown as %q", item.Evidence)
		}
	}
	slices.Sort(got) // both are critical: which is further above its level is chance
	if diff := cmp.Diff([]string{"listen-overflows Pod demo/cart-2", "odd-one-out Pod demo/cart-2", "udp-receive-buffer-errors Pod demo/udp-slow"}, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
