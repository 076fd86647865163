package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// TestHostileDeviceNames wants each of them under a name that can be printed, told from all others.
func TestHostileDeviceNames(t *testing.T) {
	needsRoot(t, "nsenter", "ip")
	pod := startInhabited(t)
	names := []string{ // of up to 15 bytes other than a slash, a colon, white space or zero (dev_valid_name)
		"\x1b[31m", "\x1b]0;x\a", "a\"b\\c{d}", "\xff\xfe", `\xff\xfe`, "x\a", "日本", "\u202eol", "a\u200bb", "\"}1", "#EOF", "a=\"b\",c=\"d", "\x7f\b\b", "\u009b1m", "\u2028x", "{}",
	}
	for _, name := range names {
		pod.inside("ip", "link", "add", "name", name, "type", "bridge")
	}
	s := Walk(context.Background(), noRuntime(t))
	text := metrics.Append(nil, s)
	lost := 0
	if !utf8.Valid(text) || bytes.ContainsAny(text, "\x1b\a\b\x7f") || strings.ContainsAny(string(text), "\u202e\u200b\u009b\u2028") {
		lost++
		t.Error("the text has invalid UTF-8, control characters or text that runs backwards")
	}
	parsed, err := metrics.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r := recordOf(t, parsed, pod.uid)
	seen := map[string]bool{}
	for _, name := range names {
		shown := printable([]byte(name))
		if _, ok := r.Value("cosanet_netdev_receive_errs_total", shown); !ok || seen[shown] {
			lost++
			t.Errorf("%q is not shown as %q, or as another is", name, shown)
		}
		seen[shown] = true
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "a device of any name is shown under one that can be printed, and ends no label",
		Runs: len(names) + 1, Faults: len(names) + 1, Survived: len(names) + 1 - lost, Lost: lost})
}

// TestHostileProgramNames has the programs of pods call themselves what would end the name in /proc/<pid>/stat, and want to be
// older than they are: of each pod the oldest process is the one that its namespace is read by.
func TestHostileProgramNames(t *testing.T) {
	needsRoot(t, "sleep")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	names := []string{") S 1 1 1", "a) R 0 0\n(b", "\n\n\n", ")", "((((", "\x1b[2J", "\xff\xfe)", ") Z 1 1 1 0 -1 1"}
	buf := make([]byte, 4096)
	lost := 0
	for _, name := range names {
		program := filepath.Join(dir, name)
		if err := os.Symlink(sleep, program); err != nil {
			t.Fatal(err)
		}
		first := startPod(t, syscall.CLONE_NEWNET, program, "infinity")
		second := startPod(t, syscall.CLONE_NEWNET, program, "infinity")
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", first.pid))
		if want := name[:min(len(name), 15)] + "\n"; err != nil || string(comm) != want {
			t.Fatalf("the program is called %q, want %q (%v)", comm, want, err)
		}
		if got := oldest([]int{second.pid, first.pid}, 0, buf); got != first.pid {
			lost++
			t.Errorf("%q: process %d is the oldest, want %d", name, got, first.pid)
		}
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "the name of a program in /proc/PID/stat changes nothing of what is read after it",
		Runs: len(names), Faults: len(names), Survived: len(names) - lost, Lost: lost})
}

// TestThousandsOfDevices has a pod make more devices than are shown, and than fit into the buffer: exactly the others are
// counted as left out, and the pod beside it is read as ever.
func TestThousandsOfDevices(t *testing.T) {
	needsRoot(t, "ip")
	pairs := trial.Rounds(300, 2500)
	crowded, quiet := makePlace(t, 1000), makePlace(t, 2000)
	quiet.occupy(t)
	var batch strings.Builder
	for i := range pairs {
		fmt.Fprintf(&batch, "link add name a%d type veth peer name b%d\n", i, i)
	}
	err := crowded.inside(func() error {
		ip := exec.Command("ip", "-batch", "-")
		ip.Stdin = strings.NewReader(batch.String())
		if out, err := ip.CombinedOutput(); err != nil {
			return fmt.Errorf("making devices: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pid := crowded.occupy(t)
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	if err != nil {
		t.Fatal(err)
	}
	total := bytes.Count(table, []byte("\n")) - 2 // the heading
	if total <= 2*pairs {
		t.Fatalf("%d devices, want more than %d", total, 2*pairs)
	}
	runtime := &faultyRuntime{list: answer(sandbox(crowded.id, "shop", "crowded", crowded.uid), sandbox(quiet.id, "shop", "quiet", quiet.uid))}
	c := noRuntime(t)
	c.CRISocket, c.Host = runtime.serve(t), false
	s := Walk(t.Context(), c)
	r, self := recordOf(t, s, crowded.uid), &s.Records[len(s.Records)-1]
	wantValue(t, r, 1, "cosanet_read_success", "netdev")
	wantValue(t, self, float64((total-maxInterfaces)*len(netdevColumns)), "cosanet_dropped_series", "interfaces")
	if got := devices(r.Samples); got != maxInterfaces {
		t.Errorf("%d devices shown, want %d", got, maxInterfaces)
	}
	if !quiet.of(recordOf(t, s, quiet.uid).Samples) {
		t.Error("the pod beside it has not its own counters")
	}
	lost := 0
	if t.Failed() {
		lost = total
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "of a pod with thousands of devices so many are shown as may be, and exactly the others are counted as left out",
		Runs: total, Faults: total - maxInterfaces, Survived: total - lost, Lost: lost})
}
