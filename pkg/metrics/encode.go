package metrics

import (
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Format is a form of the Prometheus exposition.
type Format uint8

const (
	TextFormat        Format = iota // 0.0.4
	OpenMetricsFormat               // 1.0.0; a counter whose name lacks _total is unknown there, since it may not be renamed
)

// ContentType is what HTTP says of the format.
func (f Format) ContentType() string {
	if f == OpenMetricsFormat {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Encode writes snapshots in a format, byte for byte as expfmt would, without the closing "# EOF", so that other families
// may follow. Families come in catalog order (those that the catalog does not know at the end, by name), the series of a
// family in the order of the records. The error is that of w.
func Encode(w io.Writer, f Format, snapshots ...*Snapshot) error {
	return new(Encoder).Encode(w, f, snapshots...)
}

// Write writes snapshots in the text format.
func Write(w io.Writer, snapshots ...*Snapshot) error { return Encode(w, TextFormat, snapshots...) }

// Append appends snapshots in the text format to dst: what Encode writes, in one piece.
func Append(dst []byte, snapshots ...*Snapshot) []byte {
	var e Encoder
	e.arrange(snapshots)
	size := 0
	for i, r := range e.records {
		size += len(r.Samples) * (len(e.blocks[i]) + nameAndValue)
	}
	dst = slices.Grow(dst, size) // 20 MB for a full node: to let it grow would copy that several times
	return e.render(dst, TextFormat, 0, len(e.positions))
}

// nameAndValue is about what a series takes beside its identity: its name, braces, further labels and value.
const nameAndValue = 70

const (
	pieceSeries  = 128 // are rendered at once; one of a pod takes about 200 bytes
	maxRenderers = 4
)

// Encoder encodes again and again in the same memory: that of a few pieces of the text, and eight bytes a sample for the
// order of the families. The zero value is ready for use, by one goroutine at a time.
type Encoder struct {
	records   []*Record
	blocks    [][]byte // the label block of each record, but for its closing brace
	positions []position
	next      []int // where the next sample of each family goes
	bounds    []int // where each family begins
	renderers []renderer
}

// renderer is one of the goroutines that render while what is rendered is written. It has two pieces to fill in turn.
type renderer struct{ empty, full chan []byte }

// Encode writes snapshots as the function Encode does. Only the caller's goroutine writes.
func (e *Encoder) Encode(w io.Writer, f Format, snapshots ...*Snapshot) error {
	e.arrange(snapshots)
	defer clear(e.records) // which are the caller's again
	pieces := (len(e.positions) + pieceSeries - 1) / pieceSeries
	n := min(pieces, runtime.GOMAXPROCS(0), maxRenderers)
	for len(e.renderers) < n {
		r := renderer{make(chan []byte, 2), make(chan []byte, 2)}
		r.empty <- nil
		r.empty <- nil
		e.renderers = append(e.renderers, r)
	}
	var stop atomic.Bool
	var rendering sync.WaitGroup
	for i, r := range e.renderers[:n] {
		rendering.Go(func() {
			for p := i; p < pieces; p += n {
				piece := <-r.empty
				if !stop.Load() {
					piece = e.render(piece[:0], f, p*pieceSeries, min((p+1)*pieceSeries, len(e.positions)))
				}
				r.full <- piece
			}
		})
	}
	var err error
	for p := range pieces {
		r := e.renderers[p%n]
		piece := <-r.full
		if err == nil {
			_, err = w.Write(piece)
			stop.Store(err != nil)
		}
		r.empty <- piece
	}
	rendering.Wait()
	return err
}

// render appends the series at positions from up to, but not including, to. A family that begins among them has its header.
func (e *Encoder) render(dst []byte, f Format, from, to int) []byte {
	var family string
	if from > 0 {
		family = e.sample(e.positions[from-1]).Metric.Family().Name
	}
	for _, at := range e.positions[from:to] {
		s := e.sample(at)
		if of := s.Metric.Family(); of.Name != family {
			family = of.Name
			dst = appendHeader(dst, f, of)
		}
		dst = append(dst, s.Metric.Name...)
		dst = append(dst, e.blocks[at.record]...)
		if len(s.Labels) > 0 {
			dst = appendLabels(dst, f, s.Labels, len(e.blocks[at.record]) == 0)
		}
		if len(s.Labels) > 0 || len(e.blocks[at.record]) > 0 {
			dst = append(dst, '}')
		}
		dst = append(dst, ' ')
		if f == OpenMetricsFormat && s.Metric.counts {
			dst = strconv.AppendUint(dst, uint64(s.Value), 10)
		} else {
			dst = appendValue(dst, f, s.Value)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// position is where a sample stands: its record and its index there.
type position struct{ record, sample int32 }

func (e *Encoder) sample(at position) *Sample { return &e.records[at.record].Samples[at.sample] }

// arrange orders all samples by family without comparing names: a counting sort over the catalog's order.
func (e *Encoder) arrange(snapshots []*Snapshot) {
	unknown := len(catalog) // one bucket more for what the catalog does not know
	e.records = e.records[:0]
	e.next = slices.Grow(e.next[:0], unknown+2)[:unknown+2]
	clear(e.next)
	for _, s := range snapshots {
		for i := range s.Records {
			e.add(&s.Records[i])
		}
	}
	for i := range e.next[1:] {
		e.next[i+1] += e.next[i]
	}
	e.bounds = append(e.bounds[:0], e.next...)
	samples := e.next[unknown+1]
	e.positions = slices.Grow(e.positions[:0], samples)[:samples]
	for ri, r := range e.records {
		for si := range r.Samples {
			b := r.Samples[si].Metric.place()
			e.positions[e.next[b]] = position{int32(ri), int32(si)}
			e.next[b]++
		}
	}
	byName := func(x, y position) int { return strings.Compare(e.sample(x).Metric.Name, e.sample(y).Metric.Name) }
	for b := range unknown + 1 {
		if b < unknown && !strings.HasSuffix(catalog[b].Name, "*") {
			continue // several names share a bucket only for numbered ICMP types, and for unknown fields
		}
		bucket := e.positions[e.bounds[b]:e.bounds[b+1]]
		if !slices.IsSortedFunc(bucket, byName) {
			slices.SortStableFunc(bucket, byName)
		}
	}
}

// add counts the samples of a record by family, and renders its label block where an earlier one's was.
func (e *Encoder) add(r *Record) {
	i := len(e.records)
	e.records = append(e.records, r)
	if i == len(e.blocks) {
		e.blocks = append(e.blocks, nil)
	}
	e.blocks[i] = appendIdentity(e.blocks[i][:0], &r.Sandbox)
	for i := range r.Samples {
		e.next[r.Samples[i].Metric.place()+1]++
	}
}
