package plugin

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// recorder writes frames to a file as they come. Whatever ends it, the file is whole up to its last frame: each is written
// at once, compressed as a member of its own, and what could be written only in part is taken back.
type recorder struct {
	path string
	out  io.Writer
	file *os.File // nil before the first frame, and for standard output
	size int64    // of what is whole

	frames  int
	pods    map[PodRef]bool
	nodes   map[string]*span
	moments int           // of the node that has most
	length  time.Duration // from the first frame to the last of the node of which that is longest
}

// span is what was recorded of a node.
type span struct {
	frames int
	first  time.Time
	err    error // why it did not answer last; nil: it did
}

func newRecorder(path string, stdout io.Writer) *recorder {
	return &recorder{path: path, out: stdout, pods: map[PodRef]bool{}, nodes: map[string]*span{}}
}

// write appends a frame.
func (r *recorder) write(node string, s *metrics.Snapshot) error {
	if r.file == nil && r.path != "-" {
		file, err := os.Create(r.path)
		if err != nil {
			return err
		}
		r.file, r.out = file, file
	}
	var frame bytes.Buffer
	if err := metrics.WriteFrame(&frame, metrics.Text, savedRun, s); err != nil {
		return err
	}
	if strings.HasSuffix(r.path, ".gz") {
		var z bytes.Buffer
		zw := gzip.NewWriter(&z)
		if _, err := zw.Write(frame.Bytes()); err != nil {
			return err
		}
		if err := zw.Close(); err != nil {
			return err
		}
		frame = z
	}
	n, err := r.out.Write(frame.Bytes())
	if err != nil {
		if n > 0 && r.file != nil {
			err = errors.Join(err, r.file.Truncate(r.size))
		}
		return err
	}
	r.size += int64(n)
	r.note(node, s)
	return nil
}

// note keeps count.
func (r *recorder) note(node string, s *metrics.Snapshot) {
	r.frames++
	of := r.node(node)
	if of.frames++; of.frames == 1 {
		of.first = s.Time
	}
	of.err = nil
	r.moments = max(r.moments, of.frames)
	r.length = max(r.length, s.Time.Sub(of.first))
	for i := range s.Records {
		if box := &s.Records[i].Sandbox; !box.Self() && !box.Host() {
			r.pods[PodRef{box.Namespace, cmp.Or(box.Pod, box.NetNS)}] = true
		}
	}
}

func (r *recorder) node(node string) *span {
	if r.nodes[node] == nil {
		r.nodes[node] = &span{}
	}
	return r.nodes[node]
}

// close ends the file.
func (r *recorder) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// answered counts the nodes of which there is a frame.
func (r *recorder) answered() int {
	n := 0
	for _, of := range r.nodes {
		if of.frames > 0 {
			n++
		}
	}
	return n
}
