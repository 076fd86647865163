// Package runtimes looks at the same pods by three container runtimes: on an embedded Kubernetes of its own, whose node-1 has the
// containerd of the distribution, node-2 containerd 2, and node-3 CRI-O, whose pods have no pause process.
package runtimes

import (
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// namespace is where the pods are that are looked at, one on each node.
const namespace = "runtimes"

// cluster is the embedded Kubernetes with several container runtimes.
type cluster struct {
	embedded.Cluster
	runtimes map[string]string // by node: containerd://1.6.20
}

// nodes are those of the cluster, and what their runtimes call themselves.
var nodes = []struct{ name, runtime string }{{"node-1", "containerd://"}, {"node-2", "containerd://2."}, {"node-3", "cri-o://1."}}

// need returns the running cluster with its pods on it. A laptop without one skips; CI must have one.
func need(t *testing.T) *cluster {
	t.Helper()
	connected, err := embedded.Connect("runtimes")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (bin/cluster up --name runtimes --runtime containerd-2 --runtime cri-o brings it up)", err)
	}
	c := &cluster{Cluster: *connected, runtimes: map[string]string{}}
	c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q}}`, namespace))
	for _, node := range nodes {
		c.runtimes[node.name] = c.Must(t, "get", "node", node.name, "-o", "jsonpath={.status.nodeInfo.containerRuntimeVersion}")
		if !strings.HasPrefix(strings.Replace(c.runtimes[node.name], "://v", "://", 1), node.runtime) {
			t.Fatalf("%s has %s, want %s", node.name, c.runtimes[node.name], node.runtime)
		}
		c.apply(t, "on-"+node.name, node.name, "")
	}
	c.Must(t, "-n", namespace, "wait", "pod", "on-node-1", "on-node-2", "on-node-3", "--for=condition=Ready", "--timeout=120s")
	return c
}

// apply makes a pod on a node that does nothing; more is what its spec has besides.
func (c *cluster) apply(t *testing.T, name, node, more string) {
	t.Helper()
	c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": %q, "namespace": %q}, "spec": {%s
		"nodeSelector": {"kubernetes.io/hostname": %q}, "terminationGracePeriodSeconds": 0,
		"containers": [{"name": "c", "image": "docker.io/library/cosanet-demo:dev", "imagePullPolicy": "Never", "args": ["idle"]}]}}`, name, namespace, more, node))
}

// A collector gives the same of a pod whichever runtime its node has: name, UID, namespace, and every counter as the kernel has
// it inside. Each pod gets datagrams for a port that nobody has open, a number that nobody else gets.
func TestRuntimes(t *testing.T) {
	c := need(t)
	for i, node := range nodes {
		t.Run(node.name+", "+c.runtimes[node.name], func(t *testing.T) {
			c.countsAsInside(t, c.Pod(t, namespace, "on-"+node.name), 7+4*i)
		})
	}
	for _, node := range nodes[1:] {
		t.Run("user namespace, "+c.runtimes[node.name], func(t *testing.T) { c.userNamespace(t, node.name) })
	}
}

// countsAsInside wants of a pod what the kernel has inside.
func (c *cluster) countsAsInside(t *testing.T, pod corev1.Pod, datagrams int) {
	t.Helper()
	node := pod.Spec.NodeName
	before := c.noPorts(t, node, pod.Name)
	c.InPod(t, pod, "bash", "-c", fmt.Sprintf("for i in $(seq %d); do echo >/dev/udp/127.0.0.1/9; done 2>/dev/null; true", datagrams))
	records := recordsOf(c.snapshot(t, node), pod.Name)
	if len(records) != 1 {
		t.Fatalf("%d records of %s, want one", len(records), pod.Name)
	}
	box := records[0].Sandbox
	if box.UID != string(pod.UID) || box.Namespace != namespace || box.HostNetwork || box.Unsupported {
		t.Errorf("it is %+v, want UID %s", box, pod.UID)
	}
	if failed := records[0].FailedSources(); len(failed) > 0 {
		t.Errorf("%v could not be read", failed)
	}
	inode := strings.Trim(strings.TrimSpace(c.InPod(t, pod, "readlink", "/proc/self/ns/net")), "net:[]")
	if fmt.Sprint(box.Inode) != inode {
		t.Errorf("its network namespace is %v, and the kernel says %s", box.Inode, inode)
	}
	if counted := valueOf(records, "cosanet_proc_net_snmp_Udp_NoPorts") - before; counted != float64(datagrams) {
		t.Errorf("%v datagrams were counted, want %d", counted, datagrams)
	}
	inside := strings.Fields(c.InPod(t, pod, "grep", "^Tcp:", "/proc/net/snmp"))
	for i, name := range []string{"RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "ActiveOpens", "PassiveOpens", "AttemptFails"} {
		values := inside[len(inside)/2:]
		if got := valueOf(records, "cosanet_proc_net_snmp_Tcp_"+name); fmt.Sprint(got) != values[i+1] {
			t.Errorf("%s is %v, and %s inside", name, got, values[i+1])
		}
	}
}

// userNamespace makes a pod with a user namespace of its own, and wants it counted like any other.
func (c *cluster) userNamespace(t *testing.T, node string) {
	if most, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err != nil || strings.TrimSpace(string(most)) == "0" {
		t.Skipf("this machine has no user namespaces: max_user_namespaces is %q, %v", most, err)
	}
	const name = "own-users"
	c.Must(t, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--timeout=60s")
	t.Cleanup(func() { c.Must(t, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait=false") })
	c.apply(t, name, node, `"hostUsers": false,`)
	embedded.Eventually(t, "the pod with a user namespace runs", func() error {
		if phase := c.Pod(t, namespace, name).Status.Phase; phase != "Running" {
			return fmt.Errorf("it is %s: %s", phase, c.Must(t, "-n", namespace, "get", "events", "--field-selector",
				"type=Warning,involvedObject.name="+name, "-o", `jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}`))
		}
		return nil
	})
	c.countsAsInside(t, c.Pod(t, namespace, name), 5)
}

// snapshot is what the collector says of a node, in one sample. CRI-O gives a privileged pod every capability there is, which a machine
// refuses that has not all of them itself; so it is none.
func (c *cluster) snapshot(t *testing.T, node string) *metrics.Snapshot {
	t.Helper()
	text := c.Cosanet(t, 0, "raw", "--node", node, "-A", "--metrics", "all", "--profile", "netadmin").Stdout
	if !strings.Contains(text, `,source="cri",reason=""} 1`) {
		t.Errorf("the runtime of %s did not answer the collector:\n%s", node, lineOf(text, `source="cri"`))
	}
	snapshot, err := metrics.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// lineOf is the first line of a text with a part in it.
func lineOf(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

func recordsOf(s *metrics.Snapshot, pod string) (of []metrics.Record) {
	for _, r := range s.Records {
		if r.Sandbox.Pod == pod {
			of = append(of, r)
		}
	}
	return of
}

func (c *cluster) noPorts(t *testing.T, node, pod string) float64 {
	t.Helper()
	return valueOf(recordsOf(c.snapshot(t, node), pod), "cosanet_proc_net_snmp_Udp_NoPorts")
}

// valueOf is a pod's value of a family without labels, -2 where there is none.
func valueOf(records []metrics.Record, family string) float64 {
	for i := range records {
		if v, ok := records[i].Value(family); ok {
			return v
		}
	}
	return -2
}
