package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// content is what an archive holds: name, mode and size of each file.
type content struct {
	Name string
	Mode os.FileMode
	Size int64
}

// programs builds a small program for some platforms, as make dist lays them out.
func programs(t *testing.T, platforms ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range platforms {
		goos, arch, _ := strings.Cut(p, "/")
		cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
			"-o", filepath.Join(dir, goos, arch, Plugin{OS: goos}.Bin()), "../pack/testdata/hello")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building for %s: %v\n%s", p, err, out)
		}
	}
	return dir
}

func TestSameBytes(t *testing.T) {
	built := programs(t, "linux/amd64", "windows/amd64")
	var sums [2]string
	for i := range sums {
		dir := t.TempDir()
		if err := run([]string{"-version", "v1.2.3", "-license", "../../LICENSE", "-o", dir, built}, io.Discard); err != nil {
			t.Fatal(err)
		}
		sums[i] = string(readFile(t, filepath.Join(dir, sumsFile)))
		err := filepath.WalkDir(built, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0)), os.Chmod(path, 0o700))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(sums[0], sums[1]); diff != "" {
		t.Errorf("with other times and modes of the programs (-first +second):\n%s", diff)
	}
	if n := strings.Count(sums[0], "\n"); n != 3 {
		t.Errorf("%d sums, want those of two archives and the manifest:\n%s", n, sums[0])
	}
}

func TestRefused(t *testing.T) {
	built := programs(t, "linux/amd64")
	elsewhere := t.TempDir()
	if err := os.CopyFS(filepath.Join(elsewhere, "darwin"), os.DirFS(filepath.Join(built, "linux"))); err != nil {
		t.Fatal(err)
	}
	script := t.TempDir()
	if err := os.MkdirAll(filepath.Join(script, "linux", "amd64"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(script, "linux", "amd64", "kubectl-cosanet"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no version", []string{built}, "must name its version"},
		{"latest", []string{"-version", "latest", built}, "must name its version"},
		{"no v", []string{"-version", "1.2.3", built}, "not like v1.2.3"},
		{"two numbers", []string{"-version", "v1.2", built}, "not like v1.2.3"},
		{"what no tag may have", []string{"-version", "v1.2.3+4", built}, "not like v1.2.3"},
		{"no programs", []string{"-version", "v1.2.3", t.TempDir()}, "no program"},
		{"no folder", []string{"-version", "v1.2.3"}, "give the folder"},
		{"another system's program", []string{"-version", "v1.2.3", elsewhere}, "not built with GOOS=darwin"},
		{"not a program", []string{"-version", "v1.2.3", script}, "linux/amd64"},
		{"no license", []string{"-version", "v1.2.3", "-license", "/no/such/file", built}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := t.TempDir()
			err := run(append([]string{"-o", out, "-license", "../../LICENSE"}, tt.args...), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			if _, err := os.Stat(filepath.Join(out, sumsFile)); err == nil {
				t.Error("checksums were written all the same: it looks complete")
			}
		})
	}
}

// TestMakefileRefuses wants no build at all of what names no version: not of the plugin, not of the image.
func TestMakefileRefuses(t *testing.T) {
	for _, version := range []string{"", "latest", " "} {
		for _, target := range []string{"build", "image", "dist", "push"} {
			cmd := exec.Command("make", "--dry-run", target, "VERSION="+version)
			cmd.Dir = "../.."
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "VERSION must name a version") {
				t.Errorf("make %s VERSION=%q: %v, want a refusal:\n%s", target, version, err, out)
			}
		}
	}
}

// readArchive returns what is in an archive, and the bytes of its first file.
func readArchive(t *testing.T, file string) (files []content, program []byte) {
	t.Helper()
	data := readFile(t, file)
	if filepath.Ext(file) == ".zip" {
		r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		for i, f := range r.File {
			files = append(files, content{f.Name, f.Mode(), int64(f.UncompressedSize64)})
			if i == 0 {
				rc, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				program = readAll(t, rc)
			}
		}
		return files, program
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	for r := tar.NewReader(zr); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, program
		} else if err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		files = append(files, content{header.Name, header.FileInfo().Mode(), header.Size})
		if program == nil {
			program = readAll(t, r)
		}
	}
}

func readAll(t *testing.T, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
