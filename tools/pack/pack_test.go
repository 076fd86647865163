package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const testRef = "registry.example/team/hello:v1.2.3"

// buildHello builds a static program for an architecture and returns its file.
func buildHello(t *testing.T, arch string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hello-"+arch)
	goBuild(t, "testdata/hello", file, arch, ".")
	return file
}

// goBuild builds a package as the Makefile does: the same flags, the same bytes.
func goBuild(t *testing.T, dir, out, arch, pkg string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, pkg)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s for %s in %s: %v\n%s", pkg, arch, dir, err, output)
	}
}

// pack runs the command and returns what it prints.
func pack(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if err := run(args, &stdout, &stderr); err != nil {
		t.Fatalf("pack %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String())
}

func TestSameBytes(t *testing.T) {
	amd64, arm64 := buildHello(t, "amd64"), buildHello(t, "arm64")
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.tar"), filepath.Join(dir, "second.tar")
	digest := pack(t, "-ref", testRef, "-o", first, "-label", "a=1", "-label", "b=2", "linux/amd64="+amd64, "linux/arm64="+arm64)

	// Another time of the files, another order of the arguments.
	for _, file := range []string{amd64, arm64} {
		if err := os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	again := pack(t, "-label", "b=2", "-label", "a=1", "-ref", testRef, "-o", second, "linux/arm64="+arm64, "linux/amd64="+amd64)
	if digest != again {
		t.Errorf("digest %s, then %s", digest, again)
	}
	if !bytes.Equal(readFile(t, first), readFile(t, second)) {
		t.Error("the second archive has other bytes than the first")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".pack-*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

func TestIndex(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "new", "image.tar")
	digest := pack(t, "-ref", testRef, "-o", archive, "-entrypoint", "/greet", "-user", "65534", "-label", "k=v=w",
		"linux/arm64="+buildHello(t, "arm64"), "linux/amd64="+buildHello(t, "amd64"))

	top := readLayout(t, archive)
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{
		{"io.containerd.image.name": testRef, "org.opencontainers.image.ref.name": "v1.2.3"},
		{"io.containerd.image.name": "registry.example/team/hello@" + digest},
	}
	if len(manifest.Manifests) != len(want) {
		t.Fatalf("%d entries in index.json, want the image by tag and by digest", len(manifest.Manifests))
	}
	for i, entry := range manifest.Manifests {
		if got := entry.Digest.String(); got != digest {
			t.Errorf("digest in index.json is %s, printed was %s", got, digest)
		}
		if !maps.Equal(entry.Annotations, want[i]) {
			t.Errorf("annotations %v, want %v", entry.Annotations, want[i])
		}
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("the index is not valid: %v", err)
	}
	var platforms []string
	for img, platform := range images(t, index) {
		platforms = append(platforms, platform.String())
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if c := config.Config; !slices.Equal(c.Entrypoint, []string{"/greet"}) || c.User != "65534" || c.Labels["k"] != "v=w" {
			t.Errorf("%s: config is %+v", platform, c)
		}
		if config.Architecture != platform.Architecture || !config.Created.Equal(epoch) {
			t.Errorf("%s: made for %s at %s", platform, config.Architecture, config.Created)
		}
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %v, want %v", platforms, want)
	}
}

func TestFullName(t *testing.T) {
	tests := map[string]string{ // as containerd names them
		"demo:dev":                    "docker.io/library/demo",
		"team/demo:dev":               "docker.io/team/demo",
		"ghcr.io/team/demo:v1":        "ghcr.io/team/demo",
		"localhost:5000/team/demo:v1": "localhost:5000/team/demo",
	}
	for ref, want := range tests {
		tag, err := parseRef(ref)
		if err != nil {
			t.Errorf("parseRef(%q): %v", ref, err)
		} else if got := fullName(tag); got != want {
			t.Errorf("fullName(%s) = %s, want %s", ref, got, want)
		}
	}
}

func TestRefused(t *testing.T) {
	hello := buildHello(t, "amd64")
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no name", []string{"linux/amd64=" + hello}, "no image name"},
		{"no tag", []string{"-ref", "team/hello", "linux/amd64=" + hello}, "must name a version"},
		{"latest", []string{"-ref", "team/hello:latest", "linux/amd64=" + hello}, "must name a version"},
		{"bad tag", []string{"-ref", "team/hello:v1+dirty", "linux/amd64=" + hello}, "image name"},
		{"a digest", []string{"-ref", "team/hello@sha256:" + strings.Repeat("0", 64), "linux/amd64=" + hello}, "image name"},
		{"no binary", []string{"-ref", testRef}, "no binary"},
		{"no platform", []string{"-ref", testRef, hello}, "not os/arch=FILE"},
		{"another system", []string{"-ref", testRef, "windows/amd64=" + hello}, "not linux/ARCH"},
		{"twice", []string{"-ref", testRef, "linux/amd64=" + hello, "linux/amd64=" + hello}, "a second one"},
		{"wrong architecture", []string{"-ref", testRef, "linux/arm64=" + hello}, "not for arm64"},
		{"not a program", []string{"-ref", testRef, "linux/amd64=" + text}, "not a Linux program"},
		{"no such file", []string{"-ref", testRef, "linux/amd64=/no/such/file"}, "no such file"},
		{"deep entrypoint", []string{"-ref", testRef, "-entrypoint", "/usr/bin/hello", "linux/amd64=" + hello}, "entrypoint"},
		{"label", []string{"-ref", testRef, "-label", "novalue", "linux/amd64=" + hello}, "not k=v"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "image.tar")
			err := run(append([]string{"-o", out}, tt.args...), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("an archive was written all the same")
			}
		})
	}
}

func TestDynamicRefused(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil || runtime.GOOS != "linux" {
		t.Skip("no /bin/sh of Linux to be refused")
	}
	if err := checkStatic(readFile(t, shell), runtime.GOARCH); err == nil || !strings.Contains(err.Error(), "not static") {
		t.Errorf("/bin/sh: %v, want a refusal of its dynamic loader", err)
	}
}

// images yields the images of an index with their platforms, in its order.
func images(t *testing.T, index v1.ImageIndex) func(yield func(v1.Image, *v1.Platform) bool) {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(v1.Image, *v1.Platform) bool) {
		for _, m := range manifest.Manifests {
			img, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if !yield(img, m.Platform) {
				return
			}
		}
	}
}

// readLayout unpacks an archive with tar, a second opinion on its format, and opens the layout in it.
func readLayout(t *testing.T, archive string) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-x", "-f", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", archive, err, out)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
