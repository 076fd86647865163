package collector

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// A gzip answer is one member (RFC 1952) of which most is shared: its header and the deflated text of a walk, made once for
// all who ask, then the few deflated families that every answer has of its own, then checksum and size. Blocks of deflate
// (RFC 1951) that end on a byte may be put together so when none refers to what is before it. Members would need no such
// care, but browsers and curl read only the first of several.

// gzipHeader says deflate, no name, no time, fastest, unknown system.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"

// body is the shared part of the gzip answers of one generation in one format.
type body struct {
	once     sync.Once
	deflated []byte // after gzipHeader
	crc      uint32 // of the text
	size     uint32 // of the text, modulo 2^32 as the format has it
	err      error
}

// appendEnd appends to dst what comes after the shared part when text is the last of the answer.
func (b *body) appendEnd(dst, text []byte) ([]byte, error) {
	out := bytes.NewBuffer(dst)
	if err := flate.StatelessDeflate(out, text, true, nil); err != nil {
		return nil, err
	}
	dst = binary.LittleEndian.AppendUint32(out.Bytes(), crc32.Update(b.crc, crc32.IEEETable, text))
	return binary.LittleEndian.AppendUint32(dst, b.size+uint32(len(text))), nil
}

// unpack writes the text to w.
func (b *body) unpack(w io.Writer) error {
	const lastBlock = "\x03\x00" // an empty one, of which the shared part has none
	zr := flate.NewReader(io.MultiReader(bytes.NewReader(b.deflated[len(gzipHeader):]), strings.NewReader(lastBlock)))
	defer zr.Close()
	_, err := io.Copy(w, zr)
	return err
}

// pieceBytes is how much text is deflated at once: large against the 32 KiB that deflate looks back, of which each
// piece has none at its beginning.
const pieceBytes = 128 << 10

// compressor deflates in pieces, two at a time while the next is being written, and keeps what that takes (a megabyte a
// piece) for the next time. It is safe for concurrent use: those who come while it is busy wait.
type compressor struct {
	mu      sync.Mutex
	pieces  []*piece
	encoder metrics.Encoder // of the text, for who writes it: one at a time, too
}

// piece is some of a text on its way.
type piece struct {
	text []byte
	out  bytes.Buffer
	zw   *flate.Writer
	err  error
	done chan struct{}
}

func newCompressor() *compressor {
	c := &compressor{pieces: make([]*piece, 1+min(runtime.GOMAXPROCS(0), 2))}
	for i := range c.pieces {
		c.pieces[i] = &piece{text: make([]byte, 0, pieceBytes), done: make(chan struct{}, 1)}
	}
	return c
}

// deflate makes b the body of the text that write writes. The compressed bytes are appended to dst.
func (c *compressor) deflate(b *body, dst []byte, write func(io.Writer) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := deflater{pieces: c.pieces, out: append(dst, gzipHeader...)}
	err := write(&d)
	d.send()
	for d.busy > 0 {
		d.collect()
	}
	b.deflated, b.crc, b.size, b.err = d.out, d.crc, d.size, err
	if err == nil {
		b.err = d.err
	}
}

// deflater is one use of a compressor: a ring of pieces, of which the one at the front is being filled.
type deflater struct {
	pieces []*piece
	front  int
	busy   int // pieces under way, those behind the front
	out    []byte
	crc    uint32
	size   uint32
	err    error
}

// Write takes any text; the errors of deflate, of which there are none, come at the end.
func (d *deflater) Write(text []byte) (int, error) {
	n := len(text)
	d.crc = crc32.Update(d.crc, crc32.IEEETable, text)
	d.size += uint32(n)
	for len(text) > 0 {
		p := d.pieces[d.front]
		room := min(len(text), pieceBytes-len(p.text))
		p.text = append(p.text, text[:room]...)
		text = text[room:]
		if len(p.text) < pieceBytes {
			continue
		}
		if d.send(); d.busy == len(d.pieces) {
			d.collect()
		}
	}
	return n, nil
}

// send sends the front piece on its way.
func (d *deflater) send() {
	go d.pieces[d.front].deflate()
	d.front = (d.front + 1) % len(d.pieces)
	d.busy++
}

// collect waits for the oldest piece under way.
func (d *deflater) collect() {
	p := d.pieces[(d.front+len(d.pieces)-d.busy)%len(d.pieces)]
	<-p.done
	d.busy--
	d.out = append(d.out, p.out.Bytes()...)
	if p.err != nil {
		d.err = p.err
	}
	p.text = p.text[:0]
	p.out.Reset()
}

// deflate ends with an empty block that brings the stream to the end of a byte.
func (p *piece) deflate() {
	defer func() { p.done <- struct{}{} }()
	if p.zw == nil {
		if p.zw, p.err = flate.NewWriter(&p.out, flate.BestSpeed); p.err != nil {
			return
		}
	} else {
		p.zw.Reset(&p.out)
	}
	if _, p.err = p.zw.Write(p.text); p.err == nil {
		p.err = p.zw.Flush()
	}
}
