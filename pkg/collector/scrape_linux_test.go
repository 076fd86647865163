package collector

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// watched counts the walks of an exporter, and those that are under way at once.
type watched struct {
	walks, now, most atomic.Int64
	held             atomic.Int64 // snapshots that were not given back
}

func (c *watched) attach(e *exporter) {
	walk, recycle := e.walks.walk, e.walks.recycle
	e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
		c.walks.Add(1)
		c.held.Add(1)
		now := c.now.Add(1)
		defer c.now.Add(-1)
		for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
		}
		return walk(ctx)
	}
	e.walks.recycle = func(s *metrics.Snapshot) {
		c.held.Add(-1)
		recycle(s)
	}
}

// cheap is a configuration for tests that scrape often, whatever runs on this machine.
func cheap(t *testing.T) *Config {
	c := noRuntime(t)
	c.Set, c.Protocols = metrics.Default, nil
	return c
}

// TestThousandScrapes are at once, half of them plain: one walk answers them all, with the same text.
func TestThousandScrapes(t *testing.T) {
	const scrapes = 1000
	var counted watched
	begin := make(chan struct{})
	s := startExporter(t, cheap(t), func(e *exporter) {
		counted.attach(e)
		e.answer = time.Hour // as long as this machine takes for a thousand
		walk := e.walks.walk
		e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
			<-begin
			return walk(ctx)
		}
	})
	var wg sync.WaitGroup
	var once sync.Once
	var same []byte
	for i := range scrapes {
		wg.Go(func() {
			encoding := "gzip"
			if i%2 == 0 {
				encoding = "identity"
			}
			response, text, err := s.ask("GET", "/metrics", "Accept-Encoding", encoding)
			if err != nil {
				t.Error(err)
				return
			}
			if encoding == "gzip" {
				text, err = unzip(text)
			}
			if err != nil || response.StatusCode != 200 || !bytes.HasSuffix(text, []byte("# EOF\n")) {
				t.Errorf("%s, %v, ends with %q", response.Status, err, text[max(0, len(text)-50):])
			}
			once.Do(func() { same = ofNode(text) })
			if !bytes.Equal(ofNode(text), same) {
				t.Errorf("%d bytes as %s, others have %d", len(ofNode(text)), encoding, len(same))
			}
		})
	}
	s.until(t, "half of them wait", func() bool { return s.waiting() >= s.MaxConnections-10 })
	close(begin)
	wg.Wait()
	if n := counted.walks.Load(); n != 1 {
		t.Errorf("%d walks for %d scrapes", n, scrapes)
	}
	if n := counted.held.Load(); n != 1 {
		t.Errorf("%d snapshots held, want the current one", n)
	}
}

// TestIdleConnections are kept by more clients than there may be connections: none keeps out the next.
func TestIdleConnections(t *testing.T) {
	s := startExporter(t, cheap(t), func(e *exporter) { e.MaxConnections, e.idle = 4, time.Hour })
	for i := range 20 {
		transport := new(http.Transport)
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Get(s.url + "/metrics")
		if err != nil {
			t.Fatalf("scrape %d: %v", i+1, err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

// TestCacheDuration walks anew for a scrape that comes later, never for two at once.
func TestCacheDuration(t *testing.T) {
	var counted watched
	s := startExporter(t, cheap(t), func(e *exporter) {
		counted.attach(e)
		e.walks.cacheFor = 0
	})
	s.ready(t)
	for range 5 {
		s.get(t, "GET", "/metrics")
	}
	if n := counted.walks.Load(); n != 6 { // and the first, before anyone asked
		t.Errorf("%d walks for 5 scrapes one after another", n)
	}
	var wg sync.WaitGroup
	for range 300 { // none of which is slow for want of a processor
		wg.Go(func() {
			for range 5 {
				if r, _, err := s.ask("GET", "/metrics", "Accept-Encoding", "gzip"); err != nil || r.StatusCode != 200 {
					t.Errorf("no whole answer: %v", err)
				}
			}
		})
	}
	wg.Wait()
	_, text := s.get(t, "GET", "/metrics")
	if n := seriesValue(t, parseText(t, text), "cosanet_exporter_cut_answers_total"); n != 0 {
		t.Errorf("%v answers cut", n)
	}
	if n := counted.most.Load(); n != 1 {
		t.Errorf("%d walks at once", n)
	}
	if n := counted.held.Load(); n != 1 {
		t.Errorf("%d snapshots held, want the current one", n)
	}
}

// TestStuckWalk hangs a walk: scrapes are told so within their time, no second one begins, liveness fails in the end, and
// when it is over all is well.
func TestStuckWalk(t *testing.T) {
	var counted watched
	var hang atomic.Bool
	release := make(chan struct{})
	s := startExporter(t, cheap(t), func(e *exporter) {
		e.walks.cacheFor = 0
		e.stuck = 300 * time.Millisecond
		walk := e.walks.walk
		e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
			if hang.Load() {
				<-release // and no end of ctx is heeded, as in the kernel
			}
			return walk(ctx)
		}
		counted.attach(e)
	})
	s.ready(t)
	s.get(t, "GET", "/metrics")
	before := counted.walks.Load()
	hang.Store(true)
	for range 3 {
		r, text := s.get(t, "GET", "/metrics", timeoutHeader, "0.1")
		if r.StatusCode != 503 || !regexp.MustCompile(`has not ended \(waited \d+\.\ds\)`).Match(text) {
			t.Errorf("%s %q, want 503 and the age", r.Status, text)
		}
	}
	if n := counted.walks.Load() - before; n != 1 {
		t.Errorf("%d walks begun while one is stuck", n)
	}
	if n := s.waiting(); n != 0 {
		t.Errorf("%d scrapes are still waited for", n)
	}
	health := func(code int) func() bool {
		return func() bool {
			r, text := s.get(t, "GET", "/healthz")
			return r.StatusCode == code && (code == 200 || strings.Contains(string(text), "hangs since"))
		}
	}
	s.until(t, "health fails", health(503))

	// Who gives up leaves the walk to others.
	ctx, leave := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/metrics", nil)
	go s.client.Do(r)
	s.until(t, "a scrape waits", func() bool { return s.waiting() == 1 })
	leave()
	s.until(t, "it has gone", func() bool { return s.waiting() == 0 })
	hang.Store(false)
	close(release)
	s.until(t, "health returns", health(200))
	response, text := s.get(t, "GET", "/metrics")
	if response.StatusCode != 200 {
		t.Fatalf("after the walk: %s %q", response.Status, text)
	}
	families := parseText(t, text)
	if n := seriesValue(t, families, "cosanet_exporter_scrapes_total", "code", "503"); n < 3 {
		t.Errorf("%v scrapes in vain counted, want 3 and the one that left", n)
	}
}

// TestWalkTakesTooLong ends a walk at its limit: half of one is no answer, and the next scrape begins another.
func TestWalkTakesTooLong(t *testing.T) {
	var slow atomic.Bool
	s := startExporter(t, cheap(t), func(e *exporter) {
		e.walks.cacheFor = 0
		e.walks.limit = 300 * time.Millisecond
		e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
			if slow.Load() {
				<-ctx.Done()
			}
			return &metrics.Snapshot{}
		}
	})
	s.ready(t)
	slow.Store(true)
	for range 2 {
		if r, text := s.get(t, "GET", "/metrics"); r.StatusCode != 503 || !strings.Contains(string(text), "walking this node: not done after 300ms") {
			t.Errorf("%s %q", r.Status, text)
		}
	}
	if n := s.log.count("walk failed"); n != 1 {
		t.Errorf("%d lines of two walks that failed", n)
	}
}

// TestSlowClient reads next to nothing of its answer: others are answered meanwhile, it is cut off when its time is
// over, and what it held is given back.
func TestSlowClient(t *testing.T) {
	var counted watched
	s := startExporter(t, cheap(t), func(e *exporter) {
		counted.attach(e)
		e.answer = 2 * time.Second
		e.walks.cacheFor = 0
		inflate(e, 500)
	})
	s.ready(t)
	for _, zip := range []string{"identity", "gzip"} {
		s.crawl(t, zip)
		for range 5 {
			if _, text := s.get(t, "GET", "/metrics"); !bytes.HasSuffix(text, []byte("# EOF\n")) {
				t.Error("no whole answer beside a slow client")
			}
		}
		s.until(t, "what it held is given back", func() bool {
			s.walks.mu.Lock()
			defer s.walks.mu.Unlock()
			return counted.held.Load() == 1 && len(s.walks.alive) == 1
		})
	}
	_, text := s.get(t, "GET", "/metrics")
	if n := seriesValue(t, parseText(t, text), "cosanet_exporter_cut_answers_total"); n != 2 {
		t.Errorf("%v answers cut, want 2", n)
	}
}

// TestSlowClientsOfManyWalks hold the answers of no more than maxGenerations walks: for a further walk the oldest are cut
// off, long before their time is over.
func TestSlowClientsOfManyWalks(t *testing.T) {
	var counted watched
	s := startExporter(t, cheap(t), func(e *exporter) {
		counted.attach(e)
		e.answer, e.drain, e.walks.patience = time.Hour, time.Millisecond, 0
		e.walks.cacheFor = 0
		inflate(e, 500)
	})
	s.ready(t)
	for i := range 3 * maxGenerations {
		s.crawl(t, []string{"identity", "gzip"}[i%2])
		s.until(t, "there is room", func() bool {
			s.walks.mu.Lock()
			defer s.walks.mu.Unlock()
			return len(s.walks.alive) <= maxGenerations
		})
	}
	if n := counted.held.Load(); n > maxDirect+1 {
		t.Errorf("%d snapshots held", n)
	}
	if _, text := s.get(t, "GET", "/metrics"); !bytes.HasSuffix(text, []byte("# EOF\n")) {
		t.Error("no whole answer beside slow clients")
	}
}

// inflate makes the answers larger than what the kernel takes of them for a client that does not read: the host's row again
// and again under other names, with values that do not compress.
func inflate(e *exporter, rows int) {
	walk, recycle := e.walks.walk, e.walks.recycle
	own := sync.Map{} // of the inflated snapshot, that which it is of
	e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
		s := walk(ctx)
		large := &metrics.Snapshot{Time: s.Time, Records: s.Records}
		for i := range rows {
			r := s.Records[0]
			r.Sandbox.Pod = fmt.Sprintf("pod-%s", randomHex(40))
			r.Sandbox.Namespace = "many"
			r.Samples = append([]metrics.Sample(nil), r.Samples...)
			for j := range r.Samples {
				r.Samples[j].Value = float64((i*7919 + j*104729) * 2654435761 % 1e15)
			}
			large.Records = append(large.Records, r)
		}
		own.Store(large, s)
		return large
	}
	e.walks.recycle = func(s *metrics.Snapshot) {
		small, _ := own.LoadAndDelete(s)
		recycle(small.(*metrics.Snapshot))
	}
}

// crawl begins a scrape of which only the first line is read.
func (s *served) crawl(t *testing.T, encoding string) {
	t.Helper()
	conn, err := net.Dial("tcp", s.listeners[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(4096)
	fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n", encoding)
	if line, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
		t.Fatalf("%q, %v", line, err)
	}
}
