package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testCluster is a cluster of the test's own: its name, folder, interface, cgroups and network are no other's.
type testCluster struct {
	*testing.T
	name, dir, program string
}

// newTestCluster skips a test on a machine that cannot have a cluster, or fails it where CI=true.
func newTestCluster(t *testing.T) testCluster {
	t.Helper()
	if testing.Short() {
		t.Skip("a cluster takes half a minute")
	}
	c := testCluster{t, fmt.Sprintf("t%d", os.Getpid()%1e7), filepath.Join(t.TempDir(), "cluster"), filepath.Join(t.TempDir(), "cluster")}
	_, built, err := kubeBinaries()
	if err != nil {
		t.Fatal(err)
	}
	m, err := thisMachine(built)
	if err != nil {
		t.Fatal(err)
	}
	if err := preflight(m, &State{Name: c.name}); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if !built && os.Getenv("CI") != "true" {
		t.Skip("Kubernetes is not built yet: run `cluster up` once")
	}
	goBuild(t, c.program, ".")
	t.Cleanup(func() { c.must("down") })
	return c
}

// on is the same cluster for a subtest.
func (c testCluster) on(t *testing.T) testCluster {
	c.T = t
	return c
}

func goBuild(t *testing.T, out, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, text)
	}
}

func (c testCluster) command(verb string, args ...string) *exec.Cmd {
	return exec.Command(c.program, append([]string{verb, "--name", c.name, "--dir", c.dir}, args...)...)
}

func (c testCluster) must(verb string, args ...string) string {
	c.Helper()
	return output(c.T, c.command(verb, args...))
}

func (c testCluster) state() *State {
	c.Helper()
	s, err := load(c.dir)
	if err != nil {
		c.Fatal(err)
	}
	return s
}

// kubectl runs the kubectl that the cluster brings, as a shell that evaluated `cluster env` would.
func (c testCluster) kubectl(args ...string) *exec.Cmd {
	script := c.must("env") + `exec kubectl "$@"`
	return exec.Command("sh", append([]string{"-c", script, "sh"}, args...)...)
}

func (c testCluster) mustKubectl(args ...string) string {
	c.Helper()
	return output(c.T, c.kubectl(args...))
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, &stdout, &stderr)
	}
	return stdout.String()
}

func TestClusterFromUpToDown(t *testing.T) {
	c := newTestCluster(t)
	machine := machineSysctls(t)
	image := probeImage(t)
	c.must("up", "--image", image)
	s := c.state()
	t.Run("nodes", func(t *testing.T) { c.on(t).checkNodes() })
	t.Run("pods reach each other", func(t *testing.T) { c.on(t).checkPods() })
	t.Run("access", func(t *testing.T) { c.on(t).checkAccess() })
	t.Run("the machine's sysctls are as before", func(t *testing.T) {
		if diff := cmp.Diff(machine, machineSysctls(t)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("up again changes nothing", func(t *testing.T) {
		c := c.on(t)
		c.must("up", "--nodes", "2", "--image", image)
		if diff := cmp.Diff(s.Processes, c.state().Processes); diff != "" {
			t.Error(diff)
		}
		if text, err := c.command("up", "--nodes", "3").CombinedOutput(); err == nil || !strings.Contains(string(text), "2 nodes, not 3") {
			t.Errorf("up with another number of nodes: got %v, %s", err, text)
		}
	})
	t.Run("exec", func(t *testing.T) {
		c := c.on(t)
		if got := c.must("exec", "node-2", "--", "hostname"); got != "node-2\n" {
			t.Errorf("got host name %q", got)
		}
		if err := c.command("exec", "node-2", "--", "sh", "-c", "exit 7").Run(); err == nil || err.(*exec.ExitError).ExitCode() != 7 {
			t.Errorf("got %v, want the command's own exit code", err)
		}
	})
	t.Run("down leaves nothing", func(t *testing.T) { c.on(t).checkDownOfAll() })
}

// Whatever part of it is killed, the next up makes the cluster whole.
func TestClusterRecovers(t *testing.T) {
	c := newTestCluster(t)
	c.must("up")
	for _, name := range []string{"kube-apiserver", "node-1"} {
		t.Run(name, func(t *testing.T) {
			c := c.on(t)
			before := c.state()
			if err := before.Processes[before.processIndex(name)].kill(); err != nil {
				t.Fatal(err)
			}
			if text, err := c.command("status").CombinedOutput(); err == nil || !strings.Contains(string(text), name+" has ended") {
				t.Errorf("status: got %v, %s", err, text)
			}
			c.must("up")
			c.checkNodes()
			if after := c.state(); after.Processes[0] == before.Processes[0] {
				t.Error("the broken cluster was not made anew")
			}
		})
	}
	t.Run("kubelet", func(t *testing.T) { // the parts of a node end as one
		c := c.on(t)
		before := c.state()
		kubelet := strings.TrimSpace(c.must("exec", "node-2", "--", "pgrep", "-x", "kubelet"))
		c.must("exec", "node-2", "--", "kill", "-9", kubelet)
		node := before.Processes[before.processIndex("node-2")]
		eventually(t, "the end of node-2", func() bool { return !node.alive() })
		if log := tail(before.logPath("node-2")); !strings.Contains(log, "kubelet of node-2 has ended (by signal: killed)") {
			t.Error(log)
		}
		c.must("up")
		c.checkNodes()
	})
	t.Run("held", func(t *testing.T) { // but for one that a test ends and starts again
		c := c.on(t)
		for _, service := range []string{"kubelet", "containerd"} {
			before := c.state()
			pid := func() string {
				text, _ := c.command("exec", "node-2", "--", "pgrep", "-x", service).Output()
				return strings.TrimSpace(string(text))
			}
			old := pid()
			c.must("exec", "node-2", "--", "touch", heldFile(service))
			c.must("exec", "node-2", "--", "kill", "-9", old)
			eventually(t, "the end of "+service, func() bool { return pid() == "" })
			c.must("exec", "node-2", "--", "rm", heldFile(service))
			eventually(t, "the start of "+service, func() bool { return pid() != "" && pid() != old })
			c.must("up")
			if diff := cmp.Diff(before.Processes, c.state().Processes); diff != "" {
				t.Error(diff)
			}
		}
		c.checkNodes()
	})
	c.checkDownOfAll()
}

// up itself killed, early and late: what it had made by then is written down.
func TestClusterAfterUpWasKilled(t *testing.T) {
	c := newTestCluster(t)
	for _, processes := range []int{1, 3, 6} {
		t.Run(fmt.Sprintf("%d processes", processes), func(t *testing.T) {
			c := c.on(t)
			cmd := c.command("up")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "processes", func() bool {
				s, err := load(c.dir)
				return err == nil && len(s.Processes) >= processes
			})
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if s := c.state(); s.Up {
				t.Fatal("up had finished before it was killed")
			}
			c.checkDown()
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		c := c.on(t)
		cmd := c.command("up")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "processes", func() bool {
			s, err := load(c.dir)
			return err == nil && len(s.Processes) >= 2
		})
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("an interrupted up did not fail")
		}
		c.checkNothingLeft(nil)
	})
}

func (c testCluster) checkNodes() {
	c.Helper()
	want, err := kubeVersion()
	if err != nil {
		c.Fatal(err)
	}
	nodes, err := parseNodes([]byte(c.mustKubectl("get", "nodes", "-o", "json")))
	if err != nil {
		c.Fatal(err)
	}
	for i := range nodes {
		nodes[i].why = ""
	}
	if diff := cmp.Diff([]nodeStatus{{"node-1", want, true, ""}, {"node-2", want, true, ""}}, nodes, cmp.AllowUnexported(nodeStatus{})); diff != "" {
		c.Error(diff)
	}
}

const probeRef = "cluster.test/probe:1"

func probeImage(t *testing.T) string {
	t.Helper()
	binary, file := filepath.Join(t.TempDir(), "probe"), filepath.Join(t.TempDir(), "probe.tar")
	goBuild(t, binary, "./testdata/probe")
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := imageArchive(probeRef, "probe", data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// runPod runs the probe on a node; spec is merged into the pod's.
func (c testCluster) runPod(name, node, container string, args ...string) {
	c.Helper()
	argv, err := json.Marshal(args)
	if err != nil {
		c.Fatal(err)
	}
	c.mustKubectl("run", name, "--image="+probeRef, "--restart=Never", "--overrides="+fmt.Sprintf(
		`{"spec":{"nodeName":%q,"hostPID":%t,"containers":[{"name":%q,"image":%q,"imagePullPolicy":"Never","args":%s,%s}]}}`,
		node, container != "", name, probeRef, argv, strings.TrimSuffix(container+`"tty":false`, ",")))
}

func (c testCluster) checkPods() {
	c.runPod("server-1", "node-1", "", "serve")
	c.runPod("server-2", "node-2", "", "serve")
	c.mustKubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/server-1", "pod/server-2")
	var addresses [2][]string // of each server: IPv4, IPv6
	for i, pod := range []string{"server-1", "server-2"} {
		addresses[i] = strings.Fields(c.mustKubectl("get", "pod", pod, "-o", "jsonpath={.status.podIPs[*].ip}"))
		if len(addresses[i]) != 2 {
			c.Fatalf("%s has addresses %q, want an IPv4 and an IPv6 one", pod, addresses[i])
		}
	}
	for _, get := range []struct{ from, url, want string }{
		{"server-1", "http://" + addresses[1][0] + ":8080", "server-2\n"},
		{"server-2", "http://" + addresses[0][0] + ":8080", "server-1\n"},
		{"server-1", "http://[" + addresses[1][1] + "]:8080", "server-2\n"},
		{"server-2", "http://[" + addresses[0][1] + "]:8080", "server-1\n"},
	} {
		if got := c.mustKubectl("exec", get.from, "--", "/probe", "get", get.url); got != get.want { // exec: apiserver to kubelet too
			c.Errorf("%s from %s: got %q, want %q", get.url, get.from, got, get.want)
		}
	}
	resp, err := http.Get("http://" + addresses[0][0] + ":8080")
	if err != nil {
		c.Fatalf("a pod from the machine: %v", err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); string(body) != "server-1\n" {
		c.Errorf("a pod from the machine: got %q", body)
	}
	// What the collector pod is: privileged, with the node's processes, containerd's socket behind its pid 1.
	c.runPod("privileged", "node-2", `"securityContext":{"privileged":true,"runAsUser":0},`, "root")
	c.mustKubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/privileged")
	if got := c.mustKubectl("logs", "privileged"); !strings.HasPrefix(got, c.name+"-node-2") {
		c.Errorf("pid 1 of node-2 is %q", got)
	}
}

func (c testCluster) checkAccess() {
	viewer := func() (string, error) {
		out, err := c.kubectl("--context", "viewer", "get", "pods").CombinedOutput()
		return string(out), err
	}
	if out, err := viewer(); err == nil || !strings.Contains(out, `User "viewer" cannot list resource "pods"`) {
		c.Errorf("a user without a role: got %v, %s", err, out)
	}
	c.mustKubectl("create", "rolebinding", "viewer", "--clusterrole=view", "--user=viewer")
	eventually(c.T, "the role to take effect", func() bool { _, err := viewer(); return err == nil })

	c.mustKubectl("create", "namespace", "strict")
	c.mustKubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
	eventually(c.T, "the service account", func() bool {
		return c.kubectl("-n", "strict", "get", "serviceaccount", "default").Run() == nil
	})
	out, err := c.kubectl("-n", "strict", "run", "x", "--image="+probeRef, "--privileged").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `violates PodSecurity "restricted`) {
		c.Errorf("a privileged pod in a restricted namespace: got %v, %s", err, out)
	}
}

// machineSysctls are those that a kubelet would set for the whole machine.
func machineSysctls(t *testing.T) map[string]string {
	values := map[string]string{}
	for _, name := range []string{"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops"} {
		value, err := os.ReadFile("/proc/sys/" + name)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = string(value)
	}
	return values
}

func eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited a minute for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
