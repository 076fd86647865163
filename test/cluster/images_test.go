package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportedNames(t *testing.T) {
	tests := []struct {
		name, out string
		want      []string
	}{
		{"containerd 1.6", "unpacking cluster.test/pause:1 (sha256:0123)...done\nunpacking cluster.test/b:2 (sha256:45)...done\n",
			[]string{"cluster.test/pause:1", "cluster.test/b:2"}},
		{"containerd 2", "cluster.test/pause:1                 saved\t\nImporting\telapsed: 0.1 s\ttotal:   0.0 B\t(0.0 B/s)\n",
			[]string{"cluster.test/pause:1"}},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, importedNames(tt.out)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The layer and the configuration are named by what they hold, so that the same binary is the same image.
func TestImageArchive(t *testing.T) {
	archive, err := imageArchive("cluster.test/x:1", "x", []byte("binary"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := imageArchive("cluster.test/x:1", "x", []byte("binary"))
	if err != nil || !bytes.Equal(archive, again) {
		t.Errorf("the same binary gave another image: %v", err)
	}
	files := untar(t, archive)
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	var config struct {
		Rootfs struct {
			DiffIDs []string `json:"diff_ids"`
		}
		Config struct{ Entrypoint []string }
	}
	if err := json.Unmarshal(files[manifest[0].Config], &config); err != nil {
		t.Fatal(err)
	}
	layer := files[manifest[0].Layers[0]]
	got := map[string]any{
		"tags": manifest[0].RepoTags, "config": manifest[0].Config, "layers": config.Rootfs.DiffIDs,
		"entrypoint": config.Config.Entrypoint, "binary": string(untar(t, layer)["x"]),
	}
	want := map[string]any{
		"tags":       []string{"cluster.test/x:1"},
		"config":     fmt.Sprintf("%x.json", sha256.Sum256(files[manifest[0].Config])),
		"layers":     []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))},
		"entrypoint": []string{"/x"},
		"binary":     "binary",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func untar(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
