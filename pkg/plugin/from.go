package plugin

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// maxSaved bounds what is inflated from one file: 64 nodes of 9 MB.
const maxSaved = 1 << 30

// readFleet reads a file of frames, as kubectl cosanet snapshot saves it and as the logs of collectors are; "-" is
// standard input, and gzip is recognised by its first bytes. Errors: a file that is not whole, or holds no frame at all;
// that of ctx when it ends first, since a pipe may keep its reader waiting.
func readFleet(ctx context.Context, path string, stdin io.Reader) (*Fleet, error) {
	type result struct {
		fleet *Fleet
		err   error
	}
	read := make(chan result, 1)
	go func() {
		fleet, err := readFile(path, stdin)
		read <- result{fleet, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-read:
		return r.fleet, r.err
	}
}

func readFile(path string, stdin io.Reader) (*Fleet, error) {
	if path == "-" {
		fleet, err := decodeFleet(stdin)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return fleet, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err // says itself: open PATH: no such file or directory
	}
	defer file.Close()
	fleet, err := decodeFleet(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return fleet, nil
}

// errNoTrailer refuses a plain scrape, too: nothing in it proves that it is whole, and half of a pod's counters would
// look like a healthy pod.
var errNoTrailer = errors.New("it ends without a trailer: it was cut short, or is no file of kubectl cosanet snapshot (a plain scrape cannot be told to be whole)")

func decodeFleet(r io.Reader) (*Fleet, error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(io.LimitReader(z, maxSaved))
	}
	fleet := &Fleet{}
	frames := metrics.NewFrameReader(in, "")
	for n := 1; ; n++ {
		frame, err := frames.Next()
		switch {
		case err == io.EOF && n > 1:
			return fleet, nil
		case err == io.EOF:
			return nil, errors.New("it is empty")
		case errors.Is(err, io.ErrUnexpectedEOF) && n == 1:
			return nil, errNoTrailer
		case err != nil:
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
		s, err := decode(frame)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", n, err)
		}
		fleet.add(s)
	}
}

// add puts a snapshot with the others of its node, in time order.
func (f *Fleet) add(s *metrics.Snapshot) {
	node := nodeOf(s)
	at, ok := slices.BinarySearchFunc(f.Observations, node, func(o Observation, node string) int { return strings.Compare(o.Node, node) })
	if !ok {
		f.Observations = slices.Insert(f.Observations, at, Observation{Node: node})
	}
	o := &f.Observations[at]
	o.Snapshots = append(o.Snapshots, s)
	slices.SortStableFunc(o.Snapshots, func(a, b *metrics.Snapshot) int { return a.Time.Compare(b.Time) })
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
