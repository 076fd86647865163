// Package runtimes looks at the same pods by two container runtimes: on an embedded Kubernetes of its own, whose node-1 has the
// containerd of the distribution and whose node-2 has containerd 2.
package runtimes

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// namespace is where the pods are that are looked at, one on each node.
const namespace = "faults"

// cluster is the embedded Kubernetes with two container runtimes.
type cluster struct {
	embedded.Cluster
	runtimes map[string]string // by node: containerd://1.6.20
}

// need returns the running cluster with its pods on it. A laptop without one skips; CI must have one.
func need(t *testing.T) *cluster {
	t.Helper()
	connected, err := embedded.Connect("runtimes")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (bin/cluster up --name runtimes --second-runtime brings it up)", err)
	}
	c := &cluster{Cluster: *connected, runtimes: map[string]string{}}
	c.Must(t, "apply", "-f", "../faults/testdata/pods.yaml")
	c.Must(t, "-n", namespace, "wait", "pod", "quiet-1", "quiet-2", "--for=condition=Ready", "--timeout=120s")
	for line := range strings.Lines(c.Must(t, "get", "nodes", "node-1", "node-2", "-o", `jsonpath={range .items[*]}{.metadata.name} {.status.nodeInfo.containerRuntimeVersion}{"\n"}{end}`)) {
		node, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		c.runtimes[node] = version
	}
	if !strings.HasPrefix(strings.Replace(c.runtimes["node-2"], "://v", "://", 1), "containerd://2.") {
		t.Fatalf("node-2 has no containerd 2: %v", c.runtimes)
	}
	return c
}

// A collector gives the same of a pod whichever runtime its node has: name, UID, namespace, and every counter as the kernel has
// it inside. Each pod gets datagrams for a port that nobody has open, a number that nobody else gets.
func TestSecondRuntime(t *testing.T) {
	c := need(t)
	of := c.runtimes
	for node, datagrams := range map[string]int{"node-1": 7, "node-2": 11} {
		t.Run(node+", "+of[node], func(t *testing.T) {
			pod := c.Pod(t, namespace, strings.Replace(node, "node", "quiet", 1))
			before := c.noPorts(t, node, pod.Name)
			c.InPod(t, pod, "bash", "-c", fmt.Sprintf("for i in $(seq %d); do echo >/dev/udp/127.0.0.1/9; done 2>/dev/null; true", datagrams))
			snapshot := c.snapshot(t, node)
			records := recordsOf(snapshot, pod.Name)
			if len(records) != 1 {
				t.Fatalf("%d records of %s, want one", len(records), pod.Name)
			}
			box := records[0].Sandbox
			if box.UID != string(pod.UID) || box.Namespace != namespace {
				t.Errorf("it is %s/%s with UID %s, want UID %s", box.Namespace, box.Pod, box.UID, pod.UID)
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
		})
	}
	t.Run("user namespace", func(t *testing.T) { c.userNamespace(t, of["node-2"]) })
}

// userNamespace makes a pod with a user namespace of its own, where kernel, containerd and runc allow it, and wants it counted like any
// other; else it says why there is none.
func (c *cluster) userNamespace(t *testing.T, runtime string) {
	const name = "own-users"
	c.Must(t, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--timeout=60s")
	t.Cleanup(func() { c.Must(t, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--wait=false") })
	c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": %q, "namespace": %q}, "spec": {"hostUsers": false,
		"nodeSelector": {"kubernetes.io/hostname": "node-2"}, "terminationGracePeriodSeconds": 0,
		"containers": [{"name": "c", "image": "cosanet-demo:dev", "imagePullPolicy": "Never", "args": ["idle"]}]}}`, name, namespace))
	refused := ""
	embedded.Eventually(t, "the pod with a user namespace runs, or is refused", func() error {
		if c.Pod(t, namespace, name).Status.Phase == "Running" {
			return nil
		}
		refused = c.Must(t, "-n", namespace, "get", "events", "--field-selector", "type=Warning,involvedObject.name="+name, "-o", `jsonpath={range .items[*]}{.reason}: {.message}{"\n"}{end}`)
		if refused == "" {
			return errors.New("neither")
		}
		return nil
	})
	if c.Pod(t, namespace, name).Status.Phase != "Running" {
		t.Logf("no pod with a user namespace on %s: %s", runtime, refused)
		return
	}
	records := recordsOf(c.snapshot(t, "node-2"), name)
	if len(records) != 1 || len(records[0].Samples) < 20 || len(records[0].FailedSources()) > 0 {
		t.Errorf("of the pod with a user namespace: %+v", records)
	}
	t.Logf("a pod with a user namespace is counted on %s", runtime)
}

// snapshot is what the collector says of a node, in one sample.
func (c *cluster) snapshot(t *testing.T, node string) *metrics.Snapshot {
	t.Helper()
	text := c.Cosanet(t, 0, "raw", "--node", node, "-A", "--metrics", "all").Stdout
	snapshot, err := metrics.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
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
