//go:build linux

package collector

import (
	"net/http"
	"sync"
	"time"
)

// paceBytes is how much of an answer must be taken within limits.answer. A plain answer of 17 MB to each of a thousand clients
// takes this node a minute: time alone would cut them all, however fast they read.
const paceBytes = 1 << 20

// paced writes an answer to a client that has to keep pace.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
	each    time.Duration // for paceBytes
	slow    time.Duration // for paceBytes: who takes longer may be cut off for others
	left    int           // of the present paceBytes

	mu    sync.Mutex
	piece time.Time // when the present paceBytes began
	cut   bool
}

// begin begins the time that a client has to read its answer, and makes the share end it when it must.
func (e *exporter) begin(w http.ResponseWriter, s *share) *paced {
	p := &paced{ResponseWriter: w, control: http.NewResponseController(w), each: e.answer, slow: e.walks.patience, piece: time.Now()}
	s.writing(p.end)
	return p
}

func (p *paced) Write(text []byte) (n int, err error) {
	for n < len(text) && err == nil {
		if p.left == 0 {
			p.left = paceBytes
			p.extend()
		}
		var k int
		k, err = p.ResponseWriter.Write(text[n:min(len(text), n+p.left)])
		n += k
		p.left -= k
	}
	return n, err
}

// extend gives the client time for the next piece, unless it has been cut off. Where no deadline can be set, the server's
// own WriteTimeout holds.
func (p *paced) extend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.piece = time.Now(); !p.cut {
		p.control.SetWriteDeadline(p.piece.Add(p.each))
	}
}

// end cuts the client off, if it is slow. It may be called from any goroutine, until the share is released.
func (p *paced) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.piece) > p.slow {
		p.cut = true
		p.control.SetWriteDeadline(now)
	}
}
