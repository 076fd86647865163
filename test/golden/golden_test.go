package golden

import (
	"os"
	"path/filepath"
	"testing"
)

// asked notes what a test would have said, in place of failing.
type asked struct {
	testing.TB
	failed bool
}

func (a *asked) Helper()               {}
func (a *asked) Errorf(string, ...any) { a.failed = true }
func (a *asked) Fatalf(string, ...any) { a.failed = true; panic(a) }
func (a *asked) Fatal(...any)          { a.failed = true; panic(a) }

// fails tells whether a test would.
func fails(t *testing.T, f func(t testing.TB)) (failed bool) {
	a := &asked{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(a) {
			panic(r)
		}
		failed = a.failed
	}()
	f(a)
	return a.failed
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document.md")
	if !fails(t, func(t testing.TB) { File(t, file, "a", false) }) {
		t.Error("a file that is not there is as it should be")
	}
	File(t, file, "a", true)
	File(t, file, "a", false)
	if !fails(t, func(t testing.TB) { File(t, file, "b", false) }) {
		t.Error("another text is as it should be")
	}
}

func TestPart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "document.md")
	if err := os.WriteFile(file, []byte("head\n<!-- begin -->\nold\n<!-- end -->\nfoot\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	hold := func(t testing.TB, end string, update bool) string {
		return Part(t, file, "<!-- begin -->\n", end, "new\n", update)
	}
	const end, want = "<!-- end -->\n", "head\n<!-- begin -->\nnew\n<!-- end -->\nfoot\n"
	if !fails(t, func(t testing.TB) { hold(t, end, false) }) {
		t.Error("a part that is old is as it should be")
	}
	if !fails(t, func(t testing.TB) { hold(t, "<!-- nowhere -->\n", true) }) {
		t.Error("a part without an end is written")
	}
	if got := hold(t, end, true); got != want {
		t.Errorf("%q is returned, want %q", got, want)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != want {
		t.Errorf("%q (%v) is written, want %q", text, err, want)
	}
	hold(t, end, false)
}
