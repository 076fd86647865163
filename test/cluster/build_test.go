package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestBuildProgress(t *testing.T) {
	var stderr bytes.Buffer
	p := newProgress(&stderr)
	p.last = time.Time{} // the last word was long ago
	err := runCounted(exec.Command("sh", "-c", "echo go: downloading x v1 >&2; exit 0"), p)
	if err != nil || !strings.Contains(stderr.String(), "1 modules downloaded, 0 packages compiled") {
		t.Errorf("got %v and %q, want how far it is", err, &stderr)
	}
	err = runCounted(exec.Command("sh", "-c", "echo example.org/x >&2; echo x.go:1: undefined: y >&2; exit 1"), p)
	if err == nil || !strings.Contains(err.Error(), "undefined: y") {
		t.Errorf("got %v, want what the compiler said", err)
	}
	if strings.Contains(stderr.String(), "1 packages") {
		t.Error("progress is told more often than every ten seconds")
	}
}

func TestCacheFolderIsStable(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	b, built, err := kubeBinaries()
	if err != nil || built {
		t.Fatalf("got %v, %v in an empty cache", built, err)
	}
	again, _, err := kubeBinaries()
	if err != nil || again != b {
		t.Errorf("got %v and then %v, %v", b, again, err)
	}
}
