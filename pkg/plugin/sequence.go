package plugin

import (
	"fmt"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// noEnd is said of a file in which a recording has no end. All of it that is shown is true.
const noEnd = "warning: the recording has no end: what wrote it was killed, or the file was cut since; shown up to its last sample"

// sequence holds the frames of a file to what they say of their place in it. A snapshot's know how many they are; a recording's
// are counted, and a line ends them. Files may be written one after the other into one; logs, and recordings of earlier
// versions, say nothing.
type sequence struct {
	last metrics.Trailer // zero where the next frame begins a file
	open bool            // it is of a recording whose end has not come
	cut  bool            // a recording had none
}

// next tells whether a frame may come next.
func (q *sequence) next(t *metrics.Trailer) error {
	counted := t.Run == savedRun && t.Number > 0 && t.Of == 0 // a recording's
	switch {
	case q.last.Number < q.last.Of:
		if t.Number != q.last.Number+1 || t.Of != q.last.Of {
			return misplaced(t, q.last.Number+1)
		}
	case q.open && counted && t.Number == q.last.Number+1:
	case q.open && counted && t.Number > 1:
		return misplaced(t, q.last.Number+1)
	case t.Number > 1 && (counted || t.Of > 0):
		return misplaced(t, 1)
	case q.open: // another file begins
		q.cut = true
	}
	q.last, q.open = *t, counted
	return nil
}

func misplaced(t *metrics.Trailer, want int) error {
	of := ""
	if t.Of > 0 {
		of = fmt.Sprintf(" of %d", t.Of)
	}
	return fmt.Errorf("%w: frame %d%s is where frame %d should be", metrics.ErrTruncated, t.Number, of, want)
}

// end takes the line that ends a recording of so many frames.
func (q *sequence) end(frames int) error {
	if !q.open || q.last.Number != frames {
		return fmt.Errorf("%w: it ends as a file of %s does, after frame %d", metrics.ErrTruncated, plural(frames, "frame"), q.last.Number)
	}
	*q = sequence{cut: q.cut}
	return nil
}

// finish is the end of the file.
func (q *sequence) finish() (whole bool, err error) {
	if q.last.Number < q.last.Of {
		return false, fmt.Errorf("%w: it ends after frame %d of %d", metrics.ErrTruncated, q.last.Number, q.last.Of)
	}
	return !q.open && !q.cut, nil
}
