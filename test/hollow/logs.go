package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// serveKubelets answers the API server in the name of every node. Which node is asked shows by the address that it is asked at.
func (f *fleet) serveKubelets(ctx context.Context, l net.Listener) error {
	certificate, err := tls.LoadX509KeyPair(f.certFile, f.keyFile)
	if err != nil {
		return fmt.Errorf("reading the serving certificate: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", f.containerLogs)
	server := &http.Server{
		Handler:   mux,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		ErrorLog:  log.New(io.Discard, "", 0), // of clients that went away
	}
	return serveUntil(ctx, server, func() error { return server.ServeTLS(l, "", "") })
}

// serveUntil serves until ctx ends, and cuts off who is still there.
func serveUntil(ctx context.Context, server *http.Server, serve func() error) error {
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := serve(); ctx.Err() == nil {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// askedAt is the address that a request came to.
func askedAt(r *http.Request) netip.Addr {
	address, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if address == nil {
		return netip.Addr{}
	}
	asked, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Addr{}
	}
	return asked.Addr().Unmap()
}

// containerLogs answers as the kubelet's handler of that name does (pkg/kubelet/server).
func (f *fleet) containerLogs(w http.ResponseWriter, r *http.Request) {
	key, container := podKey{r.PathValue("namespace"), r.PathValue("pod")}, r.PathValue("container")
	options, err := parseLogOptions(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	l := f.lifeOf(key)
	if l != nil && l.node.address != askedAt(r) {
		l = nil
	}
	switch {
	case options.previous:
		http.Error(w, fmt.Sprintf("previous terminated container %q in pod %q not found", container, key.name), http.StatusBadRequest)
	case l == nil && f.owns(key, askedAt(r)):
		options.write(w, []byte("hollow: nothing runs here\n"))
	case l == nil:
		http.Error(w, fmt.Sprintf("pod %q does not exist", key.name+"_"+key.namespace), http.StatusNotFound)
	case !slices.ContainsFunc(l.pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == container }):
		http.Error(w, fmt.Sprintf("container %q not found in pod %q", container, key.name+"_"+key.namespace), http.StatusNotFound)
	default:
		l.writeLog(r.Context(), w, container, options)
	}
}

// owns tells whether a pod is one of the own pods of the node with an address.
func (f *fleet) owns(key podKey, address netip.Addr) bool {
	for _, n := range f.nodes {
		if n.address != address {
			continue
		}
		for i := range f.pods {
			if p := newOwnPod(n.number, i); p.name() == key.name && namespaceName(p.namespace) == key.namespace {
				return n.uid(i) != ""
			}
		}
	}
	return false
}

// logOptions are those of a request for a log.
type logOptions struct {
	follow, previous bool
	since            time.Time // of a collector's frames, those that were begun before are left out
	tail, limit      int64     // lines and bytes; negative: all
}

func parseLogOptions(query url.Values) (logOptions, error) {
	o := logOptions{tail: -1, limit: -1}
	for name, to := range map[string]*bool{"follow": &o.follow, "previous": &o.previous} {
		if value := query.Get(name); value != "" {
			*to = value != "false" && value != "0"
		}
	}
	if value := query.Get("sinceTime"); value != "" {
		var err error
		if o.since, err = time.Parse(time.RFC3339, value); err != nil {
			return o, fmt.Errorf("sinceTime: %w", err)
		}
	}
	for name, to := range map[string]*int64{"tailLines": &o.tail, "limitBytes": &o.limit} {
		value := query.Get(name)
		if value == "" {
			continue
		}
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return o, fmt.Errorf("%s %q: want a number", name, value)
		}
		*to = n
	}
	return o, nil
}

// cut leaves of a log what was asked for.
func (o logOptions) cut(text []byte) []byte {
	if o.tail >= 0 {
		at := len(text)
		for lines := int64(0); at > 0; at-- {
			if text[at-1] == '\n' && at < len(text) {
				if lines++; lines == o.tail {
					break
				}
			}
		}
		if o.tail == 0 {
			at = len(text)
		}
		text = text[at:]
	}
	if o.limit >= 0 && int64(len(text)) > o.limit {
		text = text[:o.limit]
	}
	return text
}

func (o logOptions) write(w io.Writer, text []byte) { w.Write(o.cut(text)) }

// writeLog writes what a pod's container has written, and with follow what it will.
func (l *life) writeLog(ctx context.Context, w http.ResponseWriter, container string, o logOptions) {
	started, _ := l.times()
	if started.IsZero() {
		http.Error(w, fmt.Sprintf("container %q in pod %q is waiting to start: ContainerCreating", container, l.pod.Name), http.StatusBadRequest)
		return
	}
	if l.program.kind != collects {
		o.write(w, []byte(l.program.says))
		return
	}
	out := &outlet{w: w, flush: http.NewResponseController(w).Flush, rate: l.node.rate, left: o.limit}
	out.flush() // the container runs: that is an answer
	var written []byte
	for i := range l.program.samples {
		due := started.Add(l.program.due(i))
		if time.Now().Before(due) {
			if !o.follow {
				break
			}
			if out.send(ctx, logOptions{tail: o.tail, limit: -1}.cut(written)) != nil || !sleep(ctx, time.Until(due)) {
				return
			}
			written, o.tail = nil, -1 // what is new is of interest whole
		}
		if l.fleet.moment(&l.program, started, i).Before(o.since) {
			continue
		}
		text, err := l.fleet.frame(l.node, &l.program, started, i)
		if err != nil {
			l.fleet.progress.step("%v", err)
			panic(http.ErrAbortHandler)
		}
		if l.node.trouble == logCut && i == l.program.samples-1 {
			out.send(ctx, bytes.Join([][]byte{written, text[:len(text)/2]}, nil))
			panic(http.ErrAbortHandler) // the connection ends without an end
		}
		written = append(written, text...)
	}
	out.send(ctx, logOptions{tail: o.tail, limit: -1}.cut(written))
}

// outlet sends a log, at a rate if there is one, until its limit.
type outlet struct {
	w     io.Writer
	flush func() error
	rate  int   // bytes a second; 0: as fast as it goes
	left  int64 // negative: no limit
}

func (o *outlet) send(ctx context.Context, text []byte) error {
	if o.left >= 0 {
		text = text[:min(int64(len(text)), o.left)]
		o.left -= int64(len(text))
	}
	piece := len(text)
	if o.rate > 0 {
		piece = max(1, o.rate/10)
	}
	for len(text) > 0 {
		n := min(piece, len(text))
		if _, err := o.w.Write(text[:n]); err != nil {
			return err
		}
		if err := o.flush(); err != nil {
			return err
		}
		if text = text[n:]; o.rate > 0 && !sleep(ctx, time.Duration(n)*time.Second/time.Duration(o.rate)) {
			return ctx.Err()
		}
	}
	return nil
}
