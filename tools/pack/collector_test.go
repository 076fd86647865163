package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// maxImage is how many bytes a node pulls at most, compressed: what makes a first answer wait on a slow registry.
const maxImage = 12 << 20

// TestCollectorImage builds the collector's image twice, the second time from a copy of the sources in another folder,
// and wants the same bytes, small enough.
func TestCollectorImage(t *testing.T) {
	const ref = "ghcr.io/cosanet/kubectl-cosanet:v0.0.0-test"
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, part := range []string{"pkg", "node-image"} {
		if err := os.CopyFS(filepath.Join(elsewhere, part), os.DirFS(filepath.Join(root, part))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum"} {
		if err := os.WriteFile(filepath.Join(elsewhere, file), readFile(t, filepath.Join(root, file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	var archives [2]string
	for i, source := range []string{root, elsewhere} {
		dir := t.TempDir()
		args := []string{"-ref", ref, "-entrypoint", "/cosanet-collector", "-o", filepath.Join(dir, "image.tar")}
		for _, arch := range []string{"amd64", "arm64"} {
			binary := filepath.Join(dir, arch)
			goBuild(t, source, binary, arch, "./node-image")
			args = append(args, "linux/"+arch+"="+binary)
		}
		pack(t, args...)
		archives[i] = filepath.Join(dir, "image.tar")
	}
	if !bytes.Equal(readFile(t, archives[0]), readFile(t, archives[1])) {
		t.Error("the image built from a copy of the sources has other bytes")
	}

	top := readLayout(t, archives[0])
	manifest, err := top.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := top.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	for img, platform := range images(t, index) {
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		var size int64
		for _, layer := range layers {
			n, err := layer.Size()
			if err != nil {
				t.Fatal(err)
			}
			size += n
		}
		t.Logf("%s: %.1f MiB compressed", platform, float64(size)/(1<<20))
		if size > maxImage {
			t.Errorf("%s: %d bytes compressed, want at most %d", platform, size, maxImage)
		}
	}
}
