package rules

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/plugin"
)

// Environment variables that make the test binary a part of a test node in place of a test.
const (
	nodeEnv = "COSANET_TEST_NODE" // the cgroup of its pod
	podEnv  = "COSANET_TEST_POD"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(podEnv) != "":
		io.Copy(io.Discard, os.Stdin) // a namespace needs a process, as a pod has its pause process
	case os.Getenv(machineEnv) != "" && os.Getpid() == 1:
		if err := errors.Join(bootMachine(), again()); err != nil {
			fmt.Println(err)
		}
	case os.Getenv(machineEnv) != "":
		live(newMachine(), nil, os.Stdin, os.Stdout)
	case os.Getenv(nodeEnv) != "" && os.Getpid() == 1:
		// The host's row is of pid 1's namespace, and shows that of its first thread: it must be nobody's who enters others.
		if err := again(); err != nil {
			fmt.Println(err)
		}
	case os.Getenv(nodeEnv) != "":
		w, err := newWorld(os.Getenv(nodeEnv))
		live(w, err, os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
}

// again is this program once more, as a child that takes over.
func again() error {
	child := exec.Command("/proc/self/exe")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	return child.Run()
}

// node is a pair of processes with process ids, mounts and a network of their own: a node, as the collector sees it, with a
// pid 1, and what the test does there. It has one pod, in a network namespace of the pod's own, and is the peer at the other
// end of the pod's wire.
type node struct {
	t      *testing.T
	pods   int
	in     io.Writer
	out    *bufio.Scanner
	walks  string // the file that the collector's frames are added to
	frames string // the same as the node names it
}

func startNode(t *testing.T) *node {
	t.Helper()
	cgroup := newCgroup(t)
	walks := filepath.Join(t.TempDir(), "frames")
	n := &node{t: t, pods: 1, walks: walks, frames: walks}
	cmd := exec.Command("/proc/self/exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), nodeEnv+"="+cgroup)
	cmd.Stderr = os.Stderr
	n.begin(cmd, "starting a node", func() { // before that of the cgroup: all of its processes end with pid 1
		cmd.Process.Kill()
		cmd.Wait()
	})
	return n
}

// begin starts the node as a process, which end ends after the test, and waits until it takes commands.
func (n *node) begin(cmd *exec.Cmd, what string, end func()) {
	n.t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		n.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(end)
	n.in, n.out = in, bufio.NewScanner(out)
	n.answer(what)
}

// do has the node carry out a command, and waits until it is done.
func (n *node) do(command ...string) {
	n.t.Helper()
	fmt.Fprintln(n.in, strings.Join(command, " "))
	n.answer(strings.Join(command, " "))
}

func (n *node) answer(of string) {
	n.t.Helper()
	if !n.out.Scan() || n.out.Text() != "ok" {
		n.t.Fatalf("%s: %s", of, n.out.Text())
	}
}

// walk has the collector look at the node once.
func (n *node) walk() {
	n.t.Helper()
	n.do("walk", n.frames)
}

// finding is what the tests look at of the plugin's.
type finding struct {
	ID, Severity, Object string
	Value                float64
	Evidence             []string
}

// verdict is what explain says of a node and its pod.
type verdict struct {
	Items   []finding
	Checked struct {
		Rules, Lacking []string
		Pods, Nodes    int
		Unread         map[string]int
		Restarted      []string
	}
}

// explain has the plugin judge what the collector saw.
func (n *node) explain() (v verdict) {
	n.t.Helper()
	var out, messages bytes.Buffer
	var ledger plugin.Ledger
	streams := genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &messages}
	if code := plugin.Main(n.t.Context(), plugin.Build{Version: "test"}, streams, &ledger, []string{"explain", "-A", "--conntrack-owners", "-o", "json", "--from", n.walks}); code != 0 {
		n.t.Fatalf("explain ended with %d: %s", code, &messages)
	}
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		n.t.Fatalf("%v\n%s", err, &out)
	}
	if v.Checked.Pods != n.pods || v.Checked.Nodes != 1 || len(v.Checked.Unread) > 0 || len(v.Checked.Restarted) > 0 {
		n.t.Fatalf("checked %+v, want %d pods and one node, all of which was read\n%s", v.Checked, n.pods, &messages)
	}
	return v
}

// newCgroup makes the cgroup of a pod's container, as a kubelet and containerd name it, and returns its path.
func newCgroup(t *testing.T) string {
	t.Helper()
	id := make([]byte, 56)
	rand.Read(id)
	hexed := hex.EncodeToString(id)
	uid := hexed[:8] + "-" + hexed[8:12] + "-" + hexed[12:16] + "-" + hexed[16:20] + "-" + hexed[20:32]
	root := cgroupRoot(t)
	dir := filepath.Join(root, "kubepods-test-"+hexed[32:40], "pod"+uid, hexed[48:])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for ; dir != root; dir = filepath.Dir(dir) {
			if err := os.Remove(dir); err != nil {
				t.Errorf("removing the cgroup: %v", err)
				return
			}
		}
	})
	return dir
}

// cgroupRoot is where a hierarchy is mounted: v2, or the pids controller of v1.
func cgroupRoot(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	v1 := ""
	for l := range strings.Lines(string(mounts)) {
		switch f := strings.Fields(l); {
		case f[2] == "cgroup2":
			return f[1]
		case f[2] == "cgroup" && strings.Contains(f[3], "pids"):
			v1 = f[1]
		}
	}
	if v1 == "" {
		t.Fatal("no cgroup hierarchy is mounted")
	}
	return v1
}

// needsRoot skips a test on a machine where it cannot be run. In CI nothing is left out silently.
func needsRoot(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Geteuid() != 0 {
		missing = "root"
	}
	for _, tool := range []string{"ip", "iptables"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", missing)
	default:
		t.Skipf("needs %s", missing)
	}
}
