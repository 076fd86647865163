package collector

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// needsRoot skips a test on a machine where it cannot be run. In CI nothing is left out silently.
func needsRoot(t testing.TB, tools ...string) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	if missing == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s", missing)
	}
	t.Skipf("needs %s", missing)
}

// testPod is a process in a network namespace and a cgroup of its own, as the pause process of a pod.
type testPod struct {
	t   testing.TB
	uid string
	id  string // of the container
	pid int

	in  io.Writer // of the inhabitant, see inhabitant_linux_test.go
	out *bufio.Scanner
}

// startPod starts command in new namespaces of the given kind (CLONE_NEWNET or 0: those of the test).
func startPod(t testing.TB, namespaces uintptr, name string, args ...string) *testPod {
	t.Helper()
	p := &testPod{t: t, uid: randomUID(), id: randomHex(64)}
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), inhabitantEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid, p.in, p.out = cmd.Process.Pid, in, bufio.NewScanner(out)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p.join(filepath.Join("kubepods-test-"+randomHex(8), "pod"+p.uid, p.id))
	return p
}

// join moves the process of the pod into a new cgroup of any hierarchy that can be written to.
func (p *testPod) join(path string) {
	p.t.Helper()
	root := cgroupRoot(p.t)
	dir := filepath.Join(root, path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(p.pid)), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		// The process leaves its cgroup when it is killed, or stays behind in it while it is a zombie.
		syscall.Kill(p.pid, syscall.SIGKILL)
		var status syscall.WaitStatus
		syscall.Wait4(p.pid, &status, 0, nil)
		for ; dir != root; dir = filepath.Dir(dir) {
			err := os.Remove(dir)
			// Its children end with it, and take a while where they have ten thousand connections to close.
			for deadline := time.Now().Add(30 * time.Second); errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline); err = os.Remove(dir) {
				time.Sleep(20 * time.Millisecond)
			}
			if err != nil {
				p.t.Errorf("removing the cgroup: %v", err)
				return
			}
		}
	})
}

// cgroupRoot is cgroupMount for a test.
func cgroupRoot(t testing.TB) string {
	t.Helper()
	root, err := cgroupMount()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// cgroupMount returns where a hierarchy is mounted: v2, or the pids controller of v1.
func cgroupMount() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return "", err
	}
	v1 := ""
	for l := range strings.Lines(string(mounts)) {
		switch f := strings.Fields(l); {
		case f[2] == "cgroup2":
			return f[1], nil
		case f[2] == "cgroup" && strings.Contains(f[3], "pids"):
			v1 = f[1]
		}
	}
	if v1 == "" {
		return "", errors.New("no cgroup hierarchy is mounted")
	}
	return v1, nil
}

func randomHex(n int) string {
	b := make([]byte, n/2)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func randomUID() string {
	h := randomHex(32)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// startSleepers starts n pods that do nothing.
func startSleepers(t testing.TB, n int) []*testPod {
	t.Helper()
	pods := make([]*testPod, n)
	for i := range pods {
		pods[i] = startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	}
	return pods
}

// noRuntime is a configuration under which the cgroups alone tell of pods, whatever runs on this machine.
func noRuntime(t testing.TB) *Config {
	return &Config{
		Node: "node-a", Set: metrics.All, Host: true, Conntrack: true, Snmp: true, Netstat: true, Sockstat: true, Netdev: true, Listen: true, TCPInfo: true, Ports: true, Protocols: AllProtocols(),
		CRISocket: filepath.Join(t.TempDir(), "none.sock"), Samples: 1,
	}
}

// recordOf returns the record of a pod by its UID.
func recordOf(t testing.TB, s *metrics.Snapshot, uid string) *metrics.Record {
	t.Helper()
	var found *metrics.Record
	for i := range s.Records {
		if s.Records[i].Sandbox.UID == uid {
			if found != nil {
				t.Fatalf("pod %s has two records", uid)
			}
			found = &s.Records[i]
		}
	}
	if found == nil {
		t.Fatalf("pod %s has no record", uid)
	}
	return found
}

// wantValue compares one sample.
func wantValue(t testing.TB, r *metrics.Record, want float64, name string, labels ...string) {
	t.Helper()
	if got, ok := r.Value(name, labels...); !ok || got != want {
		t.Errorf("%s%q = %v (present: %v), want %v", name, labels, got, ok, want)
	}
}

func (p *testPod) String() string { return fmt.Sprintf("pod %s (pid %d)", p.uid, p.pid) }
