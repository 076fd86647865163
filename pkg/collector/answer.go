//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const (
	timeoutHeader    = "X-Prometheus-Scrape-Timeout-Seconds"
	maxScrapeTimeout = 2 * time.Minute
	endMark          = "# EOF\n" // OpenMetrics wants it, text may have it: who reads it knows that the answer is whole
	maxDirect        = 1         // answers encoded while they are written: what that takes is held for as long as the client reads
)

// metricsPage answers a scrape: what a walk counted, the exporter's own families, the end mark.
func (e *exporter) metricsPage(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	e.own.inFlight.Inc()
	code := http.StatusOK
	defer func() {
		e.own.inFlight.Dec()
		e.own.scrapes.WithLabelValues(strconv.Itoa(code)).Inc()
		e.own.duration.Observe(time.Since(begin).Seconds())
	}()

	timeout := scrapeTimeout(r.Header.Get(timeoutHeader), e.ScrapeTimeout)
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	s, err := e.walks.get(ctx)
	if err != nil {
		code = http.StatusServiceUnavailable
		http.Error(w, err.Error(), code)
		return
	}
	defer s.release()

	format, zip := negotiate(r.Header.Get("Accept")), acceptsGzip(r.Header.Values("Accept-Encoding"))
	header := w.Header()
	header.Set("Content-Type", format.ContentType())
	header.Set("Vary", "Accept, Accept-Encoding")
	if zip {
		header.Set("Content-Encoding", "gzip")
	}
	if r.Method == http.MethodHead {
		return
	}
	if err := e.write(w, s, format, zip); err != nil {
		e.own.cut.Inc()
		e.Log.Debug("answer cut", "client", r.RemoteAddr, "error", err)
		panic(http.ErrAbortHandler) // so that what is missing is seen: no closing chunk
	}
}

// write writes an answer. Most clients ask for gzip and share the work; of the others one is encoded while it reads, a crowd
// shares the text, and the rest gets the shared gzip, unpacked.
func (e *exporter) write(w http.ResponseWriter, s *share, f metrics.Format, zip bool) error {
	end, err := e.end(s, f)
	if err != nil {
		return err
	}
	if zip {
		return e.writeZipped(w, s, f, end)
	}
	out, err := e.writeText(w, s, f)
	if err != nil {
		return err
	}
	if _, err := out.Write(end); err != nil {
		return err
	}
	return out.control.Flush() // an error of the server's own flush would be lost
}

// writeText writes all but the end of a plain answer.
func (e *exporter) writeText(w http.ResponseWriter, s *share, f metrics.Format) (*paced, error) {
	select {
	case encoder := <-e.direct:
		defer func() { e.direct <- encoder }()
		out := e.begin(w, s)
		return out, e.text(out, encoder, s.snapshot, f)
	default:
	}
	if s.crowded() {
		text, err := e.sharedText(s, f)
		if err != nil {
			return nil, err
		}
		out := e.begin(w, s)
		_, err = out.Write(text)
		return out, err
	}
	b := e.zipped(s, f)
	if b.err != nil {
		return nil, b.err
	}
	out := e.begin(w, s)
	return out, b.unpack(out)
}

// writeZipped writes a gzip answer: the shared part, and the end that each has of its own.
func (e *exporter) writeZipped(w http.ResponseWriter, s *share, f metrics.Format, text []byte) error {
	b := e.zipped(s, f)
	if b.err != nil {
		return b.err
	}
	end, err := b.appendEnd(nil, text)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(b.deflated)+len(end)))
	out := e.begin(w, s)
	if _, err := out.Write(b.deflated); err != nil {
		return err
	}
	_, err = out.Write(end)
	return errors.Join(err, out.control.Flush())
}

// text writes what all answers of a walk have in common.
func (e *exporter) text(w io.Writer, encoder *metrics.Encoder, s *metrics.Snapshot, f metrics.Format) error {
	if err := encoder.Encode(w, f, s); err != nil {
		return err
	}
	process, err := e.own.ofProcess(f)
	if err != nil {
		return fmt.Errorf("gathering the process' own metrics: %w", err)
	}
	_, err = w.Write(process)
	return err
}

// end is what an answer has of its own.
func (e *exporter) end(s *share, f metrics.Format) ([]byte, error) {
	text, err := e.own.ofAnswer(f, s.begin)
	return append(text, endMark...), err
}

// zipped returns the shared gzip of a generation, which the first who asks makes.
func (e *exporter) zipped(s *share, f metrics.Format) *body {
	b := &s.bodies[f]
	b.once.Do(func() {
		e.zip.deflate(b, e.walks.buffer(), func(w io.Writer) error { return e.text(w, &e.zip.encoder, s.snapshot, f) })
	})
	s.snapshotRead()
	return b
}

// scrapeTimeout is how long a scrape may wait: a little less than Prometheus does, so that it reads why there is nothing. What
// does not say a number of seconds is as nothing said.
func scrapeTimeout(header string, otherwise time.Duration) time.Duration {
	seconds, err := strconv.ParseFloat(header, 64)
	if err != nil || math.IsNaN(seconds) || seconds <= 0 {
		return min(otherwise, maxScrapeTimeout)
	}
	timeout := time.Duration(min(seconds, maxScrapeTimeout.Seconds()) * float64(time.Second))
	return timeout - min(500*time.Millisecond, timeout/10)
}

// negotiate chooses the format by an Accept header, text where it asks for neither.
func negotiate(accept string) metrics.Format {
	chosen := expfmt.NegotiateAccept(http.Header{"Accept": {accept}}, expfmt.FmtOpenMetrics_1_0_0, expfmt.FmtOpenMetrics_0_0_1, expfmt.FmtText)
	if chosen.FormatType() == expfmt.TypeOpenMetrics { // also who does not say which version
		return metrics.OpenMetricsFormat
	}
	return metrics.TextFormat
}

// acceptsGzip reads Accept-Encoding (RFC 9110, 12.5.3): gzip is taken when it is named, or "*" is, with a weight that is not
// zero and not below that of identity.
func acceptsGzip(values []string) bool {
	weights := map[string]float64{}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(part, ";")
		weight := 1.0
		if name, q, ok := strings.Cut(parameters, "="); ok && strings.EqualFold(strings.TrimSpace(name), "q") {
			weight, _ = strconv.ParseFloat(strings.TrimSpace(q), 64) // not a number: not wanted
		}
		weights[strings.ToLower(strings.TrimSpace(coding))] = weight
	}
	gzip, ok := weights["gzip"]
	if !ok {
		gzip, ok = weights["x-gzip"]
	}
	if !ok {
		gzip = weights["*"]
	}
	return gzip > 0 && gzip >= weights["identity"]
}
