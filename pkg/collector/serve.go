//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// ServeConfig is how the exporter listens and answers, parsed. Durations and counts must be positive unless said otherwise.
type ServeConfig struct {
	Listen         []string      // addresses: host:port
	ProbeListen    string        // a further address for the probes alone, never with TLS or a password; empty: none
	WebConfigFile  string        // of the exporter toolkit: TLS, client certificates, basic auth, rate limit; empty: none of them
	CacheDuration  time.Duration // how old a walk may be, counted from its beginning, to answer further scrapes; 0: each that comes after its end walks anew
	ScrapeTimeout  time.Duration // of a scrape that does not say in X-Prometheus-Scrape-Timeout-Seconds how long it waits
	MaxConnections int           // at each address; those beyond wait to be accepted
	Log            *slog.Logger
}

// Serve answers scrapes of this node until ctx ends; then it refuses new ones, completes the answers under way and returns
// nil. What fails on the node is logged and shown in the metrics, and ends nothing. Errors: an address that cannot be
// listened on, a wrong web configuration, answers that were still under way after the time allowed.
func Serve(ctx context.Context, c *Config, s *ServeConfig) error {
	if err := web.Validate(s.WebConfigFile); err != nil {
		return fmt.Errorf("reading the web configuration %s: %w", s.WebConfigFile, err)
	}
	e := newExporter(c, s)
	err := e.listen()
	if err != nil {
		e.closeListeners()
		return err
	}
	return e.serve(ctx)
}

// limits bound what one client can hold. They are apart from ServeConfig since nobody has had a reason to change them.
type limits struct {
	header time.Duration // for a request's header
	answer time.Duration // for the reading of each paceBytes of an answer: who is slower is cut off
	idle   time.Duration // of a connection between two requests
	drain  time.Duration // for the answers under way when the exporter ends
	stuck  time.Duration // of a walk: beyond it the walk did not heed its end, and only a restart can help
}

var defaultLimits = limits{
	header: 5 * time.Second, answer: 30 * time.Second, idle: 2 * time.Minute,
	drain: 10 * time.Second, stuck: 3 * time.Minute,
}

// exporter is what Serve runs.
type exporter struct {
	config *Config
	ServeConfig
	limits
	walks *walks
	own   *ownFamilies
	zip   *compressor

	listeners []endpoint
	open      atomic.Int64          // connections
	draining  chan struct{}         // closed when the exporter has begun to end
	direct    chan *metrics.Encoder // for the answers that are encoded while they are written
	close     func() error          // gives up what the walks keep
}

// endpoint is an address and what answers there.
type endpoint struct {
	net.Listener
	server *http.Server
	web    string // configuration file; empty: plain HTTP
}

func newExporter(c *Config, s *ServeConfig) *exporter {
	e := &exporter{config: c, ServeConfig: *s, limits: defaultLimits, draining: make(chan struct{})}
	walker := NewWalker(c)
	troubles := &troubles{log: s.Log}
	e.own = newOwnFamilies(c)
	e.zip = newCompressor()
	e.direct = make(chan *metrics.Encoder, maxDirect)
	for range maxDirect {
		e.direct <- new(metrics.Encoder)
	}
	e.close = walker.Close
	e.walks = &walks{
		walk: walker.Walk, recycle: walker.Recycle, cacheFor: s.CacheDuration, patience: patience, limit: maxWalk,
		ended: func(r walkResult) {
			e.own.walked(r)
			troubles.report(r)
		},
	}
	return e
}

// listen binds every address before anything is answered, so that what cannot be had is known at once.
func (e *exporter) listen() error {
	bind := func(address, webConfig string, handler http.Handler) error {
		l, err := (&net.ListenConfig{Control: boundSending}).Listen(context.Background(), "tcp", address)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", address, err)
		}
		e.listeners = append(e.listeners, endpoint{netutil.LimitListener(l, e.MaxConnections), e.newServer(handler), webConfig})
		return nil
	}
	pages, err := e.pages()
	if err != nil {
		return err
	}
	for _, address := range e.Listen {
		if err := bind(address, e.WebConfigFile, pages); err != nil {
			return err
		}
	}
	if e.ProbeListen != "" {
		return bind(e.ProbeListen, "", e.probes())
	}
	return nil
}

// sendBuffer is what the kernel may hold of an answer that its client does not read; left to itself it is 4 MB for each.
const sendBuffer = 256 << 10

// boundSending sets it on a listening socket, from which the connections have it.
func boundSending(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	})
	return errors.Join(err, failed)
}

func (e *exporter) closeListeners() {
	for _, l := range e.listeners {
		l.Close()
	}
}

func (e *exporter) newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: e.header,
		ReadTimeout:       e.header, // no request has a body
		WriteTimeout:      maxScrapeTimeout + e.answer,
		IdleTimeout:       e.idle,
		MaxHeaderBytes:    16 << 10,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				e.open.Add(1)
			case http.StateClosed:
				e.open.Add(-1)
			}
		},
		ErrorLog: slog.NewLogLogger(e.Log.Handler(), slog.LevelDebug), // of clients that go away or speak no TLS
	}
}

// serve answers at the listeners until ctx ends, and then until the answers are written. Each listener has a server of its
// own: the toolkit wraps the handler of the server that it is given.
func (e *exporter) serve(ctx context.Context) error {
	walking, stopWalking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWalking()
	e.walks.base = walking
	e.walks.begin() // so that it is known whether this node can be read before anyone asks

	failed := make(chan error, len(e.listeners))
	for _, l := range e.listeners {
		go func() { failed <- web.Serve(l, l.server, &web.FlagConfig{WebConfigFile: &l.web}, e.Log) }()
	}
	var err error
	select {
	case <-ctx.Done():
		e.Log.Info("ending: answers under way are completed", "within", e.drain)
	case err = <-failed: // before its time
		err = fmt.Errorf("serving HTTP: %w", err)
	}
	close(e.draining)
	err = errors.Join(err, e.shutDown())
	stopWalking()
	if e.walks.wait(time.Second) {
		err = errors.Join(err, e.close())
	}
	return err
}

// shutDown completes the answers under way, and cuts those that take longer than they may.
func (e *exporter) shutDown() error {
	ctx, cancel := context.WithTimeout(context.Background(), e.drain)
	defer cancel()
	var err error
	for _, l := range e.listeners {
		if l.server.Shutdown(ctx) != nil {
			err = fmt.Errorf("answers were still being written after %s and are cut", e.drain)
			l.server.Close()
		}
	}
	return err
}
