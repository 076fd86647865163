package plugin

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
)

// packing compresses texts that are much alike, such as the objects of pods: the first one is the dictionary of all others,
// which then take a tenth of what they would alone. It is safe for concurrent use.
type packing struct {
	begin      sync.Once
	dictionary []byte
	writers    sync.Pool // of *flate.Writer, each with its tables of half a megabyte
	readers    sync.Pool // of io.ReadCloser, each with its window of 32 kB
}

// packLevel is the lowest at which the dictionary is made use of to the full: of the objects of real pods with the default
// metrics, 5 kB each, it leaves 430 bytes in 66 µs, where the level below 3 leaves 1,370 in 47.
const packLevel = 5

// pack returns the text in short.
func (p *packing) pack(text []byte) ([]byte, error) {
	p.begin.Do(func() { p.dictionary = bytes.Clone(text) })
	var short bytes.Buffer
	w, ok := p.writers.Get().(*flate.Writer)
	if ok {
		w.Reset(&short)
	} else {
		var err error
		if w, err = flate.NewWriterDict(&short, packLevel, p.dictionary); err != nil {
			return nil, fmt.Errorf("packing: %w", err)
		}
	}
	if _, err := w.Write(text); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	p.writers.Put(w)
	return bytes.Clone(short.Bytes()), nil
}

// unpack returns the text that was packed.
func (p *packing) unpack(short []byte) ([]byte, error) {
	r, ok := p.readers.Get().(io.ReadCloser)
	if !ok {
		r = flate.NewReaderDict(bytes.NewReader(short), p.dictionary)
	} else if err := r.(flate.Resetter).Reset(bytes.NewReader(short), p.dictionary); err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	p.readers.Put(r)
	return text, nil
}
