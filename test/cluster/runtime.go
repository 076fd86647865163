package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// secondRuntime is the containerd of the last node of a cluster that has two container runtimes (--second-runtime): that of the
// distribution is years older.
const secondRuntime = "v2.4.2"

// secondPrograms are what of it a node runs; ctr and runc are the distribution's.
var secondPrograms = []string{"containerd", "containerd-shim-runc-v2"}

// cachedRuntime says in which folder the second runtime belongs, and whether it is there.
func cachedRuntime() (dir string, built bool, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", false, fmt.Errorf("finding a folder for built binaries: %w: set XDG_CACHE_HOME", err)
	}
	dir = filepath.Join(cache, "kubectl-cosanet", "containerd-"+strings.Join([]string{secondRuntime, goVersion(), runtime.GOARCH}, "-"))
	for _, name := range secondPrograms {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return dir, false, nil
		}
	}
	return dir, true, nil
}

// buildRuntime installs the second runtime from its Go module into the cache, as that module's own go.mod and go.sum have it: a
// requirement of ours would mix its dependencies with those of Kubernetes, and build all of that anew.
func buildRuntime(ctx context.Context, final string, p *progress) error {
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), "building-")
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	defer os.RemoveAll(dir)
	args := []string{"install", "-v", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=" + secondRuntime,
		"-tags", "no_btrfs no_devmapper no_zfs"}
	for _, name := range secondPrograms {
		args = append(args, "github.com/containerd/containerd/v2/cmd/"+name+"@"+secondRuntime)
	}
	out := filepath.Join(dir, "out")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "GOBIN="+out)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	p.step("building containerd %s (once; 2 to 3 minutes on 2 cores when Go's build cache is cold)", secondRuntime)
	if err := runCounted(cmd, p); err != nil {
		return fmt.Errorf("building containerd: %w", err)
	}
	if err := os.Rename(out, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keeping the built binaries: %w", err)
	}
	return nil
}

// runtime makes the second runtime, if it is asked for and not there yet, and returns its folder.
func (o options) runtime(ctx context.Context, p *progress) (string, error) {
	if !o.second {
		return "", nil
	}
	dir, built, err := cachedRuntime()
	if err == nil && !built {
		err = buildRuntime(ctx, dir, p)
	}
	return dir, err
}

// runtimeOf is the folder of a node's container runtime; empty where it is the machine's own.
func (s *State) runtimeOf(node int) string {
	if node == s.Nodes {
		return s.Second
	}
	return ""
}

// runtimeFolder is where a node has its own container runtime.
const runtimeFolder = "/run/runtime"

// programs are open files, by name: the mounts of a node hide the folder that they are from.
type programs map[string]*os.File

// openRuntime opens the node's own container runtime; none where it is the machine's.
func (n nodeOrder) openRuntime() (programs, error) {
	open := programs{}
	for _, name := range secondPrograms {
		if n.Runtime == "" {
			break
		}
		f, err := os.OpenFile(filepath.Join(n.Runtime, name), unix.O_PATH, 0)
		if err != nil {
			return nil, fmt.Errorf("opening the container runtime: %w", err)
		}
		open[name] = f
	}
	return open, nil
}

// install puts the programs before all others on PATH, where containerd looks for its shim too.
func (p programs) install() error {
	if len(p) == 0 {
		return nil
	}
	if err := os.Mkdir(runtimeFolder, 0o755); err != nil {
		return err
	}
	for name, f := range p {
		if err := bindFile(f, filepath.Join(runtimeFolder, name)); err != nil {
			return err
		}
	}
	return os.Setenv("PATH", runtimeFolder+":"+os.Getenv("PATH"))
}
