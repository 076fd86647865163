package metrics

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// TestMain wants no goroutine left when the tests are over.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func frame(t testing.TB, enc Encoding, run string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteFrame(&out, enc, run, snapshot(t)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFrameRoundTrip(t *testing.T) {
	want := NewFrame("r1", snapshot(t))
	if got, want := want.Trailer.Sandboxes, 5; got != want {
		t.Errorf("%d sandboxes in the trailer, want %d", got, want)
	}
	if got, want := want.Trailer.Failed, 1; got != want {
		t.Errorf("%d failed in the trailer, want %d", got, want)
	}
	for _, enc := range []Encoding{Text, Gzip} {
		stream := append(frame(t, enc, "r1"), frame(t, enc, "r1")...)
		fr := NewFrameReader(bytes.NewReader(stream), "r1")
		for range 2 {
			got, err := fr.Next()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("encoding %d (-want +got):\n%s", enc, diff)
			}
		}
		if _, err := fr.Next(); err != io.EOF {
			t.Errorf("after the last frame: %v, want EOF", err)
		}
	}
}

// The line that ends a file is told with what comes after it.
func TestFileEnds(t *testing.T) {
	var end bytes.Buffer
	if err := WriteEnd(&end, 2); err != nil {
		t.Fatal(err)
	}
	one := frame(t, Text, "r1")
	fr := NewFrameReader(bytes.NewReader(bytes.Join([][]byte{one, one, end.Bytes(), one, end.Bytes()}, nil)), "r1")
	var got []int
	for {
		_, err := fr.Next()
		got = append(got, fr.Ended)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{0, 0, 2, 2}, got); diff != "" {
		t.Errorf("ends before each frame and the end (-want +got):\n%s", diff)
	}
	if _, err := Parse(bytes.NewReader(append(one, end.Bytes()...))); err != nil {
		t.Errorf("it is no exposition text: %v", err)
	}
}

func TestPlainFrameIsAScrape(t *testing.T) {
	s, err := Parse(bytes.NewReader(frame(t, Text, "r1")))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(s.Records), len(snapshot(t).Records); got != want {
		t.Errorf("%d records, want %d", got, want)
	}
}

// readAll reads what a plugin that waits for n frames would read.
func readAll(stream []byte, run string, n int) error {
	fr := NewFrameReader(bytes.NewReader(stream), run)
	for range n {
		if _, err := fr.Next(); err != nil {
			return err
		}
	}
	return nil
}

func TestStreamsThatAreRefused(t *testing.T) {
	whole := string(frame(t, Text, "r1"))
	zipped := string(frame(t, Gzip, "r1"))
	lines := strings.SplitAfter(zipped, "\n")
	bomb := &Frame{Text: bytes.Repeat([]byte("# \n"), maxFrameBytes/3+2)}
	bomb.Trailer.Bytes, bomb.Trailer.SHA256, bomb.Trailer.Run = int64(len(bomb.Text)), digest(bomb.Text), "r1"
	var bombStream bytes.Buffer
	if err := bomb.Write(&bombStream, Gzip); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, stream, want string }{
		{"another run", string(frame(t, Text, "r2")), `of run "r2", not "r1"`},
		{"another version", strings.Replace(whole, "trailer v=1", "trailer v=2", 1), "different releases"},
		{"another encoding", strings.Replace(zipped, "encoding=gzip", "encoding=zstd", 1), "different releases"},
		{"a panic inside", strings.Replace(whole, "# TYPE", "panic: oh no\n# TYPE", 1), "sum"},
		{"a panic between base64 lines", lines[0] + "panic: oh no!\n" + strings.Join(lines[1:], ""), "inflating"},
		{"an end of another version", "# cosanet-end v=2 frames=1\n" + whole, "another release"},
		{"an end without frames", "# cosanet-end v=1 frames=0\n" + whole, `ends with "0" frames`},
		{"an end without its line feed", "# cosanet-end v=1 frames=12", "unexpected EOF"},
		{"an end within a frame", strings.Replace(whole, "# TYPE", "# cosanet-end v=1 frames=1\n# TYPE", 1), "sum"},
		{"a number that is none", strings.Replace(whole, " sha256=", " number=0 sha256=", 1), `trailer with number "0"`},
		{"only an error", "cosanet-collector: error: no such file\n", "no such file"},
		{"an endless line", strings.Repeat("x", 2*maxLineBytes), "line of more than 64 KiB"},
		{"a gzip bomb", bombStream.String(), "more than 64 MiB of text"},
		{"more text than a frame may have", strings.Repeat(strings.Repeat("#", 1023)+"\n", maxFrameBytes>>10+1), "more than 64 MiB"},
	}
	lost := 0
	for _, test := range tests {
		err := readAll([]byte(test.stream), "r1", 1)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			lost++
			t.Errorf("%s: error %v, want one about %q", test.name, err, test.want)
		}
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a frame of another run or version, mixed with a panic, or larger than any frame is refused",
		Runs: len(tests), Faults: len(tests), Survived: len(tests) - lost, Lost: lost})
}

func TestGzipFitsAPodLog(t *testing.T) {
	s := snapshot(t)
	for i := range 250 {
		pod := s.Records[2]
		pod.Sandbox.Pod = fmt.Sprintf("web-5d9c-%05d", i)
		s.Records = append(s.Records, pod)
	}
	var out bytes.Buffer
	if err := WriteFrame(&out, Gzip, "r1", s); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 8<<10 {
			t.Fatalf("a line of %d bytes: the runtime splits at 16 KiB", len(line))
		}
	}
	if text := len(Append(nil, s)); out.Len() > text/5 {
		t.Errorf("%d bytes for %d of text", out.Len(), text)
	}
}

// A log of which the first part is missing is read from its first whole frame on, wherever it begins.
func TestMidway(t *testing.T) {
	var log bytes.Buffer
	for number := range 3 {
		f := NewFrame("r1", snapshot(t))
		f.Trailer.Number = number + 1
		if err := f.Write(&log, Gzip); err != nil {
			t.Fatal(err)
		}
	}
	whole := log.Bytes()
	ends := []int{0} // where each frame begins, and the last ends
	for at := 0; at < len(whole); {
		at += bytes.Index(whole[at:], []byte("# EOF\n")) + len("# EOF\n")
		ends = append(ends, at)
	}
	for from := range whole {
		fr := NewFrameReader(bytes.NewReader(whole[from:]), "r1")
		fr.Midway = true
		for number := 1; number <= 3; number++ {
			if ends[number-1] < from {
				continue
			}
			got, err := fr.Next()
			if err != nil || got.Trailer.Number != number {
				t.Fatalf("from byte %d: frame %+v, error %v, want frame %d", from, got, err, number)
			}
		}
		if _, err := fr.Next(); err != io.EOF {
			t.Fatalf("from byte %d, after the last frame: %v, want EOF", from, err)
		}
	}
}

func FuzzFrameReader(f *testing.F) {
	f.Add(frame(f, Text, "r1"))
	f.Add(frame(f, Gzip, "r1"))
	f.Add([]byte("# cosanet-begin v=1 encoding=gzip run=r1\n" + base64.StdEncoding.EncodeToString(compress([]byte("x"))) + "\n# cosanet-trailer v=1 run=r1\n# EOF\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		fr := NewFrameReader(bytes.NewReader(stream), "")
		for {
			got, err := fr.Next()
			if err != nil {
				return
			}
			if digest(got.Text) != got.Trailer.SHA256 {
				t.Fatal("a frame whose sum is wrong")
			}
		}
	})
}
