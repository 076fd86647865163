package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestQueries scrapes three nodes with a real Prometheus, configured by prometheus/scrape.yaml, and asks it every query of
// the dashboard and the rules. Two of the nodes have something to tell of every kind; the third is the real exporter on
// this machine.
func TestQueries(t *testing.T) {
	p := startPrometheus(t, serveNode(t, "node-1"), serveNode(t, "node-2"), runExporter(t, "node-3"))
	p.eventually(`min(count_over_time(up{job="cosanet"}[1m])) >= 3 and count(up{job="cosanet"} == 1) == 3`)

	t.Run("labels of the targets", func(t *testing.T) {
		got := p.in(t).query(`sum by (job, namespace, pod, node) (up)`)
		slices.SortFunc(got, func(a, b map[string]string) int { return strings.Compare(a["node"], b["node"]) })
		want := []map[string]string{
			{"job": "cosanet", "namespace": "cosanet", "pod": "cosanet-exporter-node-1", "node": "node-1"},
			{"job": "cosanet", "namespace": "cosanet", "pod": "cosanet-exporter-node-2", "node": "node-2"},
			{"job": "cosanet", "namespace": "cosanet", "pod": "cosanet-exporter-node-3", "node": "node-3"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	queries, err := Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "operations.md", "promql") {
		queries = append(queries, Query{"operations.md", block})
	}
	for _, q := range queries {
		t.Run(q.Name, func(t *testing.T) {
			series := p.in(t).query(q.Expr)
			// An alert answers only where it fires: that is testdata/rules_test.yaml's part.
			if len(series) == 0 && !strings.HasPrefix(q.Name, "alert ") {
				t.Errorf("no data for %s", q.Expr)
			}
		})
	}
	t.Run("the exporter has what is asked for", func(t *testing.T) {
		real := map[string]bool{}
		for _, series := range p.in(t).query(`count by (__name__) ({cosanet_node="node-3"})`) {
			real[series["__name__"]] = true
		}
		for _, m := range metrics.Catalog() {
			if asked := slices.ContainsFunc(queries, func(q Query) bool { return strings.Contains(q.Expr, m.Name) }); asked && !real[m.Name] && kernelHas(m) {
				t.Errorf("%s is asked for, and the exporter does not have it", m.Name)
			}
		}
	})
	t.Run("rules are evaluated", func(t *testing.T) {
		p := p.in(t)
		rules := map[string]int{} // by health
		p.wait("rules that are evaluated", func() bool {
			var answer struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError string }
				}
			}
			p.get("/api/v1/rules", nil, &answer)
			clear(rules)
			for _, group := range answer.Groups {
				for _, r := range group.Rules {
					rules[r.Health]++
					if r.Health == "err" {
						t.Errorf("%s: %s", r.Name, r.LastError)
					}
				}
			}
			return rules["unknown"] == 0
		})
		if want := map[string]int{"ok": len(ruleList(t))}; !maps.Equal(rules, want) {
			t.Errorf("health of the rules %v, want %v", rules, want)
		}
	})
}

// TestScrapeConfigSelects wants the discovery of prometheus/scrape.yaml to find the pods of base. Debian builds Prometheus
// without Kubernetes discovery: what it would find is given to the rest of the configuration as static targets.
func TestScrapeConfigSelects(t *testing.T) {
	_, job := scrapeConfig(t)
	want := discovery{
		Role:       "pod",
		Namespaces: names{[]string{Namespace}},
		Selectors:  []selector{{"pod", "app.kubernetes.io/name=cosanet,app.kubernetes.io/component=exporter"}},
	}
	if diff := cmp.Diff([]discovery{want}, job); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type discovery struct {
	Role       string     `json:"role"`
	Namespaces names      `json:"namespaces"`
	Selectors  []selector `json:"selectors"`
}
type names struct {
	Names []string `json:"names"`
}
type selector struct {
	Role  string `json:"role"`
	Label string `json:"label"`
}

// target is a pod as Kubernetes discovery would tell of it.
type target struct{ address, node, phase, port string }

// scrapeConfig is prometheus/scrape.yaml with targets in place of Kubernetes discovery, which it returns beside.
func scrapeConfig(t testing.TB, targets ...target) ([]byte, []discovery) {
	t.Helper()
	text, err := Monitoring.ReadFile("prometheus/scrape.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	job := config["scrape_configs"].([]any)[0].(map[string]any)
	var found []discovery
	sd, err := yaml.Marshal(job["kubernetes_sd_configs"])
	if err == nil {
		err = yaml.UnmarshalStrict(sd, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	delete(job, "kubernetes_sd_configs")
	var static []any
	for _, target := range targets {
		static = append(static, map[string]any{"targets": []string{target.address}, "labels": map[string]string{
			"__meta_kubernetes_namespace":               Namespace,
			"__meta_kubernetes_pod_name":                Name + "-" + target.node,
			"__meta_kubernetes_pod_node_name":           target.node,
			"__meta_kubernetes_pod_phase":               target.phase,
			"__meta_kubernetes_pod_container_port_name": target.port,
		}})
	}
	job["static_configs"] = static
	config["global"] = map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
	text, err = yaml.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return text, found
}

// promServer is a running server on loopback, without anything but its own directory.
type promServer struct {
	t       testing.TB
	address string
}

// startPrometheus runs Prometheus on the configuration of scrape.yaml and the rules, until the test ends. It also gets
// targets that the configuration must drop: a pod that has ended, and a port that is not of metrics.
func startPrometheus(t *testing.T, addresses ...string) *promServer {
	t.Helper()
	path := program(t, "prometheus")
	var targets []target
	for i, address := range addresses {
		targets = append(targets, target{address, fmt.Sprintf("node-%d", i+1), "Running", PortName})
	}
	targets = append(targets, target{addresses[0], "node-8", "Succeeded", PortName}, target{addresses[0], "node-9", "Running", "probes"})
	config, _ := scrapeConfig(t, targets...)
	rules, err := Monitoring.ReadFile("prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"prometheus.yaml": config, "rules.yaml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := &promServer{t, freeAddress(t)}
	var log bytes.Buffer
	cmd := exec.Command(path, "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus:\n%s", &log)
		}
	})
	waitReady(t, p.address)
	return p
}

// in is the same server in a subtest.
func (p *promServer) in(t testing.TB) *promServer { return &promServer{t, p.address} }

// eventually waits until a query has an answer.
func (p *promServer) eventually(expr string) {
	p.t.Helper()
	p.wait(expr, func() bool { return len(p.query(expr)) > 0 })
}

func (p *promServer) wait(what string, done func() bool) {
	p.t.Helper()
	waitFor(p.t, "Prometheus: "+what, done)
}

func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s", what)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// waitReady waits for what Prometheus and the exporter both answer when they can be asked.
func waitReady(t testing.TB, address string) {
	t.Helper()
	waitFor(t, address+"/-/ready", func() bool {
		response, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// query returns the labels of the series that an expression has now.
func (p *promServer) query(expr string) []map[string]string {
	p.t.Helper()
	var answer struct {
		Result []struct{ Metric map[string]string }
	}
	p.get("/api/v1/query", url.Values{"query": {expr}}, &answer)
	var series []map[string]string
	for _, r := range answer.Result {
		series = append(series, r.Metric)
	}
	return series
}

// get reads an answer of the API; any error of Prometheus' is the test's.
func (p *promServer) get(path string, values url.Values, data any) {
	p.t.Helper()
	response, err := http.Get("http://" + p.address + path + "?" + values.Encode())
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		p.t.Fatalf("%s %v: %s %s %v", path, values, response.Status, answer.Error, err)
	}
}

// freeAddress is a loopback address that nothing listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
