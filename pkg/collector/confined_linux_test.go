package collector

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// bundle is a container for runc: the collector's program in a root of its own, in the node's pid and network namespaces, as
// the plugin's pod has them.
type bundle struct {
	t   *testing.T
	dir string
	id  string
}

// newBundle makes one with the rights of a profile. Without a seccomp profile it is unconfined.
func newBundle(t *testing.T, p profile, program, socket string, seccomp json.RawMessage, args ...string) *bundle {
	t.Helper()
	b := &bundle{t: t, dir: openDir(t), id: "cosanet-test-" + randomHex(8)}
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.dir+"/rootfs", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.dir+"/rootfs/cosanet-collector", binary, 0o755); err != nil {
		t.Fatal(err)
	}
	caps := []string{}
	for _, c := range p.caps {
		caps = append(caps, "CAP_"+strings.ToUpper(c))
	}
	if p.caps == nil {
		caps = allCapabilities(t)
	}
	args = append([]string{"/cosanet-collector"}, args...)
	type object = map[string]any
	linux := object{
		"cgroupsPath": "/" + b.id,
		"namespaces":  []object{{"type": "mount"}, {"type": "ipc"}, {"type": "uts"}},
	}
	if seccomp != nil {
		linux["seccomp"] = seccomp
	}
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2",
		"process": object{
			"user": object{"uid": p.user, "gid": p.user}, "args": args, "cwd": "/", "env": []string{"PATH=/"}, "noNewPrivileges": p.user != 0,
			"capabilities": object{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"root": object{"path": "rootfs", "readonly": true},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/run/cri", "type": "bind", "source": filepath.Dir(socket), "options": []string{"rbind", "ro"}},
		},
		"linux": linux,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.dir+"/config.json", config, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("runc", "delete", "--force", b.id).Run()
		removeCgroups("/" + b.id)
	})
	return b
}

// allCapabilities are those that this process has, by the names of the runtime specification.
func allCapabilities(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("setpriv", "--dump").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(out), "Capability bounding set: ")
	list, _, _ = strings.Cut(list, "\n")
	var caps []string
	for name := range strings.SplitSeq(list, ",") {
		caps = append(caps, "CAP_"+strings.ToUpper(name))
	}
	return caps
}

// run runs the container until it ends.
func (b *bundle) run() *metrics.Snapshot {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "runc", "run", "--bundle", b.dir, b.id)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		b.t.Fatalf("%v: %s", err, &stderr)
	}
	return decodeFrame(b.t, out.Bytes())
}

// serve runs it as an exporter, returns its answer and ends it.
func (b *bundle) serve() []byte {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), "runc", "run", "--bundle", b.dir, b.id)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	cmd.Stdout = io.Discard
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	page := scrape(b.t, "http://"+listeningAt(b.t, stderr)+"/metrics", "text/plain")
	if out, err := exec.Command("runc", "kill", b.id, "TERM").CombinedOutput(); err != nil {
		b.t.Errorf("%v: %s", err, out)
	}
	if err := cmd.Wait(); err != nil {
		b.t.Errorf("the exporter ended with %v", err)
	}
	return page
}

// seriesOf names what a snapshot has of a sandbox, and whether each source could be read.
func seriesOf(t *testing.T, s *metrics.Snapshot, uid string) []string {
	t.Helper()
	var series []string
	for _, sample := range recordOf(t, s, uid).Samples {
		name := sample.Metric.Name
		for _, l := range sample.Labels {
			name += " " + l.Name + "=" + l.Value
		}
		if sample.Metric.Name == "cosanet_read_success" {
			name += map[float64]string{0: " failed", 1: " read"}[sample.Value]
		}
		series = append(series, name)
	}
	slices.Sort(series)
	return series
}

// TestSeccomp runs the collector under the profile that is shipped, by a real runtime, and wants the answer that it gives without.
func TestSeccomp(t *testing.T) {
	needsRoot(t, "runc", "setpriv", "go")
	shipped, err := os.ReadFile(seccompFile)
	if err != nil {
		t.Fatal(err)
	}
	program := program(t)
	pod := startInhabited(t)
	pod.do("tcp", "127.0.0.1", 2)
	socket := rootsRuntime(t, pod)
	runs := 0
	for _, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			flags := []string{"--node", "node-a", "--metrics", "all", "--cri-socket", "/run/cri/" + filepath.Base(socket)}
			once := append(flags, "--once", "--run", "r")
			want := seriesOf(t, newBundle(t, p, program, socket, nil, once...).run(), pod.uid)
			got := seriesOf(t, newBundle(t, p, program, socket, shipped, once...).run(), pod.uid)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("without the profile (-) and with it (+):\n%s", diff)
			}
			page := newBundle(t, p, program, socket, shipped, append(flags, "--serve", "--listen", "127.0.0.1:0")...).serve()
			s, err := metrics.Parse(bytes.NewReader(page))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, seriesOf(t, s, pod.uid)); diff != "" {
				t.Errorf("once without the profile (-) and as an exporter with it (+):\n%s", diff)
			}
			runs += 2
		})
	}
	if t.Failed() {
		return
	}
	refused := seccompRefuses(t, shipped)
	trial.Record(t, trial.Result{Group: trial.Privilege, Claim: "under the seccomp profile that is shipped the answer is the same, for each profile, once and as an exporter; other system calls are refused",
		Runs: runs + refused, Faults: refused, Survived: runs + refused})
}

// seccompRefuses has a program try under the profile what the collector never does. It returns how many tries were refused.
func seccompRefuses(t *testing.T, shipped json.RawMessage) int {
	t.Helper()
	tries := []string{"ptrace", "unshare", "mount", "bpf", "setns-mount", "clone-user", "packet-socket", "kill"}
	b := newBundle(t, profiles[0], built(t, "./testdata/forbidden"), t.TempDir()+"/none", shipped, tries...)
	out, err := exec.CommandContext(t.Context(), "runc", "run", "--bundle", b.dir, b.id).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := strings.Repeat(syscall.EPERM.Error()+"\n", len(tries))
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("%q under the profile (-want +got):\n%s", tries, diff)
	}
	return len(tries)
}
