package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// TestExporter installs the DaemonSet, lets the views and a real Prometheus use it, updates it under their eyes, and takes
// it away.
func TestExporter(t *testing.T) {
	c := need(t)
	t.Cleanup(func() { c.Run("cosanet", "serve", "--remove") })
	r := c.Cosanet(t, 0, "serve")
	for _, object := range []string{"namespace/cosanet", "serviceaccount/cosanet-exporter", "daemonset.apps/cosanet-exporter", "service/cosanet-exporter", "networkpolicy.networking.k8s.io/cosanet-exporter"} {
		if !strings.Contains(r.Stdout, object) {
			t.Errorf("serve does not say that it applied %s:\n%s", object, r.Stdout)
		}
	}
	if got := c.Must(t, "-n", "cosanet", "get", "daemonset", "cosanet-exporter", "-o", "jsonpath={.status.numberReady}"); got != "2" {
		t.Fatalf("serve ended with %s exporters ready, want one on each of 2 nodes", got)
	}
	p := c.startPrometheus(t, c.prometheusConfig(t))
	t.Run("views", c.testViewsOfExporter)
	t.Run("prometheus", func(t *testing.T) { c.testSeries(t, p) })
	t.Run("rules", func(t *testing.T) { c.testRules(t, p) })
	t.Run("queries", func(t *testing.T) { c.testQueries(t, p) })
	t.Run("update", func(t *testing.T) { c.testUpdate(t, p) })
	t.Run("restricted", c.testRestrictedExporter)
	t.Run("remove", c.testRemove)
}

// prometheusConfig is that of deploy/, for a Prometheus outside of the cluster that scrapes more often.
func (c *cluster) prometheusConfig(t *testing.T) string {
	t.Helper()
	rules, err := deploy.Monitoring.ReadFile("prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rulesFile := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rulesFile, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := deploy.Monitoring.ReadFile("prometheus/scrape.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := fileDiscovery(t, string(text), c.discover(t))
	for _, change := range [][2]string{
		{"scrape_interval: 30s", fmt.Sprintf("scrape_interval: %[1]s\n  scrape_timeout: %[1]s", scrapeInterval)},
		{"evaluation_interval: 30s", "evaluation_interval: " + scrapeInterval.String()},
		{"- rules.yaml", "- " + rulesFile},
	} {
		if strings.Count(config, change[0]) != 1 {
			t.Fatalf("deploy/prometheus/scrape.yaml has not one %q", change[0])
		}
		config = strings.Replace(config, change[0], change[1], 1)
	}
	return config
}

// fileDiscovery puts discovery by a file in the place of discovery by the API server, which Debian's Prometheus is built
// without. What follows it, the relabelling, is fed with the same labels.
func fileDiscovery(t *testing.T, config, targets string) string {
	t.Helper()
	before, rest, ok := strings.Cut(config, "    kubernetes_sd_configs:\n")
	_, after, ok2 := strings.Cut(rest, "    relabel_configs:\n")
	if !ok || !ok2 {
		t.Fatal("deploy/prometheus/scrape.yaml has no kubernetes_sd_configs before its relabel_configs")
	}
	return before + "    file_sd_configs: [{files: [" + targets + "]}]\n    relabel_configs:\n" + after
}

// discover keeps a file of targets up to date, with the labels that Prometheus' discovery gives them, until the test ends.
func (c *cluster) discover(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "targets.json")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		var written string
		for ; ctx.Err() == nil; time.Sleep(200 * time.Millisecond) {
			text, err := json.Marshal(c.targets())
			if err != nil || string(text) == written {
				continue
			}
			if os.WriteFile(file+".new", text, 0o600) == nil && os.Rename(file+".new", file) == nil {
				written = string(text)
			}
		}
	}()
	return file
}

// target is an entry of a file of Prometheus' file discovery.
type target struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// targets are the exporter's pods as Prometheus would discover them.
func (c *cluster) targets() []target {
	targets := []target{}
	var pods corev1.PodList
	r := c.Run("get", "pods", "-n", "cosanet", "-l", "app.kubernetes.io/name=cosanet,app.kubernetes.io/component=exporter", "-o", "json")
	if r.Code != 0 || json.Unmarshal([]byte(r.Stdout), &pods) != nil {
		return targets // none yet: tests that want some say so
	}
	for _, pod := range pods.Items {
		if pod.Status.PodIP == "" {
			continue
		}
		targets = append(targets, target{[]string{pod.Status.PodIP + ":9156"}, map[string]string{
			"__meta_kubernetes_pod_container_port_name": "metrics",
			"__meta_kubernetes_pod_phase":               string(pod.Status.Phase),
			"__meta_kubernetes_namespace":               pod.Namespace,
			"__meta_kubernetes_pod_name":                pod.Name,
			"__meta_kubernetes_pod_node_name":           pod.Spec.NodeName,
		}})
	}
	return targets
}

// With the exporter running, a view makes no pod, and shows what a pod of its own would.
func (c *cluster) testViewsOfExporter(t *testing.T) {
	for _, source := range []string{"auto", "exporter", "pod"} {
		before := c.createdPods(t)
		r := c.Cosanet(t, 0, "top", "-n", namespace, "--source", source, "--columns", "LISTENDROP")
		if !slices.ContainsFunc(strings.Split(r.Stdout, "\n"), func(line string) bool { return strings.HasPrefix(line, "full-queue") }) {
			t.Errorf("--source %s shows no row of full-queue:\n%s%s", source, r.Stdout, r.Stderr)
		}
		created := c.createdPods(t) - before
		if (created > 0) != (source == "pod") {
			t.Errorf("--source %s: %d collector pods were created", source, created)
		}
	}
	byExporter := record(t, c.raw(t, "-n", namespace, "--source", "exporter", "--metrics", "default", "quiet-1"), "quiet-1")
	byPod := record(t, c.raw(t, "-n", namespace, "--source", "pod", "--metrics", "default", "quiet-1"), "quiet-1")
	if byExporter.Sandbox != byPod.Sandbox {
		t.Errorf("the exporter says %+v, a pod says %+v", byExporter.Sandbox, byPod.Sandbox)
	}
	names := func(r *metrics.Record) (names []string) {
		for _, s := range r.Samples {
			names = append(names, fmt.Sprint(s.Metric.Name, s.Labels))
		}
		return names
	}
	if got, want := names(byExporter), names(byPod); !slices.Equal(got, want) {
		t.Errorf("the exporter has the series %v, a pod %v", got, want)
	}
	c.WantNothingLeft(t)
}

// createdPods counts the collector pods that were ever created, by the scheduler's events.
func (c *cluster) createdPods(t *testing.T) int {
	t.Helper()
	names := c.Must(t, "get", "events", "-A", "--field-selector", "reason=Scheduled", "-o", `jsonpath={range .items[*]}{.involvedObject.name}{"\n"}{end}`)
	n := 0
	for name := range strings.Lines(names) {
		if strings.HasPrefix(name, "cosanet-") && !strings.HasPrefix(name, "cosanet-exporter-") {
			n++
		}
	}
	return n
}

// Prometheus has a pod's counters from each node, with the values that the kernel shows in the pod.
func (c *cluster) testSeries(t *testing.T, p *prometheus) {
	for _, name := range []string{"quiet-1", "quiet-2", "full-queue"} {
		pod := c.Pod(t, namespace, name)
		for _, counter := range []string{"CurrEstab", "ActiveOpens"} {
			series := "cosanet_proc_net_snmp_Tcp_" + counter + labels("job", "cosanet", "cosanet_namespace", namespace, "cosanet_pod", name, "cosanet_node", pod.Spec.NodeName)
			embedded.Eventually(t, series+" is what /proc/net/snmp says in the pod", func() error {
				before := c.tcpCounter(t, pod, counter)
				time.Sleep(2 * scrapeInterval)
				got, err := p.one(series)
				if err != nil {
					return err
				}
				if after := c.tcpCounter(t, pod, counter); got < before || got > after {
					return fmt.Errorf("%v, and the pod says %v before and %v after", got, before, after)
				}
				return nil
			})
		}
	}
	if got, err := p.one(`count(up{job="cosanet"} == 1)`); err != nil || got != 2 {
		t.Errorf("%v targets are up (%v), want one for each of 2 nodes", got, err)
	}
}

// tcpCounter reads a field of Tcp in a pod's namespace.
func (c *cluster) tcpCounter(t *testing.T, pod corev1.Pod, field string) float64 {
	t.Helper()
	var names, values []string
	for line := range strings.Lines(c.InPod(t, pod, "cat", "/proc/net/snmp")) {
		if strings.HasPrefix(line, "Tcp:") {
			names, values = values, strings.Fields(line)
		}
	}
	at := slices.Index(names, field)
	if at < 0 {
		t.Fatalf("no %s in the pod's /proc/net/snmp", field)
	}
	v, err := strconv.ParseFloat(values[at], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
