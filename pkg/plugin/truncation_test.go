package plugin

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// viewsOfFile show a saved file.
var viewsOfFile = []string{"top -A", "top -A -o json", "raw -A", "diff shop/web-0 shop/web-1", "explain -A", "snapshot -A -o -"}

// TestDamagedFiles shows files that were cut, also between two frames, that lost their beginning or lines in the middle, or
// that a panic has printed into: every command fails, and no view shows anything of them.
func TestDamagedFiles(t *testing.T) {
	fleet, err := readFleet(t.Context(), "testdata/fleet.prom", nil, moment{})
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := encodeFleet(fleet.Observations) // as kubectl cosanet snapshot saves it
	if err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	zw := gzip.NewWriter(&zipped)
	zw.Write(whole)
	zw.Close()
	for _, view := range viewsOfFile { // the whole file is shown
		for _, file := range [][]byte{whole, zipped.Bytes()} {
			if out, errOut, code := invoke(t, file, append(strings.Fields(view), "--from", "-")...); out == "" || code > 1 || code == 1 && !strings.HasPrefix(view, "diff") {
				t.Fatalf("%s: exit code %d, %s", view, code, errOut)
			}
		}
	}
	var ends []int // of frames: where a cut is least likely to be seen
	for rest := whole; ; {
		_, after, ok := bytes.Cut(rest, []byte("\n# EOF\n"))
		if !ok || len(after) == 0 {
			break
		}
		ends = append(ends, len(whole)-len(after))
		rest = after
	}
	if len(ends) != 3 {
		t.Fatalf("%d frames, want two of two nodes", len(ends)+1)
	}
	spread := func(n, over int) (at []int) {
		for i := range n {
			at = append(at, 1+i*(over-2)/n)
		}
		return at
	}
	tries := trial.Rounds(12, 400)
	var files [][]byte
	for _, at := range append(spread(tries, len(whole)), ends...) {
		line := bytes.LastIndexByte(whole[:at], '\n') + 1
		files = append(files, whole[:at], whole[at:], slices.Concat(whole[:line], []byte("panic: oh no\n"), whole[line:]), slices.Concat(whole[:line], whole[bytes.IndexByte(whole[line:], '\n')+line+1:]))
	}
	for _, at := range spread(tries, zipped.Len()) {
		files = append(files, zipped.Bytes()[:at])
	}
	runs, lost := 0, 0
	for i, file := range files {
		for _, view := range viewsOfFile {
			out, errOut, code := invoke(t, file, append(strings.Fields(view), "--from", "-")...)
			runs++
			shown := out != "" && !strings.HasPrefix(view, "snapshot") // which copies frame by frame, those that are whole
			if shown || code == ExitOK || code == 1 && strings.HasPrefix(view, "diff") || !strings.HasPrefix(errOut, "error: ") {
				lost++
				t.Errorf("file %d of %d bytes, %s: exit code %d, %d bytes shown, %s", i, len(file), view, code, len(out), errOut)
			}
		}
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "of a snapshot's file that is not whole no view shows anything, and every command ends with an error",
		Runs: runs, Faults: runs, Survived: runs - lost, Lost: lost})
}

// TestDamagedLogs has the log of one node's collector come damaged at every reading, and that of the other whole: nothing of
// the first is shown, and the run says so and fails.
func TestDamagedLogs(t *testing.T) {
	bomb := func(pod *corev1.Pod) []byte {
		text := bytes.Repeat([]byte("# \n"), 70<<20/3)
		f := &metrics.Frame{Text: text, Trailer: metrics.Trailer{Run: runOf(pod), Bytes: int64(len(text)), SHA256: strings.Repeat("0", 64)}}
		var b bytes.Buffer
		f.Write(&b, metrics.Gzip)
		return b.Bytes()
	}
	replaced := func(old, by string) func(pod *corev1.Pod) []byte {
		return func(pod *corev1.Pod) []byte { return bytes.Replace(framesOf(pod), []byte(old), []byte(by), 1) }
	}
	damages := map[string]func(pod *corev1.Pod) []byte{
		"cut in the first frame": func(pod *corev1.Pod) []byte { return framesOf(pod)[:100] },
		"cut in the trailer":     func(pod *corev1.Pod) []byte { return bytes.TrimSuffix(framesOf(pod), []byte("# EOF\n")) },
		"one frame of two":       func(pod *corev1.Pod) []byte { all := framesOf(pod); return all[:bytes.Index(all, []byte("# EOF\n"))+6] },
		"rotated":                func(pod *corev1.Pod) []byte { return framesOf(pod)[60:] },
		"nothing at all":         func(*corev1.Pod) []byte { return nil },
		"a panic in it":          replaced("H4s", "panic: oh no\nH4s"),
		"of another run":         replaced("# cosanet-trailer v=1 run=", "# cosanet-trailer v=1 run=x"),
		"of an older version":    replaced("# cosanet-begin v=1", "# cosanet-begin v=0"),
		"a trailer of a newer":   replaced("# cosanet-trailer v=1", "# cosanet-trailer v=2"),
		"a bomb":                 bomb,
		"an endless line":        func(*corev1.Pod) []byte { return bytes.Repeat([]byte("x"), 1<<20) },
		"another encoding":       replaced("encoding=gzip", "encoding=zstd"),
		"a plain scrape, no proof": func(*corev1.Pod) []byte {
			return []byte("# TYPE cosanet_conntrack_curr gauge\ncosanet_conntrack_curr 1\n")
		},
	}
	views := []string{"snapshot --all-nodes --interval 100ms -o -", "raw --all-nodes", "top --all-nodes -o json --interval 0"}
	runs, lost := 0, 0
	for name, damage := range damages {
		s := newAPIServer(t, "node-1", "node-2")
		s.life = []corev1.PodStatus{exited(1, "it ended")} // so that nobody waits for it to say why
		s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
			if pod.Spec.NodeName == "node-1" {
				w.Write(damage(pod))
			} else {
				w.Write(framesOf(pod))
			}
		}
		config := s.kubeconfig(t)
		for _, view := range views {
			if name == "one frame of two" && !strings.Contains(view, "100ms") {
				continue // one is all that these ask for
			}
			out, errOut, code := invoke(t, nil, append(strings.Fields(view), "--kubeconfig", config, "--collector-namespace", "default", "--source", "pod")...)
			runs++
			if code != ExitFailed || strings.Contains(out, "node-1") || !strings.Contains(out, "node-2") || !strings.Contains(errOut, "node-1") {
				lost++
				t.Errorf("%s, %s: exit code %d\n%s\n%s", name, view, code, out, errOut)
			}
		}
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "of a node whose log is not whole nothing is shown: the others are, and the run says which failed and ends with an error",
		Runs: runs, Faults: runs, Survived: runs - lost, Lost: lost})
}

// runOf is the run that a pod's collector was asked for.
func runOf(pod *corev1.Pod) string {
	args := pod.Spec.Containers[0].Args
	return args[slices.Index(args, "--run")+1]
}
