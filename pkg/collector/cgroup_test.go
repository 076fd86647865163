package collector

import (
	"strings"
	"testing"
)

const (
	uid      = "8f3c1a52-0c5e-4f0b-9d55-1a2b3c4d5e6f"
	uidSlice = "8f3c1a52_0c5e_4f0b_9d55_1a2b3c4d5e6f"
	uidInner = "11111111-2222-3333-4444-555555555555"
	static   = "5d41402abc4b2a76b9719d911017c592" // hash of a static pod's manifest
	cid      = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	cid2     = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	cid3     = "00000000000000001111111111111111222222222222222233333333333333aa"
)

func TestParseCgroup(t *testing.T) {
	for _, test := range []struct {
		name string
		file string
		want membership
	}{
		// systemd driver, cgroup v2
		{"containerd, burstable", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"containerd, besteffort", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"containerd, guaranteed", "0::/kubepods.slice/kubepods-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"CRI-O", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/crio-" + cid + ".scope", membership{uid, cid}},
		{"CRI-O, crun's inner cgroup", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/crio-" + cid + ".scope/container", membership{uid, cid}},
		{"CRI-O, conmon in the pod", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/crio-conmon-" + cid + ".scope", membership{}},
		{"CRI-O, conmon outside", "0::/system.slice/crio-conmon-" + cid + ".scope", membership{}},
		{"cri-dockerd", "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + uidSlice + ".slice/docker-" + cid + ".scope", membership{uid, cid}},
		{"an init system in the container", "0::/kubepods.slice/kubepods-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope/init.scope", membership{uid, cid}},
		{"static pod", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + static + ".slice/cri-containerd-" + cid + ".scope", membership{static, cid}},
		{"the pod itself", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice", membership{uid, ""}},

		// cgroupfs driver
		{"cgroupfs, burstable", "0::/kubepods/burstable/pod" + uid + "/" + cid, membership{uid, cid}},
		{"cgroupfs, guaranteed", "0::/kubepods/pod" + uid + "/" + cid, membership{uid, cid}},
		{"cgroupfs, static pod", "0::/kubepods/burstable/pod" + static + "/" + cid, membership{static, cid}},
		{"cgroupfs, CRI-O", "0::/kubepods/besteffort/pod" + uid + "/crio-" + cid, membership{uid, cid}},
		{"cgroupfs, conmon of CRI-O", "0::/kubepods/besteffort/pod" + uid + "/crio-conmon-" + cid, membership{}},
		{"MicroK8s", "0::/kubepods/besteffort/pod" + uid + "/" + cid, membership{uid, cid}},

		// cgroup v1
		{"v1, one hierarchy", "4:memory:/kubepods/burstable/pod" + uid + "/" + cid, membership{uid, cid}},
		{"v1, all of them", "12:hugetlb:/kubepods/burstable/pod" + uid + "/" + cid + "\n11:cpu,cpuacct:/kubepods/burstable/pod" + uid + "/" + cid + "\n1:name=systemd:/kubepods/burstable/pod" + uid + "/" + cid, membership{uid, cid}},
		{"hybrid, v2 says nothing", "9:name=systemd:/kubepods/besteffort/pod" + uid + "/" + cid + "\n8:pids:/kubepods/besteffort/pod" + uid + "/" + cid + "\n0::/", membership{uid, cid}},
		{"hybrid, v2 comes first", "0::/system.slice/containerd.service\n8:pids:/kubepods/besteffort/pod" + uid + "/" + cid, membership{uid, cid}},
		{"v1, one hierarchy left out", "5:rdma:/\n4:memory:/kubepods.slice/kubepods-pod" + uidSlice + ".slice/docker-" + cid + ".scope", membership{uid, cid}},
		{"v1, the pod's cgroup in one, the container's in another", "5:rdma:/kubepods/pod" + uid + "\n4:memory:/kubepods/pod" + uid + "/" + cid, membership{uid, cid}},

		// prefixes
		{"kind", "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"kind, cgroupfs", "0::/kubelet/kubepods/besteffort/pod" + uid + "/" + cid, membership{uid, cid}},
		{"kind seen from its host", "0::/docker/" + cid2 + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"k3d seen from its host", "0::/system.slice/docker-" + cid2 + ".scope/kubepods/burstable/pod" + uid + "/" + cid, membership{uid, cid}},
		{"minikube", "4:memory:/docker/" + cid2 + "/kubepods/burstable/pod" + uid + "/" + cid, membership{uid, cid}},
		{"kubelet --cgroup-root", "8:pids:/node-1/kubepods/besteffort/pod" + uid + "/" + cid, membership{uid, cid}},
		{"drivers at odds", "0::/system.slice/containerd.service/kubepods-burstable-pod" + uidSlice + ".slice:cri-containerd:" + cid, membership{uid, cid}},
		{"drivers at odds, k3s", "1:name=systemd:/system.slice/k3s.service/kubepods-besteffort-pod" + uidSlice + ".slice:cri-containerd:" + cid, membership{uid, cid}},

		// private cgroup namespace
		{"another QoS class", "0::/../../../kubepods-burstable.slice/kubepods-burstable-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"the same QoS class", "0::/../../kubepods-besteffort-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope", membership{uid, cid}},
		{"the same pod", "0::/../cri-containerd-" + cid + ".scope", membership{"", cid}},
		{"cgroupfs, another pod", "0::/../../pod" + uid + "/" + cid, membership{uid, cid}},
		{"oneself", "0::/", membership{}},

		// containers in containers
		{"docker in a pod", "0::/kubepods/burstable/pod" + uid + "/" + cid + "/docker/" + cid2, membership{uid, cid}},
		{"a pod in a pod", "0::/kubepods/burstable/pod" + uid + "/" + cid + "/kubelet/kubepods/pod" + uidInner + "/" + cid2, membership{uidInner, cid2}},
		{"three deep", "0::/docker/" + cid3 + "/kubepods/pod" + uid + "/" + cid + "/docker/" + cid2, membership{uid, cid}},

		// without a kubelet
		{"containerd's own cgroup parent", "0::/k8s.io/" + cid, membership{"", cid}},
		{"docker", "0::/system.slice/docker-" + cid + ".scope", membership{"", cid}},
		{"podman", "0::/machine.slice/libpod-" + cid + ".scope", membership{"", cid}},
		{"podman's conmon", "0::/machine.slice/libpod-conmon-" + cid + ".scope", membership{}},

		// no pod at all
		{"a service", "0::/system.slice/kubelet.service", membership{}},
		{"a user", "0::/user.slice/user-1000.slice/session-3.scope", membership{}},
		{"a name like a pod's", "0::/podman.slice/podinfo-0123456789abcdef0123456789abcdef", membership{}},
		{"a service with a UID", "0::/system.slice/pod" + strings.Repeat("x", 36), membership{}},
		{"a UID with other dashes", "0::/kubepods/pod" + strings.Repeat("a", 36), membership{}},
		{"a slice whose name has -pod", "0::/my-pod" + uid + ".slice", membership{}},
		{"an id in capitals is an id", "0::/kubepods/pod" + uid + "/" + strings.ToUpper(cid), membership{uid, strings.ToUpper(cid)}},
		{"an id with a letter too many", "0::/kubepods/pod" + uid + "/x" + cid, membership{uid, ""}},
		{"cut short", "0::/kubepods/burstable/pod8f3c1a52-0c5e", membership{}},
		{"nothing", "", membership{}},
		{"no colons", strings.Repeat("x", 100), membership{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := parseCgroup([]byte(test.file + "\n")); got != test.want {
				t.Errorf("%s:\ngot  %+v\nwant %+v", test.file, got, test.want)
			}
		})
	}
}

func FuzzCgroup(f *testing.F) {
	f.Add([]byte("0::/kubepods.slice/kubepods-pod" + uidSlice + ".slice/cri-containerd-" + cid + ".scope\n"))
	f.Add([]byte("9:name=systemd:/kubepods/besteffort/pod" + uid + "/" + cid + "\n0::/\n"))
	f.Add([]byte("0::/../cri-containerd-" + cid + ".scope\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		m := parseCgroup(file)
		if m.container != "" && (len(m.container) != 64 || !isHex(m.container)) {
			t.Errorf("container %q", m.container)
		}
		if n := len(m.pod); n != 0 && n != 32 && n != 36 {
			t.Errorf("pod %q", m.pod)
		}
		if m.container != "" && !strings.Contains(string(file), m.container) {
			t.Errorf("container %q is not in the file", m.container)
		}
	})
}

func TestParseStarted(t *testing.T) {
	const rest = " 1 1 1 0 -1 4194560 33 0 0 0 4 5 0 0 20 0 1 0 98765 2461696 220 18446744073709551615"
	for comm, want := range map[string]uint64{
		"sleep":                98765,
		"x) S 1 1\n(\x1b[2J":   98765,
		") R 2 2 2 2 2 2 2 2 ": 98765,
		"":                     98765,
	} {
		if got, err := parseStarted([]byte("42 (" + comm + ") S" + rest)); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", comm, got, err, want)
		}
	}
	for _, bad := range []string{"", "42", "42 (sleep) S 1 1", "42 (sleep S" + rest[:20]} {
		if got, err := parseStarted([]byte(bad)); err == nil {
			t.Errorf("%q: %d, want an error", bad, got)
		}
	}
}

func FuzzStarted(f *testing.F) {
	f.Add([]byte("42 (sleep) S 1 1 1 0 -1 4194560 33 0 0 0 4 5 0 0 20 0 1 0 98765 2461696"))
	f.Fuzz(func(t *testing.T, stat []byte) { parseStarted(stat) })
}
