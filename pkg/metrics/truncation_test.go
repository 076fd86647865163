package metrics

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// damaged reads a stream of two frames that something has happened to. It is noticed, or what comes of it is what was sent.
func damaged(stream []byte, want *Frame) bool {
	fr := NewFrameReader(bytes.NewReader(stream), "r1")
	for range 2 {
		f, err := fr.Next()
		if err != nil {
			return err == io.EOF || errors.Is(err, ErrTruncated) || strings.Contains(err.Error(), "different releases")
		}
		// The counts in the trailer are not summed up: they are for people. The text is what must be true.
		if !bytes.Equal(f.Text, want.Text) {
			return false
		}
	}
	return false // nobody saw it
}

// TestDamagedStreams cuts a stream at every byte, loses its beginning as a rotated log does, loses every run of lines in it,
// has a panic print between every two lines, and changes every byte.
func TestDamagedStreams(t *testing.T) {
	const message = "panic: runtime error: invalid memory address or nil pointer dereference\n\ngoroutine 1 [running]:\n"
	want := NewFrame("r1", snapshot(t))
	runs, lost := map[string]int{}, 0
	for _, enc := range []Encoding{Text, Gzip} {
		one := frame(t, enc, "r1")
		stream := append(one, frame(t, enc, "r1")...)
		if err := readAll(stream, "r1", 2); err != nil {
			t.Fatalf("the whole stream: %v", err)
		}
		try := func(what string, at int, stream []byte) {
			runs[what]++
			if !damaged(stream, want) {
				lost++
				t.Errorf("encoding %d, %s at byte %d: not noticed", enc, what, at)
			}
		}
		for n := range stream {
			try("cut", n, stream[:n])
			if n > 0 {
				try("rotated", n, stream[n:])
			}
		}
		begins := []int{0} // of lines
		for i, c := range stream[:len(stream)-1] {
			if c == '\n' {
				begins = append(begins, i+1)
			}
		}
		for i, from := range begins {
			try("panic", from, bytes.Join([][]byte{stream[:from], stream[from:]}, []byte(message)))
			for _, to := range begins[i+1:] {
				try("lines lost", from, append(bytes.Clone(stream[:from]), stream[to:]...))
			}
		}
		for n := range one {
			changed := bytes.Clone(one)
			changed[n] ^= 1
			runs["changed"]++
			if f, err := NewFrameReader(bytes.NewReader(changed), "r1").Next(); err == nil && !bytes.Equal(f.Text, want.Text) {
				lost++
				t.Errorf("encoding %d: byte %d changed and nobody saw it", enc, n)
			}
		}
	}
	total := 0
	for what, n := range runs {
		total += n
		t.Logf("%s: %d times", what, n)
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a stream that was cut, rotated, mixed with a panic, that lost lines or of which a byte changed is never taken for whole",
		Runs: total, Faults: total, Survived: total - lost, Lost: lost})
}

// endless writes the same for ever.
type endless []byte

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// TestEndlessStreams reads what never ends, and what inflates to a thousand times itself: it is given up, within some memory.
func TestEndlessStreams(t *testing.T) {
	const begin = "# cosanet-begin v=1 encoding=gzip run=r1\n"
	bomb := &Frame{Text: bytes.Repeat([]byte("# \n"), 256<<20/3)} // four times what a frame may be
	bomb.Trailer = Trailer{Run: "r1", Bytes: int64(len(bomb.Text)), SHA256: digest(bomb.Text)}
	var zipped bytes.Buffer
	if err := bomb.Write(&zipped, Gzip); err != nil {
		t.Fatal(err)
	}
	liar := strings.Replace(zipped.String(), "bytes=", "bytes=9", 1) // says that it is even larger
	tests := map[string]struct {
		stream io.Reader
		memory uint64 // MiB; a buffer that grows takes up to six times what it ends with
	}{
		"an endless line":         {endless("x"), 1},
		"an endless base64 line":  {io.MultiReader(strings.NewReader(begin), endless("H4sI")), 1},
		"endless lines":           {endless(strings.Repeat("#", 999) + "\n"), 6 * maxFrameBytes >> 20},
		"endless base64":          {io.MultiReader(strings.NewReader(begin), endless(strings.Repeat("A", 4096)+"\n")), 6 * maxFrameBytes >> 20},
		"endless empty lines":     {endless("\n"), 6 * maxFrameBytes >> 20},
		"a bomb":                  {bytes.NewReader(zipped.Bytes()), 6 * maxFrameBytes >> 20},
		"a bomb that says it is":  {strings.NewReader(liar), 6 * maxFrameBytes >> 20},
		"a trailer without bytes": {strings.NewReader("# cosanet-trailer v=1 run=r1 sandboxes=1 samples=1 failed=0 bytes=-9223372036854775808 sha256=\n# EOF\n"), 1},
	}
	lost := 0
	for name, test := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := NewFrameReader(test.stream, "r1").Next()
		runtime.ReadMemStats(&after)
		taken := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d MiB in all, %v", name, taken, err)
		if !errors.Is(err, ErrTruncated) || taken > test.memory {
			lost++
			t.Errorf("%s: %v, and %d MiB were taken, want at most %d", name, err, taken, test.memory)
		}
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "a stream without an end, and one that inflates without bounds, is given up within bounded memory",
		Runs: len(tests), Faults: len(tests), Survived: len(tests) - lost, Lost: lost})
}
