package plugin

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// saved is one frame of a saved file: whose it is and of when, and not decoded yet, which takes twenty times as long as that.
type saved struct {
	frame *metrics.Frame
	node  string
	at    time.Time // when it was counted, by the node's clock; zero: it does not say
}

// decode reads all of the frame, made safe to print.
func (s *saved) decode() (*metrics.Snapshot, error) { return decode(s.frame) }

// eachSaved reads the frames of a file one by one, in the order in which they are in it, and holds none of them: a recording
// is larger than the memory. "-" is standard input, and gzip is recognised by its first bytes. Errors: a file that is not
// whole, or holds no frame at all; that of take; that of ctx when it ends first, since a pipe may keep its reader waiting.
// Without an error it is still not whole where a recording in it has no end: see noEnd. Take is not called after eachSaved has
// returned.
func eachSaved(ctx context.Context, path string, stdin io.Reader, take func(*saved) error) (whole bool, err error) {
	in, name := stdin, "standard input"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return false, err // says itself: open PATH: no such file or directory
		}
		defer file.Close()
		in, name = file, path
	}
	type outcome struct {
		whole bool
		err   error
	}
	frames := make(chan *saved)
	read := make(chan outcome, 1)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		whole, err := readFrames(in, func(s *saved) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case frames <- s:
				return nil
			}
		})
		read <- outcome{whole, err}
	}()
	for {
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case s := <-frames:
			if err := take(s); err != nil {
				return false, err
			}
		case o := <-read:
			if o.err != nil {
				return false, fmt.Errorf("reading %s: %w", name, o.err)
			}
			return o.whole, nil
		}
	}
}

// errNoTrailer refuses a plain scrape, too: nothing in it proves that it is whole, and half of a pod's counters would
// look like a healthy pod.
var errNoTrailer = errors.New("it ends without a trailer: it was cut short, or is no file of kubectl cosanet snapshot (a plain scrape cannot be told to be whole)")

// readFrames reads one frame after the other. It is not whole where a recording in it has no end.
func readFrames(r io.Reader, take func(*saved) error) (whole bool, err error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return false, err
		}
		in = bufio.NewReader(z)
	}
	frames := metrics.NewFrameReader(in, "")
	var order sequence
	for n := 1; ; n++ {
		frame, err := frames.Next()
		if frames.Ended > 0 {
			if err := order.end(frames.Ended); err != nil {
				return false, err
			}
		}
		switch {
		case err == io.EOF && n > 1:
			return order.finish()
		case err == io.EOF:
			return false, errors.New("it is empty")
		case errors.Is(err, io.ErrUnexpectedEOF) && n == 1:
			return false, errNoTrailer
		case err != nil:
			return false, fmt.Errorf("frame %d: %w", n, err)
		}
		if err := order.next(&frame.Trailer); err != nil {
			return false, err
		}
		s, err := newSaved(frame)
		if err != nil {
			return false, fmt.Errorf("frame %d: %w", n, err)
		}
		if err := take(s); err != nil {
			return false, err
		}
	}
}

// walked begins the line in which the collector says of which node a walk is, and of when.
const walked = "cosanet_walk_timestamp_seconds{"

// newSaved finds out whose a frame is and of when, by that line alone where it is there.
func newSaved(frame *metrics.Frame) (*saved, error) {
	text := frame.Text
	if at := bytes.Index(text, []byte("\n"+walked)); at >= 0 {
		line, _, _ := bytes.Cut(text[at+1:], []byte("\n"))
		text = append(bytes.Clone(line), '\n')
	}
	s, err := decode(&metrics.Frame{Text: text})
	if err != nil {
		return nil, err
	}
	return &saved{frame: frame, node: nodeOf(s), at: s.Time}, nil
}

// nodeOf is the node that a snapshot is of: the first that a record names.
func nodeOf(s *metrics.Snapshot) string {
	for i := range s.Records {
		if node := s.Records[i].Sandbox.Node; node != "" {
			return node
		}
	}
	return ""
}
