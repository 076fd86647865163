package trial

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "write docs/reliability.json and .md from the results that COSANET_FIGURES names")

const (
	figuresFile  = "../../docs/reliability.json"
	documentFile = "../../docs/reliability.md"
	begin, end   = "<!-- measured: make chaos -->\n", "<!-- end of what was measured -->\n"
)

// TestDocument holds the table in docs/reliability.md to the figures that were measured.
func TestDocument(t *testing.T) {
	if *update {
		if err := measured(os.Getenv(figuresVariable)); err != nil {
			t.Fatal(err)
		}
	}
	figures, err := readFigures()
	if err != nil {
		t.Fatal(err)
	}
	golden.Part(t, documentFile, begin, end, figures.Markdown(), *update)
	testTestsExist(t, figures.Results)
}

// measured writes what the tests noted to figuresFile. A part that was not measured again stays.
func measured(file string) error {
	results, err := readFile(file)
	if err != nil {
		return err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	figures, err := readFigures()
	if err != nil {
		return err
	}
	figures.replace(results, time.Now().Format(time.DateOnly), fmt.Sprintf("Linux %s, %d processors", bytes.TrimSpace(kernel), runtime.NumCPU()))
	text, err := json.MarshalIndent(figures, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(figuresFile, append(text, '\n'), 0o644)
}

func readFigures() (*Figures, error) {
	text, err := os.ReadFile(figuresFile)
	if err != nil {
		return nil, err
	}
	figures := &Figures{}
	return figures, json.Unmarshal(text, figures)
}

func readFile(name string) ([]Result, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("results: %w (make chaos makes them)", err)
	}
	defer file.Close()
	return Read(file)
}

// testTestsExist wants each row's test in the tree: a figure of a test that is gone shows nothing.
func testTestsExist(t *testing.T, results []Result) {
	t.Helper()
	out, err := exec.Command("git", "-C", "../..", "grep", "-hE", "^func (Test|Fuzz)", "--", "*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		for test := range strings.SplitSeq(r.Test, ", ") {
			if !regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(`).Match(out) {
				t.Errorf("%q was shown by %s, which is no test here", r.Claim, test)
			}
		}
		if err := r.check(); err != nil {
			t.Error(err)
		}
	}
}
