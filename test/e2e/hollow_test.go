package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// hollowNodes selects the nodes and pods that test/hollow makes.
const hollowNodes = "cosanet.io/hollow=true"

// TestHollow makes fifty nodes without a machine, looks at them as at any other, and takes them away again. Others rest on
// what it shows: that a hollow node answers as a real one does, and fails as it was told to.
func TestHollow(t *testing.T) {
	c := reach(t)
	if n := len(c.hollow(t)); n > 0 {
		t.Fatalf("there are %d hollow nodes: bin/cluster hollow 0 takes them away", n)
	}
	t.Cleanup(func() {
		c.hollowCommand(t, "0")
		c.testNothingHollowLeft(t)
	})
	const troubled = "ImagePullBackOff=2%,NotReady=2%,LogCut=2%,Unreachable=2%"
	c.hollowCommand(t, "50", "--pods", "6", "--delay", "100ms-300ms", "--fail", troubled)
	nodes := c.hollow(t)
	if len(nodes) != 50 {
		t.Fatalf("%d hollow nodes, want 50", len(nodes))
	}
	t.Run("nodes", func(t *testing.T) { c.testHollowNodes(t) })
	well := c.wellHollowNode(t)
	t.Run("logs", func(t *testing.T) { c.testHollowLogs(t, well) })
	t.Run("top", func(t *testing.T) { c.testHollowTop(t, well) })
	t.Run("rates", func(t *testing.T) { c.testHollowRates(t, well) })
	t.Run("watch", func(t *testing.T) { c.testHollowWatch(t, well) })
	t.Run("deletion", func(t *testing.T) { c.testHollowDeletion(t, well) })
	t.Run("troubles", c.testHollowTroubles)
	t.Run("again", func(t *testing.T) {
		c.hollowCommand(t, "50", "--pods", "6")
		if n := len(c.Pods(t, hollowNodes)); n != 300 {
			t.Errorf("a second start made it %d pods, want the 300 that there were", n)
		}
	})
	t.Run("image-prepull", c.testHollowPrepull)
	t.Run("interrupt", c.testHollowInterrupt)
	t.Run("exporter", c.testHollowExporter)
}

// hollowCommand runs `cluster hollow`.
func (c *cluster) hollowCommand(t *testing.T, args ...string) {
	t.Helper()
	if r := c.Control(append([]string{"hollow"}, args...)...); r.Code != 0 {
		t.Fatalf("cluster hollow %s: exit code %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
}

func (c *cluster) hollow(t *testing.T) []corev1.Node {
	t.Helper()
	var list corev1.NodeList
	if err := json.Unmarshal([]byte(c.Must(t, "get", "nodes", "-l", hollowNodes, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func isReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// All but the one that was told not to are Ready, each has its pods, and each pod's workload is known.
func (c *cluster) testHollowNodes(t *testing.T) {
	embedded.Eventually(t, "49 of 50 nodes are Ready", func() error {
		ready := 0
		nodes := c.hollow(t)
		for i := range nodes {
			if isReady(&nodes[i]) {
				ready++
			}
		}
		if ready != 49 {
			return fmt.Errorf("%d are", ready)
		}
		return nil
	})
	byNode := map[string]int{}
	for _, pod := range c.Pods(t, hollowNodes) {
		byNode[pod.Spec.NodeName]++
		if pod.Status.Phase != corev1.PodRunning || len(pod.OwnerReferences) != 1 || pod.OwnerReferences[0].Kind != "ReplicaSet" {
			t.Errorf("pod %s/%s is %s, owned by %v", pod.Namespace, pod.Name, pod.Status.Phase, pod.OwnerReferences)
		}
	}
	for i := range 50 {
		if name := fmt.Sprintf("hollow-%04d", i+1); byNode[name] != 6 {
			t.Errorf("%s has %d pods, want 6", name, byNode[name])
		}
	}
}

// wellHollowNode is a node that answers.
func (c *cluster) wellHollowNode(t *testing.T) string {
	t.Helper()
	for _, node := range c.hollow(t) {
		r := c.Run("cosanet", "top", "--node", node.Name, "--interval", "0")
		if r.Code == 0 {
			return node.Name
		}
	}
	t.Fatal("no hollow node answers")
	return ""
}

func (c *cluster) testHollowLogs(t *testing.T, node string) {
	pod := c.podsOn(t, node)[0]
	if got := c.Must(t, "logs", "-n", pod.Namespace, pod.Name); got != "hollow: nothing runs here\n" {
		t.Errorf("its log is %q", got)
	}
}

// podsOn are the node's own pods.
func (c *cluster) podsOn(t *testing.T, node string) (pods []corev1.Pod) {
	t.Helper()
	for _, pod := range c.Pods(t, hollowNodes) {
		if pod.Spec.NodeName == node {
			pods = append(pods, pod)
		}
	}
	return pods
}

// top has a row for each pod that the API server knows on the node, found by its UID, and the node's own.
func (c *cluster) testHollowTop(t *testing.T, node string) {
	r := c.Cosanet(t, 0, "top", "--node", node, "-A", "--interval", "200ms")
	if r.Stderr != "" {
		t.Errorf("messages: %s", r.Stderr)
	}
	for _, name := range append([]string{"node/" + node}, podNames(c.podsOn(t, node))...) {
		if !strings.Contains(r.Stdout, name) {
			t.Errorf("no row of %s:\n%s", name, r.Stdout)
		}
	}
	c.WantNothingLeft(t)
}

func podNames(pods []corev1.Pod) (names []string) {
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}

// Two samples are as far apart as was asked, and bytes came in between.
func (c *cluster) testHollowRates(t *testing.T, node string) {
	file := t.TempDir() + "/hollow.prom"
	c.Cosanet(t, 0, "snapshot", "--node", node, "-A", "--interval", "300ms", "-o", file)
	snapshots := readSnapshots(t, file)
	if len(snapshots) != 2 {
		t.Fatalf("%d samples, want 2", len(snapshots))
	}
	if got := snapshots[1].Time.Sub(snapshots[0].Time).Round(time.Millisecond); got != 300*time.Millisecond { // seconds in a float64
		t.Errorf("samples are %s apart, want 300ms", got)
	}
	const counter = "cosanet_proc_net_netstat_IpExt_InOctets"
	grown := 0.0
	for i := range snapshots[1].Records {
		before, _ := snapshots[0].Records[i].Value(counter)
		after, _ := snapshots[1].Records[i].Value(counter)
		grown += after - before
	}
	if grown <= 0 {
		t.Errorf("bytes grew by %g between the samples", grown)
	}
}

func readSnapshots(t *testing.T, file string) (snapshots []*metrics.Snapshot) {
	t.Helper()
	log, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	frames := metrics.NewFrameReader(log, "")
	for {
		frame, err := frames.Next()
		if err != nil {
			return snapshots
		}
		s, err := frame.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		snapshots = append(snapshots, s)
	}
}

// A pod that is deleted goes when its program has ended, by the kubelet's hand: it knows no signal, so its grace is waited for.
func (c *cluster) testHollowDeletion(t *testing.T, node string) {
	const manifest = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"guest","namespace":"hollow-1"},"spec":{"nodeName":"%s","terminationGracePeriodSeconds":2,` +
		`"tolerations":[{"operator":"Exists"}],"containers":[{"name":"c","image":"guest.test/c:1"}]}}`
	create := c.Command("create", "-f", "-")
	create.Stdin = strings.NewReader(fmt.Sprintf(manifest, node))
	if r := embedded.Finish(create); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	c.Must(t, "-n", "hollow-1", "wait", "pod/guest", "--for=condition=Ready", "--timeout=30s")
	if out := c.Cosanet(t, 0, "top", "--node", node, "-A", "--interval", "0").Stdout; !strings.Contains(out, "guest") {
		t.Errorf("a pod that came is not among the node's:\n%s", out)
	}
	c.Must(t, "-n", "hollow-1", "delete", "pod", "guest", "--wait=false")
	if since := c.Must(t, "-n", "hollow-1", "get", "pod", "guest", "-o", "jsonpath={.metadata.deletionTimestamp}"); since == "" {
		t.Error("it is not on its way out")
	}
	c.Must(t, "-n", "hollow-1", "wait", "pod/guest", "--for=delete", "--timeout=30s")
}

// Every trouble that was asked for shows, on one node each, as itself.
func (c *cluster) testHollowTroubles(t *testing.T) {
	r := c.Run(append([]string{"cosanet", "top", "-A", "--interval", "0", "--timeout", "20s", "--max-concurrent-nodes", "50"}, c.nodeFlags(t)...)...)
	if r.Code == 0 {
		t.Error("no trouble at all")
	}
	for trouble, want := range map[string]string{
		"ImagePullBackOff": "ErrImagePull|ImagePullBackOff",
		"NotReady":         "it is NotReady",
		"LogCut":           "did not come whole",
		"Unreachable":      "no route to host|i/o timeout|the kubelet does not answer the API server",
	} {
		found := false
		for word := range strings.SplitSeq(want, "|") {
			found = found || strings.Contains(r.Stderr, word)
		}
		if !found {
			t.Errorf("%s does not show as %s:\n%s", trouble, want, r.Stderr)
		}
	}
	if !strings.Contains(r.Stderr, "4 of 50 nodes failed") {
		t.Errorf("other nodes failed, too:\n%s", r.Stderr)
	}
	c.WantNothingLeft(t)
}

func (c *cluster) nodeFlags(t *testing.T) (flags []string) {
	t.Helper()
	for _, node := range c.hollow(t) {
		flags = append(flags, "--node", node.Name)
	}
	return flags
}

// testNothingHollowLeft wants no node, pod, lease or namespace left behind.
func (c *cluster) testNothingHollowLeft(t *testing.T) {
	t.Helper()
	for _, what := range []string{"nodes", "pods", "replicasets", "leases", "namespaces", "daemonsets"} {
		if out := c.Must(t, "get", what, "-A", "-l", hollowNodes, "-o", "name"); out != "" {
			t.Errorf("left behind: %s", out)
		}
	}
	if out := c.Must(t, "get", "leases", "-n", "kube-node-lease", "-o", "name"); strings.Contains(out, "hollow-") {
		t.Errorf("left behind: %s", out)
	}
}
