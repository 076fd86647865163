package collector

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The tests of this file's functions run the collector's own program, as it is in the image, as a process with the rights of a pod.

// profile is a process with the rights that the plugin's pod of that --profile has (pkg/plugin/pod.go).
type profile struct {
	name string
	user int
	caps []string // nil: all
}

var profiles = []profile{
	{name: "privileged"},
	{name: "netadmin", caps: []string{"sys_admin", "net_admin", "sys_ptrace"}},
	{name: "restricted", user: 65534, caps: []string{}},
}

// program is the collector's binary.
func program(t *testing.T) string { return built(t, "../../node-image") }

// built builds a static program into a directory that every user may enter.
func built(t *testing.T, source string) string {
	t.Helper()
	file := filepath.Join(openDir(t), "program")
	build := exec.Command("go", "build", "-o", file, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", source, err, out)
	}
	return file
}

// openDir is a directory of the test for every user.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cosanet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// command runs a command line as a process of the profile.
func (p profile) command(ctx context.Context, args ...string) *exec.Cmd {
	bounding := "+all"
	if p.caps != nil {
		bounding = strings.Join(append([]string{"-all"}, p.caps...), ",+")
	}
	set := []string{"--bounding-set", bounding, "--inh-caps", "-all"}
	if p.user != 0 {
		user := "65534"
		set = append(set, "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs")
	}
	return exec.CommandContext(ctx, "setpriv", append(append(set, "--"), args...)...)
}

func decodeFrame(t *testing.T, out []byte) *metrics.Snapshot {
	t.Helper()
	frame, err := metrics.NewFrameReader(bytes.NewReader(out), "r").Next()
	if err != nil {
		t.Fatalf("%v in %q", err, out[max(0, len(out)-300):])
	}
	s, err := frame.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rootsRuntime is the socket of a container runtime that knows one pod and, as all of them, listens for root alone.
func rootsRuntime(t *testing.T, pod *testPod) string {
	t.Helper()
	runtime := &faultyRuntime{
		list:   answer(sandbox(pod.id, "shop", "web-0", pod.uid)),
		status: func(string) (*cri.PodSandboxStatusResponse, error) { return &cri.PodSandboxStatusResponse{}, nil },
	}
	socket := runtime.serve(t)
	if err := os.Chmod(socket, 0o660); err != nil {
		t.Fatal(err)
	}
	return socket
}

// scrape gets a page of an exporter that is asked for it as Prometheus does.
func scrape(t *testing.T, url, accept string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %v %v", url, response.Status, err)
	}
	return body
}

// listeningAt waits until the exporter's log says at which address it answers.
func listeningAt(t *testing.T, log io.Reader) (address string) {
	t.Helper()
	text := ""
	for buf := make([]byte, 4096); ; {
		n, err := log.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text += string(buf[:n])
		if _, after, ok := strings.Cut(text, `"msg":"Listening on","address":"`); ok {
			if address, _, ok = strings.Cut(after, `"`); ok {
				go io.Copy(io.Discard, log)
				return address
			}
		}
	}
}
