package main

import (
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const mountinfoHybrid = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:10 master:1 - cgroup cgroup rw,cpuset
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
42 27 0:4 net:[4026532281] /run/a\040b/netns rw - nsfs nsfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
not a mount
`

func TestParseMounts(t *testing.T) {
	got := parseMounts(mountinfoHybrid)
	if len(got) != 8 {
		t.Fatalf("got %d mounts, want 8", len(got))
	}
	want := mount{path: "/run/a b/netns", fstype: "nsfs", root: "net:[4026532281]", super: "rw"}
	if got[6] != want {
		t.Errorf("got %+v, want %+v", got[6], want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountinfoHybrid)
	f.Fuzz(func(t *testing.T, mountinfo string) {
		if got, lines := len(parseMounts(mountinfo)), strings.Count(mountinfo, "\n")+1; got > lines {
			t.Errorf("%d mounts of %d lines", got, lines)
		}
	})
}

func TestParseHierarchies(t *testing.T) {
	got := parseHierarchies(mountinfoHybrid)
	want := []hierarchy{
		{mount: "/sys/fs/cgroup/cpu,cpuacct", controllers: []string{"rw", "cpu", "cpuacct"}},
		{mount: "/sys/fs/cgroup/cpuset", controllers: []string{"rw", "cpuset"}},
		{mount: "/sys/fs/cgroup/systemd", controllers: []string{"rw", "name=systemd"}},
		{mount: "/sys/fs/cgroup/unified", unified: true},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(hierarchy{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"memory", "pids"}, missingControllers(got)); diff != "" {
		t.Error(diff)
	}
}

func TestParseRoutes(t *testing.T) {
	got, err := parseRoutes([]byte(`[{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24"},{"type":"local","dst":"127.0.0.1"}]`))
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("127.0.0.1/32")}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "[{]", `[{"dst":"nowhere"}]`} {
		if _, err := parseRoutes([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestParseNodes(t *testing.T) {
	node := func(ready, message, taints string) string {
		return `{"metadata":{"name":"node-1"},"spec":{"taints":[` + taints + `]},"status":{"conditions":[{"type":"MemoryPressure","status":"False"},` +
			`{"type":"Ready","status":"` + ready + `","message":"` + message + `"}],"nodeInfo":{"kubeletVersion":"v1.37.2"}}}`
	}
	tests := []struct {
		name, item string
		want       nodeStatus
	}{
		{"ready", node("True", "fine", ""), nodeStatus{"node-1", "v1.37.2", true, "fine"}},
		{"not ready", node("False", "no network", ""), nodeStatus{"node-1", "v1.37.2", false, "no network"}},
		{"unknown", node("Unknown", "stopped posting", ""), nodeStatus{"node-1", "v1.37.2", false, "stopped posting"}},
		{"ready but still tainted", node("True", "fine", `{"key":"node.kubernetes.io/not-ready"}`),
			nodeStatus{"node-1", "v1.37.2", false, "tainted node.kubernetes.io/not-ready"}},
		{"a taint of the user's", node("True", "fine", `{"key":"dedicated"}`), nodeStatus{"node-1", "v1.37.2", true, "fine"}},
		{"new", `{"metadata":{"name":"node-1"}}`, nodeStatus{"node-1", "", false, "has not reported yet"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseNodes([]byte(`{"items":[` + tt.item + `]}`))
			if diff := cmp.Diff([]nodeStatus{tt.want}, got, cmp.AllowUnexported(nodeStatus{})); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

// goodMachine is one on which nothing stands in the way.
func goodMachine() machine {
	return machine{
		lookPath:    func(string) (string, error) { return "/usr/bin/x", nil },
		exists:      func(path string) bool { return strings.HasPrefix(path, "/opt/cni/bin/") },
		filesystems: "nodev\tproc\nnodev\toverlay\n\text4\n",
		hierarchies: []hierarchy{{mount: "/sys/fs/cgroup", unified: true, controllers: []string{"cpu", "cpuset", "memory", "pids"}}},
		interfaces:  []string{"lo", "eth0"},
	}
}

func TestPreflight(t *testing.T) {
	without := func(programs ...string) func(string) (string, error) {
		return func(name string) (string, error) {
			if slices.Contains(programs, name) {
				return "", errors.New("not found")
			}
			return "/usr/bin/" + name, nil
		}
	}
	tests := []struct {
		name   string
		change func(*machine)
		want   []string // all of these in the one message; none: no error
	}{
		{"good", func(*machine) {}, nil},
		{"kube built, no go", func(m *machine) { m.lookPath, m.kubeBuilt = without("go"), true }, nil},
		{"no go", func(m *machine) { m.lookPath = without("go") }, []string{"go is missing"}},
		{"not root", func(m *machine) { m.uid = 1000 }, []string{"not root"}},
		{"packages", func(m *machine) { m.lookPath = without("containerd", "ctr", "runc") },
			[]string{"containerd is missing", "ctr is missing", "runc is missing", "apt-get install containerd runc"}},
		{"packages of another runtime", func(m *machine) { m.lookPath = without("conmon", "skopeo") }, []string{"conmon is missing", "apt-get install conmon skopeo"}},
		{"one CNI plugin is not all", func(m *machine) { m.exists = func(p string) bool { return p == "/opt/cni/bin/bridge" } },
			[]string{"host-local", "apt-get install containernetworking-plugins"}},
		{"no overlay", func(m *machine) { m.filesystems = "ext4" }, []string{"modprobe overlay"}},
		{"controllers", func(m *machine) { m.hierarchies = nil }, []string{"cpu, cpuset, memory, pids"}},
		{"cgroup taken", func(m *machine) { m.exists = func(p string) bool { return filepath.Dir(p) != "/x" } },
			[]string{"cgroup /sys/fs/cgroup/cosanet exists, but no cluster in /d", "--name"}},
		{"interface taken", func(m *machine) { m.interfaces = []string{"cosanet-host"} }, []string{"interface cosanet-host exists, but no cluster in /d", "--name"}},
		{"everything at once", func(m *machine) { m.uid = 1; m.lookPath = without("ip"); m.filesystems = "" },
			[]string{"not root", "ip is missing (package iproute2)", "overlay"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := goodMachine()
			tt.change(&m)
			err := preflight(m, &State{Name: "cosanet", dir: "/d", Runtimes: []NodeRuntime{{Name: "cri-o"}}})
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
		})
	}
}
