package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// registry is a container registry with a password, on the loopback of a node: the one place from where containerd pulls
// without TLS and without being told to.
type registry struct {
	address string
	netns   string // of the node

	mu       sync.Mutex
	requests []string // "200 me GET /v2/...", as tools/registry writes them
}

// startRegistry runs it until the test ends.
func (c *cluster) startRegistry(t *testing.T, node string) *registry {
	t.Helper()
	r := &registry{netns: filepath.Join(filepath.Dir(c.Kubeconfig), "netns", node)}
	cmd := exec.Command("nsenter", "--net="+r.netns, "../../bin/tools/registry", "-user", "me", "-password", "secret")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatal("the registry does not say where it listens")
	}
	r.address = lines.Text()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines.Scan() {
			r.mu.Lock()
			r.requests = append(r.requests, lines.Text())
			r.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		<-read
		if err := cmd.Wait(); err != nil {
			t.Errorf("the registry ended with %v", err)
		}
	})
	return r
}

// seen counts the requests that begin so, of a method and a kind of path.
func (r *registry) seen(begin, kind string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, line := range r.requests {
		if strings.HasPrefix(line, begin) && strings.Contains(line, kind) {
			n++
		}
	}
	return n
}

// freshArchive packs the collector anew: under another path in the image, so that not one of its layers is on a node.
func (c *cluster) freshArchive(t *testing.T, name string) (dir, digest string) {
	t.Helper()
	dir = t.TempDir()
	binary, err := filepath.Abs(filepath.Join("../../dist", runtime.GOARCH, "cosanet-collector"))
	if err != nil {
		t.Fatal(err)
	}
	r := embedded.Finish(exec.Command("../../bin/tools/pack", "-ref", name, "-o", filepath.Join(dir, "dist", "collector-image.tar"),
		"-entrypoint", "/collector-"+strings.ToLower(rand.Text()), "linux/"+runtime.GOARCH+"="+binary))
	if r.Code != 0 {
		t.Fatalf("pack: %s", r.Stderr)
	}
	return dir, strings.TrimSpace(r.Stdout)
}

// removeImage removes the image of a repository from a node, under all names that it has there. To be deferred.
func (c *cluster) removeImage(t *testing.T, node, repository string) {
	t.Helper()
	names := map[string][]string{} // by digest
	digest := ""
	for line := range strings.Lines(c.onNode(t, node, nil, "ctr", "-n", "k8s.io", "images", "ls")) {
		fields := strings.Fields(line) // REF TYPE DIGEST ...
		names[fields[2]] = append(names[fields[2]], fields[0])
		if strings.HasPrefix(fields[0], repository) {
			digest = fields[2]
		}
	}
	if digest == "" {
		t.Errorf("%s is not on %s", repository, node)
		return
	}
	c.onNode(t, node, nil, append([]string{"ctr", "-n", "k8s.io", "images", "rm"}, names[digest]...)...)
}

// onNode runs a command on a node.
func (c *cluster) onNode(t *testing.T, node string, stdin []byte, command ...string) string {
	t.Helper()
	cmd := exec.Command(c.Program, append([]string{"exec", node, "--"}, command...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	r := embedded.Finish(cmd)
	if r.Code != 0 {
		t.Fatalf("%v on %s: exit code %d: %s%s", command, node, r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}
