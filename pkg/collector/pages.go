//go:build linux

package collector

import (
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"

	"github.com/prometheus/exporter-toolkit/web"
)

// pages are what the exporter answers, to GET and HEAD.
func (e *exporter) pages() (http.Handler, error) {
	landing, err := web.NewLandingPage(web.LandingConfig{
		Name:        "cosanet",
		Description: "What the kernel counted in every pod's network namespace on node " + html.EscapeString(e.config.Node),
		Version:     html.EscapeString(e.config.Version),
		Profiling:   "false",
		Links: []web.LandingLinks{
			{Address: "/metrics", Text: "Metrics", Description: "of all pods of the node and of the exporter, as text or OpenMetrics"},
			{Address: "/healthz", Text: "Health", Description: "fails when the exporter hangs"},
			{Address: "/readyz", Text: "Readiness", Description: "fails before the first walk over the node, and when the exporter ends"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making the landing page: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", e.metricsPage)
	mux.Handle("/", landing)
	e.handleProbes(mux)
	return e.bounded(mux), nil
}

// probes are the pages for the kubelet alone.
func (e *exporter) probes() http.Handler {
	mux := http.NewServeMux()
	e.handleProbes(mux)
	return e.bounded(mux)
}

func (e *exporter) handleProbes(mux *http.ServeMux) {
	for _, path := range []string{"/healthz", "/-/healthy"} {
		mux.HandleFunc(path, probe(e.healthy))
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		mux.HandleFunc(path, probe(e.ready))
	}
}

// healthy fails when only a restart can help: a walk that did not end when it was told to.
func (e *exporter) healthy() error {
	if running, _ := e.walks.state(); running > e.stuck {
		return fmt.Errorf("the walk over this node hangs since %.0fs", running.Seconds())
	}
	return nil
}

// ready fails before the first walk is done, and when the exporter is about to end.
func (e *exporter) ready() error {
	select {
	case <-e.draining:
		return errors.New("ending")
	default:
	}
	if running, ever := e.walks.state(); !ever {
		return fmt.Errorf("the first walk over this node is not done (%.1fs)", running.Seconds())
	}
	return nil
}

// probe answers 200 unless check fails, then 503 with the reason.
func probe(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "ok\n")
	}
}

// bounded refuses every method that would change something, for nothing here can be changed, and keeps no connection open
// when there are many: those who keep one for their next scrape would keep out others.
func (e *exporter) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.open.Load() > int64(e.MaxConnections/2) {
			w.Header().Set("Connection", "close")
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD are answered", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}
