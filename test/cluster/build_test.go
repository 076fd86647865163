package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// Two commands that need the same programs build them once: the second waits, and finds them.
func TestBuildsOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var sources atomic.Int32
	b := product{
		name: "a program", folder: "p-1", programs: []string{"p"}, args: []string{"."},
		source: func(_ context.Context, dir string) (string, error) {
			sources.Add(1)
			time.Sleep(100 * time.Millisecond)
			return dir, errors.Join(os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module p\n"), 0o600),
				os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
		},
	}
	errs := make(chan error)
	for range 2 {
		go func() { errs <- b.build(t.Context(), newProgress(io.Discard)) }()
	}
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := sources.Load(); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
	if _, built, err := b.paths(); err != nil || !built {
		t.Errorf("built: %v, %v", built, err)
	}
}

func TestBuildThatWaitsIsInterrupted(t *testing.T) {
	cache := t.TempDir()
	release, err := alone(t.Context(), cache, newProgress(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancelCause(t.Context())
	interrupt := errors.New("Ctrl-C")
	cancel(interrupt)
	if _, err := alone(ctx, cache, newProgress(io.Discard)); !errors.Is(err, interrupt) {
		t.Errorf("got %v, want that it was interrupted", err)
	}
}
