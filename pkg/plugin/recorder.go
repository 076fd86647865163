package plugin

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// recorder writes frames to a file as they come. Whatever ends it, the file is whole up to its last frame: each is written
// at once, compressed as a member of its own, and what could be written only in part is taken back. The frames are numbered,
// and a line at the end says how many there are: without it a file that was cut between two frames would look whole.
type recorder struct {
	path string
	out  io.Writer
	file *os.File // nil before the first frame, and for standard output
	size int64    // of what is whole
	lost bool     // a frame is missing in it, since it could not be written

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
	frame := metrics.NewFrame(savedRun, s)
	frame.Trailer.Number = r.frames + 1
	if err := r.append(func(w io.Writer) error { return frame.Write(w, metrics.Text) }); err != nil {
		r.lost = true
		return err
	}
	r.note(node, s)
	return nil
}

// append adds a part to what is there, all of it or nothing.
func (r *recorder) append(part func(io.Writer) error) error {
	var text bytes.Buffer
	if err := part(&text); err != nil {
		return err
	}
	written := text.Bytes()
	if compressed(r.path) {
		var err error
		if written, err = zipped(written); err != nil {
			return err
		}
	}
	n, err := r.out.Write(written)
	if err != nil {
		if n > 0 && r.file != nil {
			err = errors.Join(err, r.file.Truncate(r.size))
		}
		return err
	}
	r.size += int64(n)
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

// close ends the file: with the line that says so, unless a frame is missing or what it is made of is not whole itself.
func (r *recorder) close(whole bool) error {
	var err error
	if whole && !r.lost && r.frames > 0 {
		err = r.append(func(w io.Writer) error { return metrics.WriteEnd(w, r.frames) })
	}
	if r.file == nil {
		return err
	}
	return errors.Join(err, r.file.Close())
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
