package e2e

import (
	"bufio"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// raw is what `kubectl cosanet raw ARGS` says, decoded.
func (c *cluster) raw(t testing.TB, args ...string) *metrics.Snapshot {
	t.Helper()
	s, err := metrics.Parse(strings.NewReader(c.Cosanet(t, 0, append([]string{"raw"}, args...)...).Stdout))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record finds a pod in a snapshot.
func record(t testing.TB, s *metrics.Snapshot, name string) *metrics.Record {
	t.Helper()
	for i := range s.Records {
		if b := &s.Records[i].Sandbox; b.Namespace == namespace && b.Pod == name {
			return &s.Records[i]
		}
	}
	t.Fatalf("no record of %s/%s", namespace, name)
	return nil
}

// nstat is every counter of a pod's namespace, as iproute2 reads it there: TcpExtListenDrops -> 3.
func (c *cluster) nstat(t testing.TB, pod string) map[string]float64 {
	t.Helper()
	counters := map[string]float64{}
	for line := range strings.Lines(c.InPod(t, c.Pod(t, namespace, pod), "nstat", "-asz")) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			t.Fatalf("nstat line %q: %v", line, err)
		}
		counters[fields[0]] = v
	}
	return counters
}

// procCounters are the record's snmp, snmp6 and netstat samples under nstat's names.
func procCounters(r *metrics.Record) map[string]float64 {
	counters := map[string]float64{}
	for _, s := range r.Samples {
		short := s.Metric.Short()
		if strings.HasPrefix(s.Metric.Name, "cosanet_proc_net_snmp") || strings.HasPrefix(s.Metric.Name, "cosanet_proc_net_netstat_") {
			counters[strings.Replace(short, "_", "", 1)] = s.Value
		}
	}
	return counters
}

// Every counter that nstat finds in the namespace is there, and lies between what nstat says before and after.
func TestCountersEqualNstatInTheSamePod(t *testing.T) {
	c := need(t)
	for _, pod := range []string{"quiet-1", "quiet-2", "full-queue"} {
		t.Run(pod, func(t *testing.T) {
			before := c.nstat(t, pod)
			got := procCounters(record(t, c.raw(t, "-n", namespace, pod), pod))
			after := c.nstat(t, pod)
			if len(before) < 300 {
				t.Fatalf("nstat gave only %d counters", len(before))
			}
			for name := range after {
				v, ok := got[name]
				switch {
				case name == "TcpMaxConn": // -1, which nstat shows unsigned
				case !ok:
					t.Errorf("%s is missing", name)
				case v < min(before[name], after[name]) || v > max(before[name], after[name]):
					t.Errorf("%s = %v, not between %v and %v", name, v, before[name], after[name])
				}
			}
		})
	}
}

// Every name of the original exporter that this kernel provides is there, with the original's labels.
func TestOriginalNamesAndLabels(t *testing.T) {
	c := need(t)
	file, err := os.Open("../../pkg/metrics/testdata/cosanet-v1.0.0.names")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	kernel := c.nstat(t, "quiet-1")
	text := c.Cosanet(t, 0, "raw", "-n", namespace, "quiet-1", "full-queue").Stdout
	s, err := metrics.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r := record(t, s, "quiet-1")
	have := map[string]bool{}
	for _, smp := range r.Samples {
		have[smp.Metric.Name] = true
	}
	checked := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name := lines.Text()
		if !strings.HasPrefix(name, "cosanet_proc_net_") && !strings.HasPrefix(name, "cosanet_conntrack_") {
			continue // the list names labels as well
		}
		short := strings.Replace((&metrics.Metric{Name: name}).Short(), "_", "", 1)
		if _, provided := kernel[short]; !provided && strings.Contains((&metrics.Metric{Name: name}).Short(), "_") && name != "cosanet_conntrack_curr" {
			continue // a counter of another kernel
		}
		if name == "cosanet_conntrack_max" {
			continue // the node's: see TestHostRow
		}
		checked++
		if !have[name] {
			t.Errorf("%s is missing", name)
		}
	}
	if checked < 300 {
		t.Errorf("only %d names were checked", checked)
	}
	for _, label := range []string{`cosanet_node="node-1"`, `cosanet_pod="quiet-1"`, `cosanet_namespace="e2e"`, `cosanet_netnsname="cni-`} {
		if !strings.Contains(text, label) {
			t.Errorf("no label %s", label)
		}
	}
	for _, state := range []string{"LISTEN", "ESTABLISHED", "TIME_WAIT"} {
		for _, version := range []string{"ipv4", "ipv6"} {
			if _, ok := r.Value("cosanet_proc_net_tcp", state, version); !ok {
				t.Errorf("no cosanet_proc_net_tcp of %s over %s", state, version)
			}
		}
	}
}

// The host row is the node's own namespace: what nstat says there, and the values that a node has only once.
func TestHostRow(t *testing.T) {
	c := need(t)
	s := c.raw(t, "--node", "node-1")
	var host, self *metrics.Record
	for i := range s.Records {
		switch b := &s.Records[i].Sandbox; {
		case b.Host():
			host = &s.Records[i]
		case b.Self():
			self = &s.Records[i]
		}
	}
	if host == nil || self == nil {
		t.Fatal("no host row, or nothing about the collector itself")
	}
	for _, name := range []string{"cosanet_conntrack_max", "cosanet_softnet_processed_total", "cosanet_sockstat_tcp_orphan", "cosanet_proc_net_snmp_Tcp_OutSegs"} {
		if v, ok := host.Value(name); !ok || v < 0 {
			t.Errorf("host %s = %v, %v", name, v, ok)
		}
	}
	if segs, _ := host.Value("cosanet_proc_net_snmp_Tcp_OutSegs"); segs == 0 {
		t.Error("the node talks to the apiserver, yet its row has no TCP segment: not the node's namespace")
	}
	if _, ok := self.Value("cosanet_walk_timestamp_seconds"); !ok {
		t.Error("the walk has no time")
	}
	for i := range s.Records {
		if b := &s.Records[i].Sandbox; !b.Host() && !b.Self() {
			if _, ok := s.Records[i].Value("cosanet_conntrack_max"); ok {
				t.Errorf("%s/%s has conntrack_max, which is the node's", b.Namespace, b.Pod)
			}
		}
	}
}

// A pod of the node's network has an identity and no counters of its own: they would be the host's once more.
func TestHostNetworkPodIsNotCountedTwice(t *testing.T) {
	c := need(t)
	r := record(t, c.raw(t, "-n", namespace, "host"), "host")
	if !r.Sandbox.HostNetwork {
		t.Error("not marked as of the host's network")
	}
	for _, s := range r.Samples {
		if s.Metric.Name != "cosanet_sandbox_info" {
			t.Errorf("%s of a pod in the host's network", s.Metric.Name)
		}
	}
}

// The controller is told from what the kubelet gives the runtime; the API server knows the truth.
func TestControllersEqualOwnerReferences(t *testing.T) {
	c := need(t)
	s := c.raw(t, "-n", namespace)
	want := map[string]string{"web": "Deployment/web", "agent": "DaemonSet/agent", "store": "StatefulSet/store", "once": "Job/once", "quiet": "/"}
	seen := map[string]int{}
	for i := range s.Records {
		b := &s.Records[i].Sandbox
		app, _, _ := strings.Cut(b.Pod, "-")
		if want[app] == "" || b.Namespace != namespace {
			continue
		}
		seen[app]++
		if got := b.ControllerKind + "/" + b.ControllerName; got != want[app] {
			t.Errorf("%s belongs to %s, want %s", b.Pod, got, want[app])
		}
		if owner := c.topOwner(t, b.Pod); owner != want[app] {
			t.Errorf("%s: the API server says %s, the test wants %s", b.Pod, owner, want[app])
		}
	}
	if missing := slices.DeleteFunc(slices.Sorted(maps.Keys(want)), func(app string) bool { return seen[app] > 0 }); len(missing) > 0 {
		t.Errorf("no pod of %v was seen", missing)
	}
}

// topOwner follows ownerReferences up to the controller that people know.
func (c *cluster) topOwner(t testing.TB, pod string) string {
	t.Helper()
	owner := c.Must(t, "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}")
	if name, ok := strings.CutPrefix(owner, "ReplicaSet/"); ok {
		owner = c.Must(t, "-n", namespace, "get", "replicaset", name, "-o", "jsonpath={.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}")
	}
	return owner
}
