package collector

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestAnswer reads an answer in both formats, plain and as gzip: the same families of this machine, the exporter's own after
// them, and the end mark.
func TestAnswer(t *testing.T) {
	c := noRuntime(t)
	c.Protocols = []Protocol{UDP, TCP}
	s := startExporter(t, c, nil)
	for _, format := range []metrics.Format{metrics.TextFormat, metrics.OpenMetricsFormat} {
		accept, _, _ := strings.Cut(format.ContentType(), "; charset")
		r, plain := s.get(t, "GET", "/metrics", "Accept", accept)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != format.ContentType() || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d, %v", accept, r.StatusCode, r.Header)
		}
		r, zipped := s.get(t, "GET", "/metrics", "Accept", accept, "Accept-Encoding", "gzip")
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != format.ContentType() || r.Header.Get("Content-Encoding") != "gzip" || r.ContentLength != int64(len(zipped)) {
			t.Errorf("%s as gzip: %d, %v", accept, r.StatusCode, r.Header)
		}
		unzipped, err := unzip(zipped)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{plain, unzipped} {
			if !bytes.HasSuffix(text, []byte("\n# EOF\n")) || bytes.Count(text, []byte("# EOF")) != 1 {
				t.Errorf("%s ends with %q", accept, text[max(0, len(text)-50):])
			}
			node, exporter := bytes.Index(text, []byte("\ncosanet_proc_net_snmp_Tcp_InSegs")), bytes.Index(text, []byte("\ncosanet_exporter_info"))
			if node < 0 || exporter < node {
				t.Errorf("%s: the node's counters at %d, the exporter's own families at %d", accept, node, exporter)
			}
			if format == metrics.TextFormat {
				families := parseText(t, text)
				seriesValue(t, families, "cosanet_exporter_info", "metrics", "all", "sockets", "tcp,udp", "pod_filter", "", "cosanet_node", "node-a")
				seriesValue(t, families, "cosanet_proc_net_snmp_Tcp_InSegs", "cosanet_namespace", "HOST")
				seriesValue(t, families, "process_open_fds")
				seriesValue(t, families, "go_goroutines")
				if age := seriesValue(t, families, "cosanet_exporter_walk_age_seconds"); age <= 0 {
					t.Errorf("the walk is %v seconds old", age)
				}
				if n := seriesValue(t, families, "cosanet_exporter_walks_total", "result", "done"); n != 1 {
					t.Errorf("%v walks", n)
				}
			}
		}
		// Of one walk, all but what the exporter says of itself is the same.
		if a, b := ofNode(plain), ofNode(unzipped); !bytes.Equal(a, b) {
			t.Errorf("%s: %d bytes plain and others as gzip, %d", accept, len(a), len(b))
		}
		s.checkMetrics(t, format, plain)
	}
}

// unzip reads the first member alone, as curl and browsers do.
func unzip(zipped []byte) ([]byte, error) {
	zr, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	zr.Multistream(false)
	return io.ReadAll(zr)
}

// ofNode is the part of an answer before the families of the Go runtime.
func ofNode(text []byte) []byte {
	before, _, _ := bytes.Cut(text, []byte("# HELP go_"))
	return before
}

// checkMetrics lets promtool judge the text format. Names that the kernel and the original exporter chose are let be.
func (s *served) checkMetrics(t *testing.T, f metrics.Format, text []byte) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		promtool = "../../bin/tools/promtool"
	}
	if _, err := os.Stat(promtool); err != nil || f != metrics.TextFormat {
		return // it reads no OpenMetrics
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, _, _ := strings.Cut(line, " "); !strings.HasPrefix(name, "cosanet_proc_net_") {
			t.Errorf("promtool: %s", line)
		}
	}
}

// TestAnswerOfPods wants the counters of real namespaces in the answer, and the pods that came since in the next.
func TestAnswerOfPods(t *testing.T) {
	needsRoot(t)
	first := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	s := startExporter(t, noRuntime(t), func(e *exporter) { e.walks.cacheFor = 0 })
	has := func(p *testPod) bool {
		_, text := s.get(t, "GET", "/metrics")
		families := parseText(t, text)
		for _, m := range families["cosanet_sandbox_info"].Metric {
			for _, l := range m.Label {
				if l.GetName() == "cosanet_pod_uid" && l.GetValue() == p.uid {
					return true
				}
			}
		}
		return false
	}
	s.ready(t)
	if !has(first) {
		t.Error("no row of a pod")
	}
	second := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	if !has(second) {
		t.Error("no row of a pod that came later")
	}
	syscall.Kill(first.pid, syscall.SIGKILL)
	waitDead(t, first.pid)
	if has(first) {
		t.Error("a row of a pod that has gone")
	}
}

func TestScrapeTimeout(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":     7 * time.Second,
		"ten":  7 * time.Second,
		"NaN":  7 * time.Second,
		"-1":   7 * time.Second,
		"0":    7 * time.Second,
		"10":   9500 * time.Millisecond,
		"1.0":  900 * time.Millisecond,
		"1e9":  maxScrapeTimeout - 500*time.Millisecond,
		"+Inf": maxScrapeTimeout - 500*time.Millisecond,
	} {
		if got := scrapeTimeout(header, 7*time.Second); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"":                              false,
		"gzip":                          true,
		"GZIP":                          true,
		"x-gzip":                        true,
		"deflate, gzip;q=1.0, *;q=0.5":  true,
		"gzip;q=0":                      false,
		"gzip; q=0.000":                 false,
		"gzip;q=0, *":                   false,
		"*":                             true,
		"*;q=0":                         false,
		"identity":                      false,
		"identity, gzip;q=0.5":          false,
		"identity;q=0.5, gzip;q=1":      true,
		"identity;q=0, gzip;q=0.1":      true,
		"br, zstd":                      false,
		"gzip;q=many":                   false,
		"gzip;level=1":                  true,
		"zstd;q=1, gzip;q=0.5, br;q=.1": true,
	} {
		if got := acceptsGzip([]string{header}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	if !acceptsGzip([]string{"deflate", "gzip"}) {
		t.Error("in a second header: not taken")
	}
}

func TestNegotiate(t *testing.T) {
	for accept, want := range map[string]metrics.Format{
		"":                             metrics.TextFormat,
		"*/*":                          metrics.TextFormat,
		"text/html":                    metrics.TextFormat,
		"text/plain":                   metrics.TextFormat,
		"application/openmetrics-text": metrics.OpenMetricsFormat,
		"application/openmetrics-text;version=1.0.0":                     metrics.OpenMetricsFormat,
		"application/openmetrics-text;version=2.0.0,text/plain;q=0.5":    metrics.TextFormat,
		"application/openmetrics-text;q=0.5,text/plain;version=0.0.4":    metrics.TextFormat,
		string(expfmt.FmtProtoDelim) + ";q=0.9,text/plain;version=0.0.4": metrics.TextFormat,
		// Prometheus 2 and 3.
		"application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2": metrics.OpenMetricsFormat,
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2":        metrics.OpenMetricsFormat,
	} {
		if got := negotiate(accept); got != want {
			t.Errorf("%q: format %d, want %d", accept, got, want)
		}
	}
}
