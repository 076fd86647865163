package metrics

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrTruncated says that a stream is not whole: it ended before the trailer, or what came is not what was sent.
var ErrTruncated = errors.New("the stream is not whole")

// FrameReader reads the frames of a stream one by one. It believes nothing: lines, frames and the inflated text are
// bounded, and a frame is handed out only after its length and its sum were checked.
type FrameReader struct {
	// Within, where it is set, is called with the function that inflates and checks a frame that has come, and its result is
	// what Next returns: who reads many streams at once bounds by it how many frames are inflated at the same time.
	Within func(check func() (*Frame, error)) (*Frame, error)

	// Midway says that the stream may begin inside a frame, as a log does of which the first part was rotated away or is not
	// asked for again: what comes before the first line that begins a compressed frame is passed over.
	Midway bool

	// Ended is how many frames the file has that ended between the last frame and what Next returned just now, by the line
	// that ends it; 0: there was none.
	Ended int

	lines *bufio.Reader
	run   string
}

// NewFrameReader reads frames of the given run; an empty run takes those of any.
func NewFrameReader(r io.Reader, run string) *FrameReader {
	return &FrameReader{lines: bufio.NewReaderSize(r, maxLineBytes), run: run}
}

// Next returns the next whole frame, or io.EOF when the stream ends between two frames. Any other end is ErrTruncated
// (by errors.Is) with what was read last, because that is where a collector that died says why.
func (fr *FrameReader) Next() (*Frame, error) {
	fr.Ended = 0
	line, err := fr.line()
	for fr.Midway && err == nil && !bytes.HasPrefix(line, []byte(beginMark)) {
		line, err = fr.line()
	}
	if fields, ok := bytes.CutPrefix(line, []byte(fileEndMark)); ok && err == nil {
		if fr.Ended, err = parseEnd(string(fields)); err != nil {
			return nil, err
		}
		line, err = fr.line()
	}
	if err == io.EOF && (len(line) == 0 || fr.Midway) {
		return nil, io.EOF
	}
	fr.Midway = false
	var body bytes.Buffer
	begin, zipped := strings.CutPrefix(string(line), beginMark)
	if zipped && err == nil {
		if err := checkBegin(begin); err != nil {
			return nil, err
		}
		line, err = fr.line()
	}
	for {
		if err != nil {
			return nil, cut(err, append(body.Bytes(), line...))
		}
		if fields, ok := bytes.CutPrefix(line, []byte(trailerMark)); ok {
			return fr.finish(body.Bytes(), zipped, string(fields))
		}
		if body.Len()+len(line) > maxFrameBytes {
			return nil, fmt.Errorf("%w: a frame of more than %d MiB", ErrTruncated, maxFrameBytes>>20)
		}
		body.Write(line)
		line, err = fr.line()
	}
}

// line returns the next line with its line feed; a line without one is the end of the stream, or too long.
func (fr *FrameReader) line() ([]byte, error) {
	line, err := fr.lines.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		err = fmt.Errorf("a line of more than %d KiB", maxLineBytes>>10)
	}
	return line, err
}

func checkBegin(fields string) error {
	pairs := parsePairs(fields)
	if pairs["v"] != frameVersion || pairs["encoding"] != "gzip" {
		return fmt.Errorf("frame of version %q in encoding %q: plugin and collector image are of different releases", pairs["v"], pairs["encoding"])
	}
	return nil
}

// finish checks what came against the trailer.
func (fr *FrameReader) finish(body []byte, zipped bool, fields string) (*Frame, error) {
	end, err := fr.line()
	if err != nil || string(end) != endMark+"\n" {
		return nil, fmt.Errorf("%w: it ends inside the trailer", ErrTruncated)
	}
	trailer, err := parseTrailer(fields)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	if fr.run != "" && trailer.Run != fr.run {
		return nil, fmt.Errorf("%w: it is of run %q, not %q", ErrTruncated, trailer.Run, fr.run)
	}
	check := func() (*Frame, error) { return checked(body, zipped, trailer) }
	if fr.Within != nil {
		return fr.Within(check)
	}
	return check()
}

// checked inflates the text and compares it with the trailer.
func checked(body []byte, zipped bool, trailer Trailer) (*Frame, error) {
	text := body
	if zipped {
		var err error
		if text, err = inflate(body, trailer.Bytes); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrTruncated, err)
		}
	}
	if int64(len(text)) != trailer.Bytes || digest(text) != trailer.SHA256 {
		return nil, fmt.Errorf("%w: %d bytes came whose sum is not that of the %d sent", ErrTruncated, len(text), trailer.Bytes)
	}
	return &Frame{Text: text, Trailer: trailer}, nil
}

// inflate returns the text, which is expected to be of so many bytes.
func inflate(body []byte, size int64) ([]byte, error) {
	zr, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body)))
	if err != nil {
		return nil, fmt.Errorf("inflating: %w", err)
	}
	var text bytes.Buffer
	text.Grow(int(max(0, min(size, maxFrameBytes))) + bytes.MinRead) // one allocation, not twenty that double
	if _, err := text.ReadFrom(io.LimitReader(zr, maxFrameBytes+1)); err != nil {
		return nil, fmt.Errorf("inflating: %w", err)
	}
	if text.Len() > maxFrameBytes {
		return nil, fmt.Errorf("inflating: more than %d MiB of text", maxFrameBytes>>20)
	}
	return text.Bytes(), nil
}

// cut words an early end, with the last lines that came.
func cut(err error, body []byte) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	last := strings.TrimSpace(string(body[max(0, len(body)-400):]))
	if last == "" {
		return fmt.Errorf("%w: %w", ErrTruncated, err)
	}
	return fmt.Errorf("%w: %w after %q", ErrTruncated, err, last)
}
