// Package golden holds files of the repository to what they are made of: documents that are generated, whole or in a part, and
// what a program printed when somebody last looked at it. A test's -update writes them anew.
package golden

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// File wants a file to be want, and makes it so with update.
func File(t testing.TB, file, want string, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is stale (-now +file); if that is meant, the test with -update writes it anew, and make docs all documents:\n%s", file, diff)
	}
}

// Part wants the part of a file between two marks to be want, and makes it so with update. It returns the whole file as it
// should be.
func Part(t testing.TB, file, begin, end, want string, update bool) (whole string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), begin)
	_, after, ends := strings.Cut(rest, end)
	if !begins || !ends {
		t.Fatalf("%s has no part between %q and %q", file, begin, end)
	}
	whole = before + begin + want + end + after
	File(t, file, whole, update)
	return whole
}
