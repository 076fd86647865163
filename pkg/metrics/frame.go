package metrics

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// A frame in a pod's log is plain exposition text, closed by two comment lines, so that the log is itself a scrape:
//
//	# TYPE cosanet_conntrack_curr gauge
//	...
//	# cosanet-trailer v=1 run=4f2a sandboxes=3 samples=1290 failed=0 bytes=180233 sha256=...
//	# EOF
//
// With Encoding Gzip the text travels as base64 lines after a line that says so: 250 pods of 400 series are 13 MB as a
// CRI log and would be rotated away at the kubelet's 10 MiB, gzip and base64 make it 0.9 MB.
//
//	# cosanet-begin v=1 encoding=gzip run=4f2a
//	H4sIAAAAAAAA...
//	# cosanet-trailer v=1 run=4f2a ...
//	# EOF
//
// A file whose frames are not counted before it is written, such as a recording, has the number of each in its trailer and
// after the last one a line that says how many there are. Without it the file was cut between two frames, or what wrote it was
// killed.
//
//	# cosanet-end v=1 frames=240
const (
	beginMark     = "# cosanet-begin "
	trailerMark   = "# cosanet-trailer "
	endMark       = "# EOF"
	fileEndMark   = "# cosanet-end "
	frameVersion  = "1"
	maxFrameBytes = 64 << 20 // of text; a node of 250 pods makes 9 MB
	maxLineBytes  = 64 << 10
	base64Line    = 4096 // below the 16 KiB at which the runtime splits log lines
)

// Encoding is how a frame's text travels.
type Encoding uint8

const (
	Text Encoding = iota
	Gzip
)

// ParseEncoding reads the value of --encoding.
func ParseEncoding(s string) (Encoding, error) {
	switch s {
	case "text":
		return Text, nil
	case "gzip":
		return Gzip, nil
	}
	return Text, fmt.Errorf("unknown encoding %q: use text or gzip", s)
}

// Trailer is the proof that a frame is whole.
type Trailer struct {
	Run       string // the id that the asking side chose, so that another run's log is never taken for this one's
	Number    int    // of the frame in its run or file, from 1; 0 where it was not said, by a version that is older
	Of        int    // of how many in its file, which must not look like one of fewer nodes where it is cut between two frames; 0: not said
	Sandboxes int    // network namespaces
	Samples   int
	Failed    int   // records of which some source could not be read
	Bytes     int64 // of the text before the trailer
	SHA256    string
}

// Frame is one snapshot's text as it travelled, and its proof.
type Frame struct {
	Text    []byte
	Trailer Trailer
}

// NewFrame encodes a snapshot as a frame of the given run.
func NewFrame(run string, s *Snapshot) *Frame {
	f := &Frame{Text: Append(nil, s), Trailer: Trailer{Run: run}}
	for i := range s.Records {
		r := &s.Records[i]
		f.Trailer.Samples += len(r.Samples)
		if !r.Sandbox.Self() {
			f.Trailer.Sandboxes++
		}
		if len(r.FailedSources()) > 0 {
			f.Trailer.Failed++
		}
	}
	f.Trailer.Bytes, f.Trailer.SHA256 = int64(len(f.Text)), digest(f.Text)
	return f
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Snapshot decodes the frame's text.
func (f *Frame) Snapshot() (*Snapshot, error) { return Parse(bytes.NewReader(f.Text)) }

// WriteFrame writes one whole frame in one call to w.
func WriteFrame(w io.Writer, enc Encoding, run string, s *Snapshot) error {
	return NewFrame(run, s).Write(w, enc)
}

// Write writes the frame in one call to w.
func (f *Frame) Write(w io.Writer, enc Encoding) error {
	var out bytes.Buffer
	if enc == Gzip {
		fmt.Fprintf(&out, "%sv=%s encoding=gzip run=%s\n", beginMark, frameVersion, f.Trailer.Run)
		writeBase64(&out, compress(f.Text))
	} else {
		out.Write(f.Text)
	}
	out.WriteString(f.Trailer.line())
	out.WriteString(endMark + "\n")
	_, err := w.Write(out.Bytes())
	return err
}

// WriteEnd writes the line that ends a file of so many frames.
func WriteEnd(w io.Writer, frames int) error {
	_, err := fmt.Fprintf(w, "%sv=%s frames=%d\n", fileEndMark, frameVersion, frames)
	return err
}

// parseEnd reads the fields of that line; those of a newer version are let be.
func parseEnd(fields string) (frames int, err error) {
	pairs := parsePairs(fields)
	if v := pairs["v"]; v != frameVersion {
		return 0, fmt.Errorf("an end of version %q, not %s: it was written by another release", v, frameVersion)
	}
	if frames, err = strconv.Atoi(pairs["frames"]); err != nil || frames < 1 {
		return 0, fmt.Errorf("%w: it ends with %q frames", ErrTruncated, pairs["frames"])
	}
	return frames, nil
}

// compress cannot fail: it writes to memory.
func compress(text []byte) []byte {
	var z bytes.Buffer
	zw, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed)
	zw.Write(text)
	zw.Close()
	return z.Bytes()
}

func writeBase64(out *bytes.Buffer, data []byte) {
	var line []byte
	for chunk := range slices.Chunk(data, base64Line/4*3) {
		line = base64.StdEncoding.AppendEncode(line[:0], chunk)
		out.Write(append(line, '\n'))
	}
}

func (t *Trailer) line() string {
	number := ""
	if t.Number > 0 {
		number = fmt.Sprintf(" number=%d", t.Number)
	}
	if t.Of > 0 {
		number += fmt.Sprintf(" of=%d", t.Of)
	}
	return fmt.Sprintf("%sv=%s run=%s sandboxes=%d samples=%d failed=%d bytes=%d sha256=%s%s\n",
		trailerMark, frameVersion, t.Run, t.Sandboxes, t.Samples, t.Failed, t.Bytes, t.SHA256, number)
}

// parseTrailer reads the fields of a trailer line; those of a newer version are let be.
func parseTrailer(fields string) (t Trailer, err error) {
	pairs := parsePairs(fields)
	if v := pairs["v"]; v != frameVersion {
		return t, fmt.Errorf("trailer of version %q, not %s: plugin and collector image are of different releases", v, frameVersion)
	}
	t.Run, t.SHA256 = pairs["run"], pairs["sha256"]
	for key, to := range map[string]*int{"sandboxes": &t.Sandboxes, "samples": &t.Samples, "failed": &t.Failed} {
		if *to, err = strconv.Atoi(pairs[key]); err != nil {
			return t, fmt.Errorf("trailer without %s", key)
		}
	}
	if t.Bytes, err = strconv.ParseInt(pairs["bytes"], 10, 64); err != nil {
		return t, fmt.Errorf("trailer without bytes")
	}
	if number, ok := pairs["number"]; ok {
		if t.Number, err = strconv.Atoi(number); err != nil || t.Number < 1 {
			return t, fmt.Errorf("trailer with number %q", number)
		}
	}
	if of, ok := pairs["of"]; ok {
		if t.Of, err = strconv.Atoi(of); err != nil || t.Number < 1 || t.Of < t.Number {
			return t, fmt.Errorf("trailer with number %d of %q", t.Number, of)
		}
	}
	return t, nil
}

func parsePairs(fields string) map[string]string {
	pairs := map[string]string{}
	for pair := range strings.FieldsSeq(fields) {
		if key, value, ok := strings.Cut(pair, "="); ok {
			pairs[key] = value
		}
	}
	return pairs
}
