package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// exporterPort is the exporters'.
const exporterPort = deploy.Port

// serveExporters answers scrapes in the name of every exporter pod on the nodes. Which one is asked shows by the address.
func (f *fleet) serveExporters(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	ready := func(w http.ResponseWriter, r *http.Request) {
		if l := f.exporterAt(r); l == nil {
			http.Error(w, "no pod", http.StatusServiceUnavailable)
		}
	}
	mux.HandleFunc("GET /healthz", ready)
	mux.HandleFunc("GET /readyz", ready)
	mux.HandleFunc("GET /metrics", f.scrape)
	server := &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}
	return serveUntil(ctx, server, func() error { return server.Serve(l) })
}

// exporterAt is the exporter that a request is for, nil where none runs at that address.
func (f *fleet) exporterAt(r *http.Request) *life {
	f.mu.Lock()
	l := f.byIP[askedAt(r)]
	f.mu.Unlock()
	if l == nil || l.program.kind != exports {
		return nil
	}
	if started, ended := l.times(); started.IsZero() || !ended.IsZero() {
		return nil
	}
	return l
}

// scrape answers as pkg/collector's exporter does: the walk, what the exporter says of itself, the end mark.
func (f *fleet) scrape(w http.ResponseWriter, r *http.Request) {
	l := f.exporterAt(r)
	if l == nil {
		panic(http.ErrAbortHandler) // nobody listens
	}
	q := l.program.question
	s := f.recording.snapshot(l.node.name, version(l.pod.Spec.Containers[0].Image), l.node.sandboxes(), q, time.Now(), f.began)
	s.Records = append(s.Records, aboutExporter(q))
	header := w.Header()
	header.Set("Content-Type", metrics.TextFormat.ContentType())
	out := io.Writer(w)
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		defer zip.Close()
		out = zip
	}
	text := append(metrics.Append(nil, s), "# EOF\n"...)
	if l.node.trouble == logCut {
		out.Write(text[:len(text)/2])
		panic(http.ErrAbortHandler)
	}
	pace := &outlet{w: out, flush: func() error { return nil }, rate: l.node.rate, left: -1}
	pace.send(r.Context(), text) // an error is of who asked, and gone
}

// aboutExporter is what an exporter says that it counts.
func aboutExporter(q question) metrics.Record {
	info, _ := metrics.Lookup("cosanet_exporter_info")
	sockets := ""
	if q.sockets || q.set == metrics.All {
		sockets = "tcp,udp"
	}
	return metrics.Record{Samples: []metrics.Sample{{
		Metric: info, Value: 1,
		Labels: []metrics.Label{
			{Name: "metrics", Value: q.set.String()}, {Name: "sockets", Value: sockets}, {Name: "pod_filter", Value: ""},
			{Name: "sources", Value: strings.Join(q.reads(), ",")},
		},
	}}}
}

// installExporter makes the exporter's DaemonSet for the hollow nodes alone, in the namespace where the plugin looks for it,
// and lets the real controller make its pods. Where the cluster has one it is left as it is.
func (f *fleet) installExporter(ctx context.Context) error {
	set, err := exporterSet(f.counts)
	if err != nil {
		return err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: set.Namespace, Labels: map[string]string{hollowLabel: "true"}}}
	_, err = f.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{})
	if err == nil || apierrors.IsAlreadyExists(err) {
		_, err = f.client.AppsV1().DaemonSets(set.Namespace).Create(ctx, set, metav1.CreateOptions{})
	}
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("installing the exporter: %w", err)
	}
	return nil
}

// exporterSet is the DaemonSet of deploy/base as kustomize would label it, for hollow nodes, with the metrics that it counts.
func exporterSet(counts metrics.Set) (*appsv1.DaemonSet, error) {
	text, err := deploy.Files.ReadFile("base/daemonset.yaml")
	if err != nil {
		return nil, fmt.Errorf("reading the exporter's manifest: %w", err)
	}
	var set appsv1.DaemonSet
	if err := yaml.Unmarshal(bytes.TrimSpace(text), &set); err != nil {
		return nil, fmt.Errorf("reading the exporter's manifest: %w", err)
	}
	set.Labels = map[string]string{hollowLabel: "true"}
	for name, value := range set.Spec.Selector.MatchLabels {
		set.Labels[name] = value
		set.Spec.Template.Labels[name] = value
	}
	container := &set.Spec.Template.Spec.Containers[0]
	container.Args = append(container.Args, "--metrics="+counts.String())
	set.Spec.Template.Spec.NodeSelector[hollowLabel] = "true"
	set.Spec.Template.Spec.ServiceAccountName = "default" // the exporter's own comes with the rest of deploy/
	return &set, nil
}
