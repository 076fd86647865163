package collector

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const pauseImage = "localhost/cosanet-test-pause:1"

const containerdConfig = `
version = 2
root = %[1]q
state = %[2]q
disabled_plugins = ["io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = %[3]q
[ttrpc]
  address = "%[3]s.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata-test]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[5]q
`

const cniConfig = `{"cniVersion": "0.4.0", "name": "cosanet-test", "plugins": [
  {"type": "ptp", "ipMasq": false, "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "198.18.77.0/24"}]]}}]}`

// containerd is a real container runtime of its own: root, state and socket in a directory of the test.
type containerd struct {
	t       *testing.T
	config  string
	log     *os.File
	process *exec.Cmd
	socket  string
	client  cri.RuntimeServiceClient
}

func startContainerd(t *testing.T) *containerd {
	t.Helper()
	needsRoot(t, "containerd", "ctr", "runc", "/usr/lib/cni/ptp", "go")
	dir, err := os.MkdirTemp("", "cosanet") // short, for the sockets below it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &containerd{t: t, socket: dir + "/c.sock"}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("cni/10-test.conflist", fmt.Sprintf(cniConfig, dir+"/ipam"))
	config := write("config.toml", fmt.Sprintf(containerdConfig, dir+"/root", dir+"/state", c.socket, pauseImage, dir+"/cni"))

	if c.log, err = os.Create(dir + "/log"); err != nil {
		t.Fatal(err)
	}
	c.config = config
	c.start()
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			text, _ := os.ReadFile(c.log.Name())
			t.Logf("containerd: ...%s", text[max(0, len(text)-4000):])
		}
		c.log.Close()
	})
	conn, err := dialCRI(c.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c.client = cri.NewRuntimeServiceClient(conn)
	c.waitReady()
	image := write("pause.tar", pauseArchive(t))
	if out, err := exec.Command("ctr", "--address", c.socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", "native", image).CombinedOutput(); err != nil {
		t.Fatalf("importing the image: %v: %s", err, out)
	}
	return c
}

func (c *containerd) start() {
	c.t.Helper()
	c.process = exec.Command("containerd", "--config", c.config)
	c.process.Stdout, c.process.Stderr = c.log, c.log
	if err := c.process.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// stop ends the runtime; its sandboxes live on.
func (c *containerd) stop() {
	c.process.Process.Signal(syscall.SIGTERM)
	c.process.Wait()
}

func (c *containerd) waitReady() {
	c.t.Helper()
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if _, err = c.client.Version(context.Background(), &cri.VersionRequest{}); err == nil {
			return
		}
	}
	c.t.Fatalf("containerd does not answer: %v", err)
}

// run makes a sandbox whose pod has the labels given, and returns its id and UID.
func (c *containerd) run(name, handler string, network cri.NamespaceMode, labels map[string]string) (id, uid string) {
	c.t.Helper()
	uid = randomUID()
	parent := "/kubepods-test-" + uid[:8] + "/besteffort/pod" + uid
	config := &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Namespace: "default", Uid: uid},
		Labels:   labels,
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    parent,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{Network: network}},
		},
	}
	got, err := c.client.RunPodSandbox(context.Background(), &cri.RunPodSandboxRequest{Config: config, RuntimeHandler: handler})
	if err != nil {
		c.t.Fatalf("running sandbox %s: %v", name, err)
	}
	id = got.PodSandboxId
	c.t.Cleanup(func() {
		if _, err := c.client.StopPodSandbox(context.Background(), &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
			c.t.Error(err)
		}
		if _, err := c.client.RemovePodSandbox(context.Background(), &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
			c.t.Error(err)
		}
		removeCgroups(parent)
	})
	return id, uid
}

// removeCgroups removes what the kubelet would: the cgroups of a pod, in every hierarchy.
func removeCgroups(path string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for l := range strings.Lines(string(mounts)) {
		if f := strings.Fields(l); strings.HasPrefix(f[2], "cgroup") {
			for dir := path; dir != "/"; dir = filepath.Dir(dir) {
				os.Remove(f[1] + dir)
			}
		}
	}
}

// pauseArchive is an image, as docker save would write it, of a program that waits.
func pauseArchive(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(dir, "pause"), source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building pause: %v: %s", err, out)
	}
	program, err := os.ReadFile(filepath.Join(dir, "pause"))
	if err != nil {
		t.Fatal(err)
	}
	layer := tarOf(t, "pause", program)
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": map[string]any{"Entrypoint": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": "config.json", "RepoTags": []string{pauseImage}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(tarOf(t, "layer.tar", layer, "config.json", config, "manifest.json", manifest))
}

// tarOf archives pairs of name and content.
func tarOf(t *testing.T, pairs ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		content := pairs[i+1].([]byte)
		if err := w.WriteHeader(&tar.Header{Name: pairs[i].(string), Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestContainerd(t *testing.T) {
	runtime := startContainerd(t)
	webID, web := runtime.run("web-6d4cf56db6-x7k2p", "", cri.NamespaceMode_POD, map[string]string{"pod-template-hash": "6d4cf56db6"})
	_, db := runtime.run("db-0", "runc", cri.NamespaceMode_POD, map[string]string{"statefulset.kubernetes.io/pod-name": "db-0"})
	_, proxy := runtime.run("kube-proxy-x7k2p", "", cri.NamespaceMode_NODE, map[string]string{"controller-revision-hash": "abc", "pod-template-generation": "1"})
	_, vm := runtime.run("vm", "kata-test", cri.NamespaceMode_POD, nil)

	c := noRuntime(t)
	c.CRISocket = runtime.socket
	s := Walk(context.Background(), c)
	self := &s.Records[len(s.Records)-1]
	wantValue(t, self, 1, "cosanet_discovery_success", "cri", "")
	wantValue(t, self, 2, "cosanet_walk_sandboxes", "read")
	wantValue(t, self, 1, "cosanet_walk_sandboxes", "unsupported")
	wantValue(t, self, 0, "cosanet_walk_sandboxes", "failed")

	for _, test := range []struct {
		uid string
		pod string
		controller
		host, own bool
	}{
		{web, "web-6d4cf56db6-x7k2p", controller{"Deployment", "web"}, false, false},
		{db, "db-0", controller{"StatefulSet", "db"}, false, false},
		{proxy, "kube-proxy-x7k2p", controller{"DaemonSet", "kube-proxy"}, true, false},
		{vm, "vm", controller{}, false, true},
	} {
		r := recordOf(t, s, test.uid)
		b := &r.Sandbox
		if b.Namespace != "default" || b.Pod != test.pod || b.Node != "node-a" || b.ControllerKind != test.kind || b.ControllerName != test.name || b.HostNetwork != test.host || b.Unsupported != test.own {
			t.Errorf("%+v, want %+v", b, test)
		}
		if !test.host && !strings.HasPrefix(b.NetNS, "cni-") {
			t.Errorf("%s: netns name %q, want that of the CNI", test.pod, b.NetNS)
		}
		_, counted := r.Value("cosanet_proc_net_snmp_Ip_InReceives")
		_, devices := r.Value("cosanet_netdev_receive_packets_total", "eth0")
		if wantCounted, wantDevices := !test.host && !test.own, !test.host; counted != wantCounted || devices != wantDevices {
			t.Errorf("%s: counters %v, devices %v; want %v, %v", test.pod, counted, devices, wantCounted, wantDevices)
		}
	}

	// The cgroups alone find the same sandboxes with the same counters, but without names. They cannot tell of the kata
	// handler, which here is runc in truth, so that its counters are there.
	bare := Walk(context.Background(), noRuntime(t))
	for _, uid := range []string{web, db, proxy, vm} {
		named, unnamed := recordOf(t, s, uid), recordOf(t, bare, uid)
		if unnamed.Sandbox.Pod != "" || unnamed.Sandbox.Inode != named.Sandbox.Inode || unnamed.Sandbox.NetNS != named.Sandbox.NetNS && !named.Sandbox.HostNetwork || unnamed.Sandbox.HostNetwork != named.Sandbox.HostNetwork {
			t.Errorf("by runtime %+v, by cgroup %+v", named.Sandbox, unnamed.Sandbox)
		}
		if uid == vm {
			continue
		}
		if diff := cmp.Diff(namesOf(named), namesOf(unnamed)); diff != "" {
			t.Errorf("families by runtime (-), by cgroup (+):\n%s", diff)
		}
	}

	c.PodFilter = mustCompile(t, "^default/(web|vm)")
	s = Walk(context.Background(), c)
	recordOf(t, s, web)
	wantValue(t, &s.Records[len(s.Records)-1], 2, "cosanet_walk_sandboxes", "filtered")
	if len(s.Records) != 4 {
		t.Errorf("%d records, want the host, two pods and the collector's own", len(s.Records))
	}

	// A pause process that has died leaves the runtime with a pid that may be anybody's.
	processes := scanProcesses()
	if processes.err != nil {
		t.Fatal(processes.err)
	}
	for _, pid := range processes.byContainer[webID] {
		syscall.Kill(pid, syscall.SIGKILL)
		waitDead(t, pid)
	}
	for _, r := range Walk(context.Background(), c).Records {
		if _, counted := r.Value("cosanet_proc_net_snmp_Ip_InReceives"); counted && r.Sandbox.UID == web {
			t.Error("counters of a sandbox whose process is dead")
		}
	}
}

// TestWalkerContainerd walks again and again while sandboxes come and go and the runtime restarts.
func TestWalkerContainerd(t *testing.T) {
	runtime := startContainerd(t)
	_, web := runtime.run("web-6d4cf56db6-x7k2p", "", cri.NamespaceMode_POD, map[string]string{"pod-template-hash": "6d4cf56db6"})
	_, proxy := runtime.run("proxy", "", cri.NamespaceMode_NODE, nil)
	c := noRuntime(t)
	c.CRISocket = runtime.socket
	w := NewWalker(c)
	defer w.Close()
	wantAll := func(reason string, uids ...string) {
		t.Helper()
		s := w.Walk(t.Context())
		wantReason(t, s, reason)
		for _, uid := range uids {
			r := recordOf(t, s, uid)
			if _, counted := r.Value("cosanet_proc_net_snmp_Ip_InReceives"); counted == r.Sandbox.HostNetwork || r.Sandbox.Pod == "" {
				t.Errorf("%+v with %d samples", r.Sandbox, len(r.Samples))
			}
		}
		if named := len(w.targets); named != len(uids) && reason == "" {
			t.Errorf("%d pods, want %d", named, len(uids))
		}
		if reason == "" {
			wantSameNode(t, Walk(t.Context(), c), s)
		}
		w.Recycle(s)
	}
	wantAll("", web, proxy)
	_, db := runtime.run("db-0", "", cri.NamespaceMode_POD, nil)
	wantAll("", web, proxy, db)
	runtime.stop()
	wantAll("refused|no container runtime|permission denied", web, proxy, db)
	runtime.start()
	runtime.waitReady()
	wantAll("", web, proxy, db)

	runtime.stop() // once more, with nobody looking meanwhile
	runtime.start()
	runtime.waitReady()
	_, next := runtime.run("next", "", cri.NamespaceMode_POD, nil)
	wantAll("", web, proxy, db, next)
}

// namesOf are the families of a record, but for the ICMP messages by type, which begin to be counted when the first is sent.
func namesOf(r *metrics.Record) []string {
	var names []string
	for _, s := range r.Samples {
		if !strings.Contains(s.Metric.Name, "Type") {
			names = append(names, s.Metric.Name)
		}
	}
	return names
}

// waitDead waits until a process has left its namespaces.
func waitDead(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		p, err := openProcess(pid)
		if err != nil {
			return
		}
		_, err = p.netInode()
		p.close()
		if err != nil {
			return
		}
	}
	t.Fatalf("process %d lives on", pid)
}
