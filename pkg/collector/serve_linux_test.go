package collector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// served is an exporter that answers on loopback.
type served struct {
	*exporter
	url    string
	end    func() // begins the drain
	result chan error
	client *http.Client
	log    *lines
}

// startExporter serves this machine until the test ends. change is applied before anything begins.
func startExporter(t *testing.T, c *Config, change func(*exporter)) *served {
	t.Helper()
	log := new(lines)
	e := newExporter(c, &ServeConfig{
		Listen: []string{"127.0.0.1:0"}, CacheDuration: time.Hour, ScrapeTimeout: time.Minute, MaxConnections: 512,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if change != nil {
		change(e)
	}
	if err := e.listen(); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	s := &served{
		exporter: e, url: "http://" + e.listeners[0].Addr().String(), end: end, result: make(chan error, 1), log: log,
		client: &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}},
	}
	go func() { s.result <- e.serve(ctx) }()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		end()
		select {
		case <-s.result:
		case <-time.After(20 * time.Second):
			t.Error("the exporter does not end")
		}
	})
	return s
}

// wait waits for the end of the exporter.
func (s *served) wait() error {
	err := <-s.result
	s.result <- err
	return err
}

// lines is a log that may be looked at while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// get asks for a page; headers come in pairs.
func (s *served) get(t *testing.T, method, path string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	response, text, err := s.ask(method, path, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return response, text
}

func (s *served) ask(method, path string, headers ...string) (*http.Response, []byte, error) {
	r, err := http.NewRequest(method, s.url+path, nil)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}

// ready waits for the first walk.
func (s *served) ready(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if r, _ := s.get(t, "GET", "/readyz"); r.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("never ready")
		}
	}
}

// value returns the only series of a family.
func seriesValue(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	if families[name] == nil {
		t.Fatalf("no family %s", name)
	}
	for _, m := range families[name].Metric {
		have := map[string]string{}
		for _, l := range m.Label {
			have[l.GetName()] = l.GetValue()
		}
		ok := true
		for i := 0; i < len(labels); i += 2 {
			ok = ok && have[labels[i]] == labels[i+1]
		}
		if ok {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no %s%v", name, labels)
	return 0
}

func parseText(t *testing.T, text []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestPages(t *testing.T) {
	s := startExporter(t, noRuntime(t), nil)
	s.ready(t)
	for _, test := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/", 200, `href="/metrics"`},
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/-/healthy", 200, "ok\n"},
		{"GET", "/readyz", 200, "ok\n"},
		{"GET", "/-/ready", 200, "ok\n"},
		{"GET", "/nothing", 404, "not found"},
		{"GET", "/debug/pprof/", 404, "not found"},
		{"POST", "/metrics", 405, "only GET and HEAD"},
		{"DELETE", "/", 405, "only GET and HEAD"},
		{"PUT", "/healthz", 405, "only GET and HEAD"},
	} {
		r, text := s.get(t, test.method, test.path)
		if r.StatusCode != test.code || !strings.Contains(string(text), test.want) {
			t.Errorf("%s %s: %d %q, want %d with %q", test.method, test.path, r.StatusCode, text, test.code, test.want)
		}
		if allow := r.Header.Get("Allow"); test.code == 405 && allow != "GET, HEAD" {
			t.Errorf("%s %s: Allow %q", test.method, test.path, allow)
		}
	}
	for _, zip := range []string{"identity", "gzip"} {
		r, text := s.get(t, "HEAD", "/metrics", "Accept-Encoding", zip)
		if r.StatusCode != 200 || len(text) > 0 || r.Header.Get("Content-Type") != metrics.TextFormat.ContentType() || (r.Header.Get("Content-Encoding") == "gzip") != (zip == "gzip") {
			t.Errorf("HEAD /metrics as %s: %d, %v, %d bytes", zip, r.StatusCode, r.Header, len(text))
		}
	}
}

// TestListen wants errors that say what cannot be had.
func TestListen(t *testing.T) {
	s := startExporter(t, noRuntime(t), nil)
	taken := s.listeners[0].Addr().String()
	broken := t.TempDir() + "/web.yaml"
	if err := os.WriteFile(broken, []byte("tls_server_config: {cert_file: none.pem, key_file: none.key}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config ServeConfig
		want   string
	}{
		{"taken", ServeConfig{Listen: []string{"127.0.0.1:0", taken}}, "listening on " + taken},
		{"no address", ServeConfig{Listen: []string{"localhost"}}, "missing port"},
		{"probes taken", ServeConfig{Listen: []string{"127.0.0.1:0"}, ProbeListen: taken}, "listening on " + taken},
		{"no web configuration", ServeConfig{Listen: []string{"127.0.0.1:0"}, WebConfigFile: "/none.yaml"}, "reading the web configuration /none.yaml"},
		{"no certificate", ServeConfig{Listen: []string{"127.0.0.1:0"}, WebConfigFile: broken}, "none.pem"},
	} {
		test.config.MaxConnections, test.config.Log = 1, slog.New(slog.DiscardHandler)
		if err := Serve(t.Context(), noRuntime(t), &test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

// TestDrain ends the exporter while an answer is being made: it is completed, new ones are refused, and readiness says so
// at the address of the probes.
func TestDrain(t *testing.T) {
	release := make(chan struct{})
	s := startExporter(t, noRuntime(t), func(e *exporter) {
		e.ProbeListen = "127.0.0.1:0"
		walk := e.walks.walk
		e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
			<-release
			return walk(ctx)
		}
	})
	answer := make(chan error, 1)
	go func() {
		response, err := s.client.Get(s.url + "/metrics")
		if err != nil {
			answer <- err
			return
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err == nil && (response.StatusCode != 200 || !bytes.HasSuffix(text, []byte("# EOF\n"))) {
			err = fmt.Errorf("%s, ends with %q", response.Status, text[max(0, len(text)-50):])
		}
		answer <- err
	}()
	s.until(t, "a scrape waits", func() bool { return s.waiting() == 1 })
	s.end()
	probes := &served{url: "http://" + s.listeners[1].Addr().String(), client: s.client}
	s.until(t, "not ready", func() bool {
		r, text := probes.get(t, "GET", "/readyz")
		return r.StatusCode == 503 && string(text) == "ending\n"
	})
	s.until(t, "refusing", func() bool {
		r, err := http.Get(s.url + "/healthz")
		if err == nil {
			r.Body.Close()
		}
		return err != nil
	})
	if r, _ := probes.get(t, "GET", "/healthz"); r.StatusCode != 200 {
		t.Errorf("health while it ends: %s", r.Status)
	}
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the answer under way: %v", err)
	}
	if err := s.wait(); err != nil {
		t.Errorf("a drained end: %v", err)
	}
}

// TestDrainEnds cuts an answer that takes longer than the end may.
func TestDrainEnds(t *testing.T) {
	s := startExporter(t, noRuntime(t), func(e *exporter) {
		e.drain = 50 * time.Millisecond
		e.walks.walk = func(ctx context.Context) *metrics.Snapshot {
			<-ctx.Done()
			return &metrics.Snapshot{}
		}
	})
	go func() {
		if r, err := http.Get(s.url + "/metrics"); err == nil {
			r.Body.Close()
		}
	}()
	s.until(t, "a scrape waits", func() bool { return s.waiting() == 1 })
	s.end()
	if err := s.wait(); err == nil || !strings.Contains(err.Error(), "still being written after 50ms") {
		t.Errorf("error %v", err)
	}
}

// until waits for a condition.
func (s *served) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20s: %s", what)
		}
	}
}

// waiting is how many scrapes wait for the walk under way.
func (s *served) waiting() int {
	s.walks.mu.Lock()
	defer s.walks.mu.Unlock()
	if s.walks.running == nil {
		return 0
	}
	return len(s.walks.running.waiting)
}
