package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestImport imports an archive into a real containerd, as a node's operator would, and looks at what it made of it.
func TestImport(t *testing.T) {
	needContainerd(t)
	archive := filepath.Join(t.TempDir(), "image.tar")
	digest := pack(t, "-ref", testRef, "-o", archive, "linux/amd64="+buildHello(t, "amd64"), "linux/arm64="+buildHello(t, "arm64"))
	ctr := startContainerd(t)

	ctr(t, "images", "import", "--all-platforms", "--no-unpack", archive)
	listed := ctr(t, "images", "list")
	byDigest := strings.TrimSuffix(testRef, ":v1.2.3") + "@" + digest
	for _, want := range []string{testRef, byDigest, "linux/amd64", "linux/arm64"} {
		if !strings.Contains(listed, want) {
			t.Errorf("no %s among the images after the import:\n%s", want, listed)
		}
	}

	// Only this machine's platform, by the command of the README: unpacked, it holds the binary that was packed. By its
	// digest, as a released plugin asks for it.
	ctr(t, "images", "import", archive)
	dir := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctr(t, "images", "mount", byDigest, dir)
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	out, err := exec.Command(filepath.Join(dir, "hello")).CombinedOutput()
	if err != nil || string(out) != "hello from the image\n" {
		t.Errorf("running the binary of the image on %s: %v, output %q", runtime.GOARCH, err, out)
	}
}

// startContainerd runs a containerd of the test's own and returns its ctr, in the namespace of Kubernetes' images.
func startContainerd(t *testing.T) func(t *testing.T, args ...string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pack-") // a socket's path has at most 107 bytes: t.TempDir's is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	config := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket)
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	daemon := exec.Command("containerd", "--config", filepath.Join(dir, "config.toml"))
	daemon.Stdout, daemon.Stderr = &log, &log
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { daemon.Wait(); close(ended) }()
	t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("containerd's log:\n%s", &log)
		}
	})
	for {
		if exec.Command("ctr", "--address", socket, "version").Run() == nil {
			break
		}
		select {
		case <-ended:
			t.Fatalf("containerd ended:\n%s", &log)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return func(t *testing.T, args ...string) string {
		t.Helper()
		out, err := exec.Command("ctr", append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("ctr %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

// needContainerd skips on a machine where the test cannot run, and fails where it has to.
func needContainerd(t *testing.T) {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "root"
	} else if _, err := exec.LookPath("containerd"); err != nil {
		missing = "containerd (make deps)"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", missing)
	default:
		t.Skipf("needs %s", missing)
	}
}
