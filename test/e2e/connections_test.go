package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// heldBy is how many connections the pods of `clients` hold to their Service.
var heldBy = map[string]int{"filler": 60, "modest": 5}

const clients = `
apiVersion: v1
kind: Namespace
metadata: {name: connections}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: connections, labels: {app: server}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-1}
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "cosanet-demo:dev", imagePullPolicy: Never, args: [http-server, ":8080"]}]
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: connections}
spec:
  selector: {app: server}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: filler, namespace: connections}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "cosanet-demo:dev", imagePullPolicy: Never, args: [idle]}]
---
apiVersion: v1
kind: Pod
metadata: {name: modest, namespace: connections}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: "cosanet-demo:dev", imagePullPolicy: Never, args: [idle]}]
`

// TestConnectionsOfPods has two pods hold connections to a Service, and wants of them what ss says inside, and conntrack on
// their node.
func TestConnectionsOfPods(t *testing.T) {
	c := need(t)
	c.Must(t, "delete", "namespace", "demo", "--ignore-not-found", "--wait") // of which a client makes many connections, too
	c.Apply(t, clients)
	var ended []chan struct{}
	t.Cleanup(func() { // after the pods, which end what holds them
		for _, done := range ended {
			<-done
		}
	})
	t.Cleanup(func() { c.Must(t, "delete", "namespace", "connections", "--wait") })
	c.Must(t, "-n", "connections", "wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s")
	service := c.Must(t, "-n", "connections", "get", "service", "server", "-o", "jsonpath={.spec.clusterIP}")
	c.translate(t, "node-2", service, c.Pod(t, "connections", "server").Status.PodIP)
	for name, n := range heldBy {
		pod, done := c.Pod(t, "connections", name), make(chan struct{})
		ended = append(ended, done)
		go func() {
			defer close(done)
			c.hold(pod, service, n)
		}()
	}
	for name, n := range heldBy {
		embedded.Eventually(t, fmt.Sprintf("%s holds %d connections, all of which were sent again and answered", name, n), func() error {
			held := c.tcpInfo(t, c.Pod(t, "connections", name))
			if held.connections != n || held.retransmitted < n || held.unacked > 0 {
				return fmt.Errorf("it has %+v", held)
			}
			return nil
		})
	}
	t.Run("tcp", c.testTCPOfPods)
	t.Run("conntrack owners", c.testConntrackOwners)
	c.WantNothingLeft(t)
}

// translate does on a node what kube-proxy does there, which is not of this cluster: it leads a Service to its pod. By that
// the node tracks connections.
func (c *cluster) translate(t *testing.T, node, service, pod string) {
	t.Helper()
	rule := []string{"PREROUTING", "-d", service, "-p", "tcp", "--dport", "80", "-j", "DNAT", "--to-destination", pod + ":8080"}
	c.Exec(t, node, append([]string{"iptables", "-w", "-t", "nat", "-A"}, rule...)...)
	t.Cleanup(func() {
		c.Exec(t, node, append([]string{"iptables", "-w", "-t", "nat", "-D"}, rule...)...)
		c.Exec(t, node, "iptables", "-w", "-t", "nat", "-X", "PREROUTING") // with its hook the node tracks, as others do not expect
		c.Exec(t, node, "conntrack", "-F")
	})
}

// hold has a pod hold n connections, until it ends or two minutes have passed. Each of them asks twice, and for a moment the
// second time nothing comes back. (What a rule drops on the way out of a pod, TCP does not count as sent.)
func (c *cluster) hold(pod corev1.Pod, service string, n int) {
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	const script = `pid=$(grep -ls "$1" /proc/[0-9]*/cgroup | head -1 | cut -d/ -f3)
exec nsenter -t "$pid" -n timeout 120 bash -c '
ask() { printf "GET / HTTP/1.1\r\nHost: demo\r\n\r\n" >&"$1"; }
lose() { iptables -w "$1" INPUT -p tcp --sport 80 -j DROP; }
for i in $(seq "$2"); do exec {c}<>/dev/tcp/"$1"/80; ask "$c"; held+=("$c"); done
sleep 1
lose -A
for c in "${held[@]}"; do ask "$c"; done
sleep 0.5
lose -D
while [ -e /proc/"$3" ]; do sleep 0.2; done' bash "$2" "$3" "$pid"`
	c.Control("exec", pod.Spec.NodeName, "--", "bash", "-c", script, "bash", id, service, strconv.Itoa(n))
}

// tcpInfo is what ss says of a pod's established connections.
type tcpInfo struct{ connections, sent, retransmitted, unacked int }

func (c *cluster) tcpInfo(t *testing.T, pod corev1.Pod) (sum tcpInfo) {
	t.Helper()
	text := c.InPod(t, pod, "ss", "-Htin", "state", "established")
	of := func(pattern string) (n int) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			v, err := strconv.Atoi(match[1])
			if err != nil {
				t.Fatal(err)
			}
			n += v
		}
		return n
	}
	sum.connections = len(regexp.MustCompile(`(?m)^\d`).FindAllString(text, -1)) // what is of one is indented below it
	sum.sent, sum.retransmitted, sum.unacked = of(` segs_out:(\d+)`), of(` retrans:\d+/(\d+)`), of(` unacked:(\d+)`)
	return sum
}

// netStats are the parts of top's JSON that the tests look at.
type netStats struct {
	Items []struct {
		Metadata struct{ Name, Namespace string }
		Columns  map[string]float64
		Metrics  map[string]struct{ Value float64 }
	}
}

func (c *cluster) netStats(t *testing.T, args ...string) (list netStats) {
	t.Helper()
	r := c.Cosanet(t, 0, append([]string{"top", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.Stdout), &list); err != nil {
		t.Fatalf("%v\n%s%s", err, r.Stdout, r.Stderr)
	}
	return list
}

// testTCPOfPods wants round trip times of as many connections as ss knows, and what was sent and sent again as it sums up.
func (c *cluster) testTCPOfPods(t *testing.T) {
	before := map[string]tcpInfo{}
	for name := range heldBy {
		before[name] = c.tcpInfo(t, c.Pod(t, "connections", name))
	}
	list := c.netStats(t, "-n", "connections", "--tcp")
	seen := 0
	for _, item := range list.Items {
		name := item.Metadata.Name
		n, ok := heldBy[name]
		if !ok {
			continue
		}
		seen++
		after := c.tcpInfo(t, c.Pod(t, "connections", name))
		if got := item.Metrics["tcp_rtt_seconds_count"].Value; got != float64(n) {
			t.Errorf("%s: round trip times of %g connections, want %d", name, got, n)
		}
		if got := item.Metrics["tcp_retransmitted_segments"].Value; got != float64(after.retransmitted) {
			t.Errorf("%s: %g segments were sent again, ss says %d", name, got, after.retransmitted)
		}
		if got := item.Metrics["tcp_sent_segments"].Value; got < float64(before[name].sent) || got > float64(after.sent) {
			t.Errorf("%s: %g segments sent, ss says %d before and %d after", name, got, before[name].sent, after.sent)
		}
		if got := item.Metrics["ports_used"].Value; got != float64(n) {
			t.Errorf("%s: %g local ports are taken, want %d", name, got, n)
		}
		rtt, has := item.Columns["rttMilliseconds"]
		if rtt99 := item.Columns["rtt99Milliseconds"]; !has || rtt <= 0 || rtt99 < rtt {
			t.Errorf("%s: columns %v, want round trip times", name, item.Columns)
		}
	}
	if seen != len(heldBy) {
		t.Fatalf("%d of the %d pods are among %d", seen, len(heldBy), len(list.Items))
	}
	table := c.Cosanet(t, 0, "top", "-n", "connections", "--tcp", "--columns", "EST,RTT,RTT99,CONNRETR%,UNACKED,PORTS%").Stdout
	row := regexp.MustCompile(`(?m)^filler +60 +(<0\.1|[\d.]+)ms +(<0\.1|[\d.]+)ms +[\d.]+% +0 +0\.2%$`)
	if !row.MatchString(table) {
		t.Errorf("the table has no row of the form of %s:\n%s", row, table)
	}
}

// testConntrackOwners wants the pod that fills its node's table in the first row, with as many entries as conntrack on the
// node says: those of the Service, which NAT led elsewhere.
func (c *cluster) testConntrackOwners(t *testing.T) {
	list := c.netStats(t, "-A", "--node", "node-2", "--sort-by", "conntrack")
	if len(list.Items) < 3 {
		t.Fatalf("%d rows: %+v", len(list.Items), list)
	}
	for name, n := range heldBy {
		ip := c.Pod(t, "connections", name).Status.PodIP
		translated := strings.Count(c.Exec(t, "node-2", "conntrack", "-L", "--dst-nat", "--orig-src", ip), "\n")
		all := strings.Count(c.Exec(t, "node-2", "conntrack", "-L", "--orig-src", ip), "\n")
		if translated != n || all != n {
			t.Fatalf("conntrack on the node has %d entries of %s, %d of them with NAT; want %d", all, name, translated, n)
		}
	}
	first := list.Items[0]
	if first.Metadata.Namespace != "connections" || first.Metadata.Name != "filler" {
		t.Errorf("the first row is %s/%s: %v, want that of connections/filler", first.Metadata.Namespace, first.Metadata.Name, first.Columns)
	}
	got := map[string]float64{}
	for _, item := range list.Items {
		if _, ok := heldBy[item.Metadata.Name]; ok {
			got[item.Metadata.Name] = item.Columns["hostConntrack"]
		}
	}
	for name, n := range heldBy {
		if got[name] != float64(n) {
			t.Errorf("%s: %g entries, conntrack on the node has %d", name, got[name], n)
		}
	}
	table := strings.Split(c.Cosanet(t, 0, "top", "-A", "--node", "node-2", "--conntrack-owners", "--sort-by", "conntrack", "--columns", "EST,HOSTCT,HOSTCTOUT,HOSTCTIN").Stdout, "\n")
	want := []string{"NAMESPACE POD EST HOSTCT HOSTCTOUT HOSTCTIN", "connections filler 60 60(<0.1%) 60 0"}
	for i := range want {
		if got := strings.Join(strings.Fields(table[i]), " "); got != want[i] {
			t.Errorf("line %d of the table is %q, want %q", i+1, got, want[i])
		}
	}
}
