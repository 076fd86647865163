package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// proxy stands between one run of the plugin and the real API server, on loopback, by TLS and HTTP/2 as they are. It
// takes down what comes to pass, and does to requests what the test says.
type proxy struct {
	kubeconfig string // leads to it

	mu     sync.Mutex
	faults []*fault
	asked  map[string]int // by verb
	meant  []corev1.Pod   // the pods that the plugin asked for, whatever came of that
	made   []corev1.Pod   // those of them that the API server said to have made, whether or not the plugin heard of it
	gone   []string       // and those that it deleted
}

// fault is what is done to some of the requests of a verb.
type fault struct {
	verb  string // "create pods", "get pods/log"
	first int    // the first one that it happens to, counted from 1
	times int    // how many it happens to; 0: all from there on
	do    mischief
}

// mischief answers a request in place of the API server, or on top of what that does: pass asks it.
type mischief func(w http.ResponseWriter, r *http.Request, pass http.Handler)

// verbOf is what a request asks for, in the words of RBAC.
func verbOf(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/api/v1/"), "/")
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	resource, verb := parts[0], "get"
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	switch {
	case r.Method == http.MethodPost:
		verb = "create"
	case r.Method == http.MethodDelete:
		verb = "delete"
	case r.URL.Query().Get("watch") != "":
		verb = "watch"
	case len(parts) == 1:
		verb = "list"
	}
	return verb + " " + resource
}

// between starts a proxy in front of the cluster's API server, until the test ends.
func (c *cluster) between(t testing.TB, faults ...*fault) *proxy {
	t.Helper()
	access, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cluster := access.Clusters[access.Contexts[access.CurrentContext].Cluster]
	upstream, err := url.Parse(cluster.Server)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(&rest.Config{Host: cluster.Server, TLSClientConfig: rest.TLSClientConfig{CAData: cluster.CertificateAuthorityData}})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{faults: faults, asked: map[string]int{}}
	pass := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(upstream); r.Out.Host = upstream.Host },
		Transport:      transport,
		FlushInterval:  -1, // events and log lines as they come
		ModifyResponse: p.note,
		ErrorLog:       log.New(io.Discard, "", 0), // broken connections are what it is for
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verb := verbOf(r)
		if verb == "create pods" {
			r.Header.Set("Accept", "application/json") // note reads it
			if err := p.mean(r); err != nil {
				panic(http.ErrAbortHandler) // the plugin broke off
			}
		}
		if do := p.mischief(verb); do != nil {
			do(w, r, pass)
			return
		}
		pass.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = pass.ErrorLog
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connection{}, conn)
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // a held request would be waited for

	cluster.Server = server.URL
	cluster.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	p.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*access, p.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return p
}

// mischief counts a request, and finds what is to be done to it.
func (p *proxy) mischief(verb string) mischief {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[verb]++
	nth := p.asked[verb]
	for _, f := range p.faults {
		if f.verb == verb && nth >= f.first && (f.times == 0 || nth < f.first+f.times) {
			return f.do
		}
	}
	return nil
}

// mean takes down which pod is asked for. Once: who does not know what came of it asks again.
func (p *proxy) mean(r *http.Request) error {
	pod, err := readPod(&r.Body)
	if err != nil {
		return err
	}
	pod.Namespace = strings.Split(r.URL.Path, "/")[4] // /api/v1/namespaces/NAMESPACE/pods
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.ContainsFunc(p.meant, func(other corev1.Pod) bool { return other.Name == pod.Name }) {
		p.meant = append(p.meant, pod)
	}
	return nil
}

// readPod reads the pod in a request or an answer, and leaves it there to be read again.
func readPod(body *io.ReadCloser) (pod corev1.Pod, err error) {
	text, err := io.ReadAll(*body)
	if err != nil {
		return pod, err
	}
	*body = io.NopCloser(bytes.NewReader(text))
	err = json.Unmarshal(text, &pod)
	return pod, err
}

// note takes down which pods came and went.
func (p *proxy) note(response *http.Response) error {
	switch verb := verbOf(response.Request); {
	case verb == "create pods" && response.StatusCode == http.StatusCreated:
		pod, err := readPod(&response.Body)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.made = append(p.made, pod)
	case verb == "delete pods" && response.StatusCode == http.StatusOK:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.gone = append(p.gone, response.Request.URL.Path[strings.LastIndex(response.Request.URL.Path, "/")+1:])
	}
	return nil
}

// wanted are the pods that the plugin asked for: an answer that nobody waited for any more is not seen here, and a pod there may be.
func (p *proxy) wanted() []corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.meant)
}

// pods are those that were made.
func (p *proxy) pods() []corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.made)
}

// deleted are the names of those that the API server deleted.
func (p *proxy) deleted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.gone)
}

// requests is how many of a verb came.
func (p *proxy) requests(verb string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[verb]
}

// connection is the key of a request's connection in its context.
type connection struct{}

// reset ends a request's connection, and all that is under way on it, as a machine does that was restarted: with an RST.
func reset(r *http.Request) {
	conn := r.Context().Value(connection{}).(*tls.Conn).NetConn().(*net.TCPConn)
	conn.SetLinger(0)
	conn.Close()
	panic(http.ErrAbortHandler)
}
