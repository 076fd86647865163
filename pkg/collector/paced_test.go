//go:build linux

package collector

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// deadlined notes the deadlines that are set between its writes.
type deadlined struct {
	*httptest.ResponseRecorder
	set []time.Time
}

func (d *deadlined) SetWriteDeadline(t time.Time) error {
	d.set = append(d.set, t)
	return nil
}

func TestPaced(t *testing.T) {
	w := &deadlined{ResponseRecorder: httptest.NewRecorder()}
	p := &paced{ResponseWriter: w, control: http.NewResponseController(w), each: time.Hour}
	write := func(size, want int) {
		t.Helper()
		if n, err := p.Write(make([]byte, size)); n != size || err != nil {
			t.Fatalf("%d of %d bytes written: %v", n, size, err)
		}
		if len(w.set) != want {
			t.Errorf("%d deadlines after %d bytes, want %d", len(w.set), w.Body.Len(), want)
		}
	}
	write(1, 1)             // as it begins
	write(paceBytes-1, 1)   // the same piece
	write(1, 2)             // the next
	write(3*paceBytes-1, 4) // two more at once, to the byte
	for i, at := range w.set {
		if left := time.Until(at); left < 30*time.Minute || left > time.Hour {
			t.Errorf("deadline %d in %s, want an hour", i, left)
		}
	}
	p.slow = time.Hour
	p.end()
	write(paceBytes, 5) // who keeps pace goes on
	p.slow = 0
	p.end()
	write(2*paceBytes, 6)
	if last := w.set[len(w.set)-1]; time.Until(last) > 0 {
		t.Error("who was cut off has time again")
	}
}
