package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// proxy is the API server's way to a pod.
func (s *apiServer) proxy(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.proxied = append(s.proxied, r.PathValue("name"))
	nth := len(s.proxied)
	s.mu.Unlock()
	s.exporter(w, r, nth)
}

// exporterOn is a pod of the DaemonSet on a node, ready.
func exporterOn(node string) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: homeNamespace, Name: deploy.Name + "-" + node, Labels: exporterLabels,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: deploy.Name, Controller: &yes}},
		},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "exporter", Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 9156}}}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// scrapeOf is the nth answer of an exporter: it walks every second and is of version v0.1.0.
func scrapeOf(node string, nth int, info string) []byte {
	curr, _ := metrics.Lookup("cosanet_conntrack_curr")
	syn, _ := metrics.Lookup("cosanet_proc_net_netstat_TcpExt_OfoPruned")
	walked, _ := metrics.Lookup("cosanet_walk_timestamp_seconds")
	build, _ := metrics.Lookup("cosanet_build_info")
	at := time.Unix(int64(1000+nth), 0)
	text := metrics.Append(nil, &metrics.Snapshot{Time: at, Records: []metrics.Record{
		{Sandbox: metrics.Sandbox{Node: node}, Samples: []metrics.Sample{
			{Metric: build, Labels: []metrics.Label{{Name: "version", Value: "v0.1.0"}}, Value: 1},
			{Metric: walked, Value: float64(at.Unix())},
		}},
		{Sandbox: metrics.Sandbox{Node: node, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace}, Samples: []metrics.Sample{
			{Metric: curr, Value: float64(nth)}, {Metric: syn, Value: 7},
		}},
	}})
	return fmt.Appendf(text, `# HELP cosanet_exporter_info What it counts.
# TYPE cosanet_exporter_info gauge
cosanet_exporter_info{%s} 1
# HELP go_gc_duration_seconds A summary.
# TYPE go_gc_duration_seconds summary
go_gc_duration_seconds{quantile="0"} 4.2e-05
go_gc_duration_seconds_sum 1
go_gc_duration_seconds_count 2
# TYPE process_open_fds gauge
process_open_fds 9
# EOF
`, info)
}

const (
	countsDefault = `metrics="default",sockets="",pod_filter=""`
	countsAll     = `metrics="all",sockets="tcp,udp,icmp,udplite,raw",pod_filter=""`
)

// nodeOfProxied is the node whose exporter a request is for.
func nodeOfProxied(r *http.Request) string {
	name := strings.TrimPrefix(strings.TrimPrefix(r.PathValue("name"), "https:"), deploy.Name+"-")
	node, _, _ := strings.Cut(name, ":")
	return node
}

// exporting is a server with two nodes whose exporters answer well.
func exporting(t *testing.T) (*apiServer, *Collection) {
	s, c := newAPIServer(t, "a", "b"), testCollection()
	s.put(exporterOn("a"))
	s.put(exporterOn("b"))
	s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) {
		w.Write(scrapeOf(nodeOfProxied(r), nth, countsDefault))
	}
	return s, c
}

func TestObserveExporters(t *testing.T) {
	s, c := exporting(t)
	fleet, err, left := observe(t, s, c, Ask{Metrics: metrics.Default, Samples: 2, Interval: time.Millisecond})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	for i, node := range []string{"a", "b"} {
		o := fleet.Observations[i]
		if o.Node != node || o.Err != nil || len(o.Snapshots) != 2 || !o.Snapshots[1].Time.After(o.Snapshots[0].Time) {
			t.Fatalf("observation %d: %+v, want two snapshots of node %s, one after the other", i, o, node)
		}
		var got []string
		for _, r := range o.Snapshots[0].Records {
			for _, s := range r.Samples {
				got = append(got, r.Sandbox.Node+" "+r.Sandbox.NetNS+" "+s.Metric.Name)
			}
		}
		want := []string{node + "  cosanet_build_info", node + "  cosanet_walk_timestamp_seconds", node + " HOST cosanet_conntrack_curr"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what is kept of the answer (-want +got):\n%s", diff)
		}
	}
	if s.creates != 0 || len(fleet.remarks) != 0 {
		t.Errorf("%d pods created, remarks %q; want none", s.creates, fleet.remarks)
	}
	if want := deploy.Name + "-a:9156"; !slices.Contains(s.proxied, want) {
		t.Errorf("asked for %v, not for %s", s.proxied, want)
	}
}

// Who only looks like the exporter is not asked.
func TestFindExporters(t *testing.T) {
	s, c := newAPIServer(t, "a", "b", "c", "d", "e"), testCollection()
	s.put(exporterOn("a"))
	foreign := exporterOn("b")
	foreign.Namespace = "default"
	s.put(foreign)
	bare := exporterOn("c")
	bare.OwnerReferences = nil
	s.put(bare)
	replica := exporterOn("d")
	replica.OwnerReferences[0].Kind = "ReplicaSet"
	s.put(replica)
	starting := exporterOn("e")
	starting.Status.Conditions[0].Status = corev1.ConditionFalse
	s.put(starting)
	found := findExporters(t.Context(), s.client(t), homeNamespace)
	if len(found.ready) != 1 || found.ready["a"] == nil || len(found.unready) != 1 || !found.unready["e"] || found.err != nil {
		t.Errorf("found %+v, want that of a ready and that of e not", found)
	}
	s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) {
		w.Write(scrapeOf(nodeOfProxied(r), nth, countsDefault))
	}
	fleet, err, left := observe(t, s, c, Ask{Metrics: metrics.Default})
	if err != nil || left != nil {
		t.Fatalf("Observe: %v, %v", err, left)
	}
	if s.creates != 4 || len(s.proxied) != 1 {
		t.Errorf("%d pods created and %v asked, want 4 and one", s.creates, s.proxied)
	}
	if diff := cmp.Diff([]string{"node e: asked by a pod, since its exporter is not ready"}, fleet.remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
	c.Carrier = ExporterCarrier
	fleet, err, _ = observe(t, s, c, Ask{Metrics: metrics.Default})
	if err != nil {
		t.Fatal(err)
	}
	want := `4 of 5 nodes failed:
  node b, c, d: no exporter runs on it
    kubectl describe daemonset -n cosanet cosanet-exporter, or --source auto
  node e: its exporter is not ready
    kubectl get pods -n cosanet -o wide --field-selector spec.nodeName=e, or --source auto`
	if diff := cmp.Diff(want, fleet.failure().Error()); diff != "" {
		t.Errorf("with --source exporter (-want +got):\n%s", diff)
	}
}

// What goes wrong with an exporter: auto asks a pod in its place and says why in one line for both nodes, exporter fails.
func TestObserveExporterFailures(t *testing.T) {
	text := func(change func(node string, nth int) []byte) func(*apiServer) {
		return func(s *apiServer) {
			s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) { w.Write(change(nodeOfProxied(r), nth)) }
		}
	}
	status := func(code int32, reason metav1.StatusReason, message string) func(*apiServer) {
		return func(s *apiServer) {
			s.exporter = func(w http.ResponseWriter, _ *http.Request, _ int) { answer(w, failure(code, reason, message)) }
		}
	}
	plain := func(code int, body string) func(*apiServer) {
		return func(s *apiServer) {
			s.exporter = func(w http.ResponseWriter, _ *http.Request, _ int) { http.Error(w, body, code) }
		}
	}
	for _, tt := range []struct {
		name string
		ask  Ask
		harm func(*apiServer)
		want string // why, in one line; empty: it goes well
	}{
		{name: "a smaller set", ask: Ask{Metrics: metrics.All, Samples: 1}, harm: func(*apiServer) {},
			want: "its exporter counts the metrics of --metrics default, not all; kubectl cosanet serve --metrics all"},
		{name: "another set", ask: Ask{Metrics: metrics.Errors}, harm: func(*apiServer) {},
			want: "its exporter counts the metrics of --metrics default, not errors; kubectl cosanet serve --metrics all"},
		{name: "no sockets", ask: Ask{Metrics: metrics.Default, Sockets: true}, harm: func(*apiServer) {},
			want: "its exporter does not count sockets; kubectl cosanet serve --sockets"},
		{name: "all has everything", ask: Ask{Metrics: metrics.Default, Sockets: true, Samples: 2, Interval: 1},
			harm: text(func(node string, nth int) []byte { return scrapeOf(node, nth, countsAll) })},
		{name: "a choice of its own", harm: text(func(node string, nth int) []byte {
			return scrapeOf(node, nth, `metrics="custom",sockets="",pod_filter=""`)
		}),
			want: "its exporter counts a choice of its own (--collector.*), of which it is not known what is missing"},
		{name: "a pod filter", harm: text(func(node string, nth int) []byte {
			return scrapeOf(node, nth, `metrics="all",sockets="",pod_filter="^shop/"`)
		}),
			want: "its exporter leaves out pods (--collector.pod-filter ^shop/)"},
		{name: "says nothing of itself", harm: text(func(node string, nth int) []byte {
			return bytes.ReplaceAll(scrapeOf(node, nth, countsAll), []byte("cosanet_exporter_info"), []byte("other_info"))
		}), want: "its exporter does not say what it counts; kubectl cosanet serve installs that of this version"},
		{name: "cut", harm: text(func(node string, nth int) []byte {
			return bytes.TrimSuffix(scrapeOf(node, nth, countsDefault), []byte("# EOF\n"))
		}),
			want: `its exporter's answer: the stream is not whole: it does not end with "# EOF"`},
		{name: "cut within a line", harm: text(func(node string, nth int) []byte { return scrapeOf(node, nth, countsDefault)[:400] }),
			want: `its exporter's answer: the stream is not whole: it does not end with "# EOF"`},
		{name: "more after the end", harm: text(func(node string, nth int) []byte { return append(scrapeOf(node, nth, countsDefault), "x 1\n"...) }),
			want: `its exporter's answer: the stream is not whole: it does not end with "# EOF"`},
		{name: "no exporter at all", harm: text(func(string, int) []byte { return []byte("# EOF\n") }),
			want: "what answers in place of its exporter does not say when it counted"},
		{name: "of another node", harm: text(func(_ string, nth int) []byte { return scrapeOf("evil\x1b[31m", nth, countsDefault) }),
			want: `its exporter answers for node evil\x1b[31m`},
		{name: "restarting", harm: status(503, metav1.StatusReasonServiceUnavailable, "error trying to reach service: dial tcp 10.1.2.3:9156: connect: connection refused"),
			want: "its exporter does not answer (HTTP status 503): error trying to reach service: connect: connection refused"},
		{name: "stuck walk", harm: plain(503, "the walk of 12s ago is still under way"),
			want: "its exporter does not answer (HTTP status 503): the walk of 12s ago is still under way"},
		{name: "basic auth", harm: plain(401, "Unauthorized"),
			want: "its exporter asks for a password (basic auth), which the API server does not pass on; --source pod goes without it"},
		{name: "gone", harm: status(404, metav1.StatusReasonNotFound, `pods "cosanet-exporter-a" not found`), want: "its exporter is gone"},
		{name: "no right", harm: status(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: User "jane" cannot get resource "pods/proxy" in API group "" in the namespace "cosanet"`),
			want: `its exporter may not be asked: User "jane" cannot get resource "pods/proxy" in API group "" in the namespace "cosanet"; kubectl create role cosanet-exporter -n cosanet --verb=get --resource=pods/proxy && kubectl create rolebinding cosanet-exporter -n cosanet --role=cosanet-exporter --user="jane"`},
		{name: "TLS", ask: Ask{Metrics: metrics.Default, Samples: 2, Interval: 1}, harm: func(s *apiServer) {
			s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) {
				if !strings.HasPrefix(r.PathValue("name"), "https:") {
					http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
					return
				}
				w.Write(scrapeOf(nodeOfProxied(r), nth, countsDefault))
			}
		}},
		{name: "walks seldom", ask: Ask{Metrics: metrics.Default, Samples: 2, Interval: time.Millisecond},
			harm: text(func(node string, nth int) []byte { return scrapeOf(node, nth/8, countsDefault) })},
		{name: "one walk for ever", ask: Ask{Metrics: metrics.Default, Samples: 2, Interval: time.Millisecond},
			harm: text(func(node string, _ int) []byte { return scrapeOf(node, 1, countsDefault) }),
			want: "its exporter answered with the same walk for 2.1s: it caches for longer (--cache-duration), or its clock stands still; give it longer with --interval, or use --source pod"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if cmp.Equal(tt.ask, Ask{}) {
				tt.ask.Metrics = metrics.Default
			}
			s, c := exporting(t)
			tt.harm(s)
			fleet, err, left := observe(t, s, c, tt.ask)
			if err != nil || left != nil || fleet.failure() != nil {
				t.Fatalf("Observe: %v, %v, %v", err, left, fleet.failure())
			}
			var want []string
			if tt.want != "" {
				want = []string{"node a, b: asked by a pod, since " + tt.want}
			}
			if diff := cmp.Diff(want, fleet.remarks); diff != "" {
				t.Errorf("remarks of --source auto (-want +got):\n%s", diff)
			}
			if pods := s.creates > 0; pods != (tt.want != "") {
				t.Errorf("%d pods created", s.creates)
			}
			gone(t, s, c)

			s, c = exporting(t)
			tt.harm(s)
			c.Carrier = ExporterCarrier
			fleet, err, _ = observe(t, s, c, tt.ask)
			if err != nil || s.creates > 0 {
				t.Fatalf("--source exporter: %v, %d pods created", err, s.creates)
			}
			for _, o := range fleet.Observations {
				if tt.want == "" && o.Err != nil || tt.want != "" && (o.Err == nil || oneLine(o.Err) != tt.want) {
					t.Errorf("--source exporter: %v, want %q", o.Err, tt.want)
				}
			}
		})
	}
}

// An exporter that is silent, as behind a NetworkPolicy, holds up neither auto nor an interruption.
func TestObserveExporterSilent(t *testing.T) {
	s, c := exporting(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.exporter = func(_ http.ResponseWriter, r *http.Request, nth int) {
		if c.Carrier == ExporterCarrier && nth > 2 {
			interrupt()
		}
		<-r.Context().Done()
	}
	c.patience = 200 * time.Millisecond
	fleet, err := c.Observe(ctx, s.client(t), everyNodeSelected(), Ask{Metrics: metrics.Default})
	if err != nil || fleet.failure() != nil {
		t.Fatalf("Observe: %v, %v", err, fleet.failure())
	}
	if diff := cmp.Diff([]string{"node a, b: asked by a pod, since its exporter's answer did not begin within 200ms"}, fleet.remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
	c.Carrier, c.Timeout = ExporterCarrier, time.Minute
	if fleet, err = c.Observe(ctx, s.client(t), everyNodeSelected(), Ask{Metrics: metrics.Default}); fleet != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v, %v; want context.Canceled alone", fleet, err)
	}
	if err := c.ledger.settle(); err != nil {
		t.Error(err)
	}
}

// Who may neither ask the exporters nor make pods is told both.
func TestObserveWithoutRights(t *testing.T) {
	s, c := exporting(t)
	forbidden := func(what string) *metav1.Status {
		return failure(403, metav1.StatusReasonForbidden, `pods "x" is forbidden: User "jane" cannot `+what+` in API group "" in the namespace "cosanet"`)
	}
	s.exporter = func(w http.ResponseWriter, _ *http.Request, _ int) { answer(w, forbidden(`get resource "pods/proxy"`)) }
	s.admit = func(*corev1.Pod) *metav1.Status { return forbidden(`create resource "pods"`) }
	_, err, _ := observe(t, s, c, Ask{Metrics: metrics.Default})
	for _, part := range []string{`cannot create resource "pods"`, "asked by a pod, since its exporter may not be asked", "--verb=get --resource=pods/proxy"} {
		if !strings.Contains(errorText(err), part) {
			t.Errorf("error %v, want it to contain %q", err, part)
		}
	}
}

// A refusal of pods takes nothing from the nodes whose exporters answered.
func TestObserveRefusedBesideExporters(t *testing.T) {
	s, c := exporting(t)
	s.nodes = append(s.nodes, "c", "d")
	s.admit = func(pod *corev1.Pod) *metav1.Status {
		return failure(403, metav1.StatusReasonForbidden, "pods is forbidden: violates PodSecurity \"baseline:latest\": host namespaces")
	}
	fleet, err, _ := observe(t, s, c, Ask{Metrics: metrics.Default})
	if err != nil || fleet.Observations[0].Err != nil || fleet.Observations[1].Err != nil {
		t.Fatalf("Observe: %v, %+v; want the answers of a and b", err, fleet)
	}
	if failure := fleet.failure(); failure == nil || !strings.HasPrefix(failure.Error(), "2 of 4 nodes failed:\n  node c, d: creating collector pod default/") {
		t.Errorf("failure %v, want that of c and d", failure)
	}
}

func TestObserveWithoutExporters(t *testing.T) {
	s, c := newAPIServer(t, "a"), testCollection()
	c.Carrier = ExporterCarrier
	_, err, _ := observe(t, s, c, Ask{})
	if want := "no exporter runs in namespace cosanet\n  kubectl cosanet serve installs it; --source pod goes without"; errorText(err) != want {
		t.Errorf("error %q, want %q", errorText(err), want)
	}
	s.listable = func(namespace string) *metav1.Status {
		if namespace != homeNamespace {
			return nil
		}
		return failure(403, metav1.StatusReasonForbidden, `pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "cosanet"`)
	}
	_, err, _ = observe(t, s, c, Ask{})
	if err == nil || !strings.HasPrefix(err.Error(), "listing the exporter's pods: ") || !strings.Contains(err.Error(), "--clusterrole=view --user=\"jane\"") {
		t.Errorf("without the right to list: %v", err)
	}
	c.Carrier = AnyCarrier // goes without, and without a word: there may be none
	fleet, err, _ := observe(t, s, c, Ask{})
	if err != nil || fleet.failure() != nil || len(fleet.remarks) > 0 {
		t.Errorf("auto without the right to list: %v, %+v", err, fleet)
	}
}

func TestVersionSkew(t *testing.T) {
	s, c := exporting(t)
	c.version = "v0.2.0"
	fleet, err, _ := observe(t, s, c, Ask{Metrics: metrics.Default})
	if err != nil || fleet.failure() != nil {
		t.Fatal(err, fleet.failure())
	}
	if diff := cmp.Diff([]string{"node a, b: its exporter is of version v0.1.0, kubectl cosanet of v0.2.0"}, fleet.remarks); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
}
