package collector

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// bounded is what a process is given: open files, bytes of memory, hundredths of a processor; 0 of the last: no limit.
type bounded struct{ files, memory, cpu int }

// collect has the collector's program walk once within the limits. Whoever takes more memory is killed.
func (l bounded) collect(t *testing.T, program string, args ...string) (out, errOut []byte, err error) {
	t.Helper()
	files := l.cgroups(t)
	script := `for file in $CGROUPS; do echo $$ >"$file" || exit 9; done; ulimit -n "$FILES" && exec "$@"`
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh", program, "--once", "--node", "node-a", "--run", "r", "--metrics", "all"}, args...)...)
	cmd.Env = append(os.Environ(), "CGROUPS="+strings.Join(files, " "), fmt.Sprint("FILES=", l.files))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// cgroups makes the cgroups that limit, on either version, and returns where processes join them.
func (l bounded) cgroups(t *testing.T) (joins []string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{} // file: value
	unified, name := "", "cosanet-limits-"+randomHex(8)
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		controllers := strings.Split(f[3], ",")
		for _, c := range controllers {
			switch {
			case f[2] == "cgroup" && c == "memory":
				settings[filepath.Join(f[1], name, "memory.limit_in_bytes")] = fmt.Sprint(l.memory)
			case f[2] == "cgroup" && c == "cpu" && l.cpu > 0:
				settings[filepath.Join(f[1], name, "cpu.cfs_quota_us")] = fmt.Sprint(l.cpu * 1000) // of 100,000
			}
		}
		if f[2] == "cgroup2" {
			unified = f[1]
		}
	}
	if len(settings) == 0 && unified != "" {
		settings[filepath.Join(unified, name, "memory.max")] = fmt.Sprint(l.memory)
		if l.cpu > 0 {
			settings[filepath.Join(unified, name, "cpu.max")] = fmt.Sprint(l.cpu*1000, " 100000")
		}
	}
	made := map[string]bool{}
	for file, value := range settings {
		dir := filepath.Dir(file)
		if !made[dir] {
			made[dir] = true
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.Remove(dir) })
			joins = append(joins, filepath.Join(dir, "cgroup.procs"))
		}
		if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
			t.Fatalf("limiting the collector: %v", err)
		}
	}
	if len(joins) == 0 {
		t.Fatal("no cgroup hierarchy limits memory")
	}
	return joins
}

// TestTinyLimits walks hundreds of pods with 32 open files, 64 MiB of memory and a tenth of a processor, a quarter of what the
// collector's pod may have and less than it asks for.
func TestTinyLimits(t *testing.T) {
	needsRoot(t, "go")
	program := program(t)
	pods := make([]*place, trial.Rounds(30, 250))
	for i := range pods {
		pods[i] = makePlace(t, 1000+i)
		pods[i].occupy(t)
	}
	lost := 0
	for _, extra := range [][]string{{"--encoding", "text"}, {"--encoding", "gzip"}} {
		out, errOut, err := bounded{32, 64 << 20, 10}.collect(t, program, append(extra, "--cri-socket", "/none", "--deadline", "5m")...)
		if err != nil || len(errOut) > 0 {
			t.Fatalf("%v: %s", err, errOut)
		}
		s := decodeFrame(t, out)
		for _, p := range pods {
			r := recordOf(t, s, p.uid)
			if failed := r.FailedSources(); !p.of(r.Samples) || len(failed) > 0 {
				lost++
				t.Errorf("pod of %d octets: %v failed", p.octets, failed)
			}
		}
	}
	trial.Record(t, trial.Result{Group: trial.Neighbours, Claim: "with 32 open files, 64 MiB of memory and a tenth of a processor every pod of a full node is read",
		Runs: 2 * len(pods), Faults: 2 * len(pods), Survived: 2*len(pods) - lost, Lost: lost})
}
