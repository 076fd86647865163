package plugin

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// kubeconfig is a file by which another process finds the server.
func (s *apiServer) kubeconfig(t *testing.T) string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config")
	yaml := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: " + s.url + "}}]\nusers: [{name: u}]\n"
	if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// A process that records comes to its end, is interrupted, or is killed: its file is whole, whole, and not.
func TestRecordingEnds(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process of Windows cannot be interrupted by another")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		duration string
		signal   os.Signal
		code     int // -1: of a signal
		whole    bool
	}{
		"by itself":   {"500ms", nil, ExitOK, true},
		"interrupted": {"1h", os.Interrupt, ExitInterrupted, true},
		"killed":      {"1h", os.Kill, -1, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newAPIServer(t, "a")
			counts := newCounter(t, 100*time.Millisecond)
			s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { counts.write(w, pod, 1, 1000) }
			file := filepath.Join(t.TempDir(), "r.prom")
			var said bytes.Buffer
			cmd := exec.CommandContext(t.Context(), self)
			cmd.Args = []string{"kubectl-cosanet", "snapshot", "--all-nodes", "--duration", test.duration, "--interval", "100ms", "-o", file,
				"--kubeconfig", s.kubeconfig(t), "--collector-namespace", "default", "--source", "pod"}
			cmd.Stdout, cmd.Stderr = &said, &said
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if test.signal != nil {
				written(t, file, 3)
				if err := cmd.Process.Signal(test.signal); err != nil {
					t.Fatal(err)
				}
			}
			cmd.Wait() // its exit code says it
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d\n%s", code, test.code, &said)
			}
			out, errOut, code := invoke(t, nil, "top", "--all-nodes", "--from", file)
			if code != ExitOK || !strings.Contains(out, "node/a") || strings.Contains(errOut, noEnd) == test.whole {
				t.Errorf("shown with exit code %d, want it to be whole: %v\n%s%s", code, test.whole, out, errOut)
			}
		})
	}
}

// written waits until so many frames are in a file.
func written(t *testing.T, file string, frames int) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil && bytes.Count(text, []byte("\n# EOF\n")) >= frames {
			return
		}
	}
	t.Fatalf("there are not %d frames in %s after 30 s", frames, file)
}
