package collector

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// startInside starts a pod in the network namespace of another.
func startInside(t *testing.T, host *testPod) *testPod {
	t.Helper()
	p := startPod(t, 0, "nsenter", "-t", fmt.Sprint(host.pid), "-n", "sleep", "infinity")
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if inode(t, p.pid) == inode(t, host.pid) {
			return p
		}
	}
	t.Fatalf("%s does not enter the namespace of %s", p, host)
	return nil
}

func inode(t testing.TB, pid int) uint64 {
	t.Helper()
	p, err := openProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	inode, err := p.netInode()
	if err != nil {
		t.Fatal(err)
	}
	return inode
}

func TestSharedNamespaceOnce(t *testing.T) {
	needsRoot(t, "nsenter")
	first := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	pods := []*testPod{first, startInside(t, first), startInside(t, first)}
	slices.SortFunc(pods, func(a, b *testPod) int { return strings.Compare(a.uid, b.uid) })
	for range 20 { // workers overtake each other in some
		s := Walk(context.Background(), noRuntime(t))
		parsed, err := metrics.Parse(bytes.NewReader(metrics.Append(nil, s)))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range pods { // which the identity in the labels must keep apart
			recordOf(t, parsed, p.uid)
		}
		owner := recordOf(t, s, pods[0].uid)
		wantValue(t, owner, 1, "cosanet_read_success", "snmp")
		if owner.Sandbox.SharedWith != "" || owner.Sandbox.Inode == 0 || owner.Sandbox.NetNS != fmt.Sprintf("net:[%d]", owner.Sandbox.Inode) {
			t.Fatalf("owner %+v", owner.Sandbox)
		}
		for _, p := range pods[1:] {
			r := recordOf(t, s, p.uid)
			if r.Sandbox.SharedWith != pods[0].uid || r.Sandbox.HostNetwork || len(r.Samples) != 1 {
				t.Fatalf("sharer %+v with %d samples; want it shared with %s and nothing but its info", r.Sandbox, len(r.Samples), pods[0].uid)
			}
		}
	}
}

// TestFirstOfSharedNamespaceGone loses the target that had claimed a shared namespace: the counters move to the next.
func TestFirstOfSharedNamespaceGone(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	p, err := openProcess(pod.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	netns, shared := p.netNS(), inode(t, pod.pid)
	read := []metrics.Sample{{Value: 42}}
	for _, test := range []struct {
		name   string
		done   []outcome
		reader int // of those that share
		want   []string
	}{
		{"unread by the others", []outcome{{result: "gone"}, {result: "shared"}, {result: "shared"}}, 0, []string{"gone", "read", "shared"}},
		{"read by the next", []outcome{{result: "gone"}, {result: "read", samples: read}, {result: "shared"}}, 1, []string{"gone", "read", "shared"}},
		{"read by the last", []outcome{{result: "gone"}, {result: "shared"}, {result: "read", samples: read}}, 2, []string{"gone", "read", "shared"}},
		{"read by the last alone", []outcome{{result: "gone"}, {result: "gone"}, {result: "read", samples: read}}, 2, []string{"gone", "gone", "read"}},
		{"each in one of its own", []outcome{{result: "read", samples: read}, {result: "read", samples: read}, {result: "shared"}}, 1, []string{"read", "read", "shared"}},
	} {
		w := NewWalker(noRuntime(t))
		for _, o := range test.done {
			w.targets = append(w.targets, &target{id: pod.id, pid: pod.pid, netns: netns, inode: shared, outcome: o})
		}
		for _, it := range w.targets {
			if it.result == "shared" {
				it.reader = w.targets[test.reader]
			}
		}
		w.shareOnce(context.Background())
		for i, it := range w.targets {
			if it.result != test.want[i] || (it.samples != nil) != (it.result == "read") {
				t.Errorf("%s: target %d is %s with %d samples, want %s", test.name, i, it.result, len(it.samples), test.want[i])
			}
		}
	}
}

func TestHostNetworkIsTheHostRow(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, 0, "sleep", "infinity")
	if inode(t, pod.pid) != inode(t, 1) {
		t.Skip("the test is not in the namespace of pid 1")
	}
	c := noRuntime(t)
	s := Walk(context.Background(), c)
	r := recordOf(t, s, pod.uid)
	if !r.Sandbox.HostNetwork || r.Sandbox.SharedWith != "" || len(r.Samples) != 1 {
		t.Errorf("%+v with %d samples, want host network and nothing but its info", r.Sandbox, len(r.Samples))
	}
	host := &s.Records[0]
	if !host.Sandbox.Host() || host.Sandbox.NetNS != metrics.HostNamespace {
		t.Fatalf("first record %+v, want the host", host.Sandbox)
	}
	for _, source := range []string{"snmp", "snmp6", "netstat", "sockstat", "netdev", "softnet", "sockets"} {
		wantValue(t, host, 1, "cosanet_read_success", source)
	}
	for _, name := range []string{"cosanet_softnet_processed_total", "cosanet_sockstat_tcp_alloc"} {
		if _, ok := host.Value(name); !ok {
			t.Errorf("%s is not on the host row", name)
		}
	}

	c.Host = false
	s = Walk(context.Background(), c)
	if s.Records[0].Sandbox.Host() {
		t.Error("a host row that was not asked for")
	}
	if r := recordOf(t, s, pod.uid); !r.Sandbox.HostNetwork || len(r.Samples) != 1 {
		t.Errorf("%+v with %d samples, want host network all the same", r.Sandbox, len(r.Samples))
	}
}

// TestNodeScope keeps off the rows of pods what the kernel counts once for the machine.
func TestNodeScope(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	for _, s := range recordOf(t, Walk(context.Background(), noRuntime(t)), pod.uid).Samples {
		if s.Metric.Scope == metrics.Node {
			t.Errorf("%s on the row of a pod", s.Metric.Name)
		}
	}
}

// TestSwitchedOff wants nothing of a source that is switched off, not even whether it could be read, and all of the others.
func TestSwitchedOff(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	for name, test := range map[string]struct {
		off     func(c *Config)
		sources []string
		prefix  string
	}{
		"snmp":     {func(c *Config) { c.Snmp = false }, []string{"snmp", "snmp6"}, "cosanet_proc_net_snmp"},
		"netstat":  {func(c *Config) { c.Netstat = false }, []string{"netstat"}, "cosanet_proc_net_netstat_"},
		"sockstat": {func(c *Config) { c.Sockstat = false }, []string{"sockstat", "sockstat6"}, "cosanet_sockstat_"},
		"netdev":   {func(c *Config) { c.Netdev = false }, []string{"netdev"}, "cosanet_netdev_"},
		"sockets":  {func(c *Config) { c.Protocols = nil }, []string{"sockets"}, "cosanet_proc_net_tcp"},
	} {
		with, without := noRuntime(t), noRuntime(t)
		test.off(without)
		all, rest := recordOf(t, Walk(context.Background(), with), pod.uid), recordOf(t, Walk(context.Background(), without), pod.uid)
		series := 0
		for _, s := range all.Samples {
			if strings.HasPrefix(s.Metric.Name, test.prefix) {
				series++
			}
		}
		for _, s := range rest.Samples {
			if strings.HasPrefix(s.Metric.Name, test.prefix) {
				t.Errorf("%s: %s although it is switched off", name, s.Metric.Name)
			}
		}
		for _, source := range test.sources {
			if _, ok := rest.Value("cosanet_read_success", source); ok {
				t.Errorf("cosanet_read_success of %s although it is switched off", source)
			}
			if _, ok := all.Value("cosanet_read_success", source); ok {
				series++
			}
		}
		if series == 0 || len(all.Samples)-len(rest.Samples) < series && name != "sockets" {
			t.Errorf("%s: %d series with it, %d without, of which %d are its own", name, len(all.Samples), len(rest.Samples), series)
		}
	}
}

func TestManyDevices(t *testing.T) {
	needsRoot(t, "nsenter", "ip")
	pod := startInhabited(t)
	const extra = 9
	for i := range maxInterfaces + extra - 1 { // and lo
		pod.inside("ip", "link", "add", "name", fmt.Sprintf("d%d", i), "type", "bridge")
	}
	c := noRuntime(t)
	s := Walk(context.Background(), c)
	r := recordOf(t, s, pod.uid)
	wantValue(t, r, 1, "cosanet_read_success", "netdev")
	if got := devices(r.Samples); got != maxInterfaces {
		t.Errorf("%d devices, want %d", got, maxInterfaces)
	}
	self := &s.Records[len(s.Records)-1]
	if dropped, _ := self.Value("cosanet_dropped_series", "interfaces"); dropped < extra*16 {
		t.Errorf("%v series dropped, want at least %d", dropped, extra*16)
	}

	// More devices than fit into the buffer, which takes thousands: here the buffer is small instead.
	small := newReader(c, newFamilies(c))
	small.buf = small.buf[:4<<10]
	p, err := openProcess(pod.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	samples, err := small.readDevices(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := devices(samples); got == 0 || got >= maxInterfaces || got+small.dropped[ofDevices]/16 != maxInterfaces+extra {
		t.Errorf("%d devices and %d series dropped, want %d devices in all", got, small.dropped, maxInterfaces+extra)
	}
}

func devices(samples []metrics.Sample) int {
	n := 0
	for _, s := range samples {
		if s.Metric.Name == "cosanet_netdev_receive_bytes_total" {
			n++
		}
	}
	return n
}
