package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// TestSequence has files whose frames say what they say, in order, doubled, lost, and one file after the other.
func TestSequence(t *testing.T) {
	const wrong = "wrong"
	tests := map[string]struct {
		frames string // 3 of a recording, 3/4 of a snapshot, a log's, - without a number; | ends a recording of as many frames
		want   string // whole, cut, or wrong
	}{
		"a recording":                          {"1 2 3 |3", "whole"},
		"one that was killed":                  {"1 2 3", "cut"},
		"its first frame is lost":              {"2 3 |3", wrong},
		"a frame in between is lost":           {"1 3 |3", wrong},
		"its last frame is lost":               {"1 2 |3", wrong},
		"a frame is there twice":               {"1 2 2 3 |3", wrong},
		"two recordings":                       {"1 2 |2 1 2 3 |3", "whole"},
		"two, the first one was killed":        {"1 2 1 2 3 |3", "cut"},
		"a killed one and a snapshot":          {"1 2 1/2 2/2", "cut"},
		"a snapshot":                           {"1/2 2/2", "whole"},
		"a snapshot that was cut":              {"1/2", wrong},
		"a snapshot that ends as a record":     {"1/2 2/2 |2", wrong},
		"two ends":                             {"1 2 |2 |2", wrong},
		"an earlier version":                   {"- - -", "whole"},
		"an earlier version and a recording":   {"- - 1 |1", "whole"},
		"a recording and an earlier version":   {"1 - -", "cut"},
		"logs of two nodes":                    {"a1 a2 b1 b2", "whole"},
		"a log of which the beginning is lost": {"a7 a8", "whole"}, // who saved it knows how many there were
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := wrong
			if whole, err := inSequence(test.frames); err == nil {
				got = map[bool]string{true: "whole", false: "cut"}[whole]
			} else if !errors.Is(err, metrics.ErrTruncated) {
				t.Errorf("%v is not an error of a file that is not whole", err)
			}
			if got != test.want {
				t.Errorf("%s is %s, want %s", test.frames, got, test.want)
			}
		})
	}
}

// inSequence has the frames of a table's words come one after the other.
func inSequence(frames string) (bool, error) {
	var q sequence
	for word := range strings.FieldsSeq(frames) {
		trailer, ended := metrics.Trailer{Run: savedRun}, 0
		switch {
		case word[0] == '|':
			fmt.Sscanf(word, "|%d", &ended)
		case word[0] >= 'a':
			trailer.Run = word[:1]
			fmt.Sscanf(word[1:], "%d", &trailer.Number)
		case word != "-":
			fmt.Sscanf(word, "%d/%d", &trailer.Number, &trailer.Of)
		}
		if ended > 0 {
			if err := q.end(ended); err != nil {
				return false, err
			}
		} else if err := q.next(&trailer); err != nil {
			return false, err
		}
	}
	return q.finish()
}

// recordedText is a recording of two nodes, and where in it frames end, the last one too.
func recordedText(t *testing.T, members func(node string) []member) (text []byte, ends []int) {
	t.Helper()
	var out bytes.Buffer
	r := newRecorder("-", &out)
	first, second := record(t, "node-1", members("node-1"), 3), record(t, "node-2", members("node-2"), 3)
	for i := range first {
		for _, s := range []*metrics.Snapshot{first[i], second[i]} {
			if err := r.write(nodeOf(s), s); err != nil {
				t.Fatal(err)
			}
			ends = append(ends, out.Len())
		}
	}
	if err := r.close(true); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), ends
}

// TestCutRecordings cuts a recording at every byte: what is read of it is whole only with its last one. Between two frames
// that is said, anywhere else it is an error.
func TestCutRecordings(t *testing.T) {
	text, ends := recordedText(t, func(string) []member { return nil })
	runs, lost := 0, 0
	for n := 1; n <= len(text); n++ {
		whole, err := readFrames(bytes.NewReader(text[:n]), func(*saved) error { return nil })
		want := "an error"
		switch {
		case n == len(text):
			want = "whole"
		case slices.Contains(ends, n):
			want = "cut"
		}
		got := map[bool]string{true: "whole", false: "cut"}[whole]
		if err != nil {
			got = "an error"
		}
		runs++
		if got != want {
			lost++
			t.Errorf("%d bytes of %d: %s, want %s: %v", n, len(text), got, want, err)
		}
	}
	text, ends = recordedText(t, func(node string) []member { return nodes[node] })
	for _, n := range ends {
		for _, view := range viewsOfFile {
			out, errOut, code := invoke(t, text[:n], append(strings.Fields(view), "--from", "-")...)
			runs++
			said := strings.Contains(errOut, noEnd)
			if !said && (out != "" || code == ExitOK) || strings.HasPrefix(view, "snapshot") && strings.Contains(out, "# cosanet-end") {
				lost++
				t.Errorf("cut after %d bytes, %s: exit code %d, %d bytes shown, %s", n, view, code, len(out), errOut)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "killed.prom")
	if err := os.WriteFile(file, text[:ends[len(ends)-1]], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := invoke(t, nil, "diff", file+"#shop/web-0", file+"#shop/web-1"); code > 1 || strings.Count(errOut, file+": "+noEnd) != 2 {
		t.Errorf("diff of two sides of a file that was cut: exit code %d, %s", code, errOut)
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a recording that was cut, or whose writer was killed, is never taken for whole: between two frames that is said beside what is shown, elsewhere nothing is",
		Runs: runs, Faults: runs - 1, Survived: runs - lost, Lost: lost})
}

// A whole recording is shown without a word of it, and so is a copy of a part.
func TestWholeRecording(t *testing.T) {
	text, _ := recordedText(t, func(node string) []member { return nodes[node] })
	for _, view := range viewsOfFile {
		out, errOut, code := invoke(t, text, append(strings.Fields(view), "--from", "-")...)
		if out == "" || code > 1 || strings.Contains(errOut, noEnd) {
			t.Errorf("%s: exit code %d, %d bytes shown, %s", view, code, len(out), errOut)
		}
	}
	part, errOut, code := invoke(t, text, "snapshot", "-A", "--from", "-", "--between", "+0s,+1s", "-o", "-")
	if code != ExitOK || !strings.HasSuffix(part, "\n# EOF\n# cosanet-end v=1 frames=4\n") {
		t.Fatalf("a part: exit code %d, %s", code, errOut)
	}
	if _, errOut, code := invoke(t, []byte(part), "top", "-A", "--from", "-"); code != ExitOK || strings.Contains(errOut, noEnd) {
		t.Errorf("a view of a part: exit code %d, %s", code, errOut)
	}
}
