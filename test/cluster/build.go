package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
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

// product is a set of programs that are built from Go modules into the cache, once for each version and toolchain.
type product struct {
	name     string                                                        // and version, for messages
	patience string                                                        // what a first build takes, for messages
	folder   string                                                        // in the cache
	programs []string                                                      // what must be there
	source   func(ctx context.Context, dir string) (src string, err error) // puts the module to build in into dir, or finds it
	args     []string                                                      // of go build
	cgo      bool
	rest     func(ctx context.Context, src, out string) error // builds what is not Go; nil: nothing
}

// paths says where the programs belong, and whether they are there.
func (b product) paths() (paths []string, built bool, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, false, fmt.Errorf("finding a folder for built binaries: %w: set XDG_CACHE_HOME", err)
	}
	built = true
	for _, name := range b.programs {
		path := filepath.Join(cache, "kubectl-cosanet", b.folder, name)
		_, err := os.Stat(path)
		built = built && err == nil
		paths = append(paths, path)
	}
	return paths, built, nil
}

// kubernetes is the control plane, the kubelet and kubectl in one binary, and the pause program, from this module.
func kubernetes() (product, error) {
	version, err := kubeVersion()
	if err != nil {
		return product{}, err
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
		return product{}, err
	}
	return product{
		name: "Kubernetes " + version, patience: "about 10 minutes", folder: "kube-" + hex.EncodeToString(h.Sum(nil))[:16],
		programs: []string{"kube", "pause"},
		source: func(_ context.Context, dir string) (string, error) {
			src := filepath.Join(dir, "src")
			if err := os.CopyFS(src, sources); err != nil {
				return "", fmt.Errorf("unpacking the sources of kube: %w", err)
			}
			return src, nil
		},
		args: []string{"-ldflags", ldflags(version), "./kube", "./pause"},
	}, nil
}

// kubeBinaries says where the programs of Kubernetes belong, and whether they are there.
func kubeBinaries() (b binaries, built bool, err error) {
	k, err := kubernetes()
	if err != nil {
		return b, false, err
	}
	paths, built, err := k.paths()
	if err != nil {
		return b, false, err
	}
	return binaries{kube: paths[0], pause: paths[1]}, built, nil
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

// build makes the programs in the cache, with its progress on stderr: it takes minutes when Go's build cache is cold.
func (b product) build(ctx context.Context, p *progress) error {
	paths, built, err := b.paths()
	if err != nil || built {
		return err
	}
	final := filepath.Dir(paths[0])
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	release, err := alone(ctx, filepath.Dir(final), p)
	if err != nil {
		return err
	}
	defer release()
	if _, built, err := b.paths(); err != nil || built {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(final), "building-")
	if err != nil {
		return fmt.Errorf("making the cache folder: %w", err)
	}
	defer os.RemoveAll(dir)
	p.step("building %s (once; %s on 2 cores when Go's build cache is cold)", b.name, b.patience)
	out := filepath.Join(dir, "out")
	if err := b.compile(ctx, dir, out, p); err != nil {
		return fmt.Errorf("building %s: %w", b.name, err)
	}
	if err := os.Rename(out, final); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keeping the built binaries: %w", err)
	}
	return nil
}

// alone waits until no other cluster command builds into the cache: two at once would do the same work twice.
func alone(ctx context.Context, cache string, p *progress) (release func(), err error) {
	for {
		release, err := lock(cache)
		if !errors.Is(err, errLocked) {
			return release, err
		}
		p.tick("waiting for another cluster command, which builds into %s", cache)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another build: %w", context.Cause(ctx))
		case <-time.After(time.Second):
		}
	}
}

func (b product) compile(ctx context.Context, dir, out string, p *progress) error {
	src, err := b.source(ctx, dir)
	if err != nil {
		return err
	}
	cmd := goCommand(ctx, src, append([]string{"build", "-v", "-buildvcs=false", "-trimpath", "-o", out + "/"}, b.args...)...)
	if b.cgo {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
	}
	if err := runCounted(cmd, p); err != nil {
		return err
	}
	if b.rest == nil {
		return nil
	}
	return b.rest(ctx, src, out)
}

// goCommand runs the go tool in a folder, untouched by what the shell has set for another module.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go removes its own leftovers then
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// module is the source of a product in another module, which is built where the go tool keeps it, as that module's own go.mod and
// go.sum have it: a requirement of ours would mix its dependencies with those of Kubernetes, and build all of that anew.
func module(path, version string) func(ctx context.Context, dir string) (string, error) {
	return func(ctx context.Context, dir string) (string, error) {
		var found struct{ Dir, Error string }
		out, err := goCommand(ctx, dir, "mod", "download", "-json", path+"@"+version).Output()
		if json.Unmarshal(out, &found) == nil && found.Error != "" {
			return "", errors.New(found.Error)
		}
		if err != nil {
			return "", fmt.Errorf("downloading %s@%s: go mod download: %w", path, version, err)
		}
		return found.Dir, nil
	}
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
