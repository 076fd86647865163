package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// sources is all it takes to build the cluster's own binaries, so that they are built the same from anywhere.
//
//go:embed go.mod go.sum kube/main.go pause/main.go
var sources embed.FS

// binaries are what a build yields.
type binaries struct {
	kube, pause string
}

// kubeVersion is the version of k8s.io/kubernetes that go.mod requires.
func kubeVersion() (string, error) {
	mod, err := sources.ReadFile("go.mod")
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`k8s\.io/kubernetes (v1\.[0-9]+\.[0-9]+\S*)`).FindSubmatch(mod)
	if m == nil {
		return "", errors.New("go.mod of the cluster requires no k8s.io/kubernetes")
	}
	return string(m[1]), nil
}

// cachedBinaries says where the binaries of these sources and this toolchain belong, and whether they are there.
func cachedBinaries() (binaries, bool, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return binaries{}, false, fmt.Errorf("finding a folder for built binaries: %w: set XDG_CACHE_HOME", err)
	}
	h := sha256.New()
	fmt.Fprintln(h, goVersion(), runtime.GOARCH)
	err = fs.WalkDir(sources, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := sources.ReadFile(path)
		fmt.Fprintln(h, path, len(data))
		h.Write(data)
		return err
	})
	if err != nil {
		return binaries{}, false, err
	}
	dir := filepath.Join(cache, "kubectl-cosanet", "kube-"+hex.EncodeToString(h.Sum(nil))[:16])
	b := binaries{kube: filepath.Join(dir, "kube"), pause: filepath.Join(dir, "pause")}
	_, err = os.Stat(b.kube)
	_, err2 := os.Stat(b.pause)
	return b, err == nil && err2 == nil, nil
}

// goVersion is that of the toolchain which would build, or, on a machine that has none, of this program.
func goVersion() string {
	cmd := exec.Command("go", "env", "GOVERSION")
	cmd.Dir = os.TempDir() // not under the toolchain line of whatever module this is called from
	out, err := cmd.Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}

// build makes the binaries in the cache, with its progress on stderr: it takes minutes when Go's build cache is cold.
func build(ctx context.Context, b binaries, p *progress) error {
	version, err := kubeVersion()
	if err != nil {
		return err
	}
	final := filepath.Dir(b.kube)
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), "building-")
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "src"), sources); err != nil {
		return fmt.Errorf("unpacking the sources of kube: %w", err)
	}
	out := filepath.Join(dir, "out")
	cmd := exec.CommandContext(ctx, "go", "build", "-v", "-buildvcs=false", "-trimpath", "-ldflags", ldflags(version),
		"-o", out+"/", "./kube", "./pause")
	cmd.Dir = filepath.Join(dir, "src")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go removes its own leftovers then
	cmd.WaitDelay = 10 * time.Second
	p.step("building Kubernetes %s (once; about 10 minutes on 2 cores when Go's build cache is cold)", version)
	if err := runCounted(cmd, p); err != nil {
		return fmt.Errorf("building Kubernetes: %w", err)
	}
	if err := os.Rename(out, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keeping the built binaries: %w", err)
	}
	return nil
}

func ldflags(version string) string {
	const pkg = "k8s.io/component-base/version."
	return fmt.Sprintf("-s -w -X %[1]sgitVersion=%[2]s -X %[1]sgitTreeState=clean", pkg, version)
}

// runCounted runs `go build -v`, which names every package that it compiles on stderr, and shows their number. A
// failure is told with its last words.
func runCounted(cmd *exec.Cmd, p *progress) error {
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	var last []string
	modules, packages := 0, 0
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "go: downloading ") {
			modules++
		} else {
			packages++
		}
		last = append(last, lines.Text())
		last = last[max(0, len(last)-20):]
		p.tick("%d modules downloaded, %d packages compiled", modules, packages)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go build: %w:\n  | %s", err, strings.Join(last, "\n  | "))
	}
	return nil
}
