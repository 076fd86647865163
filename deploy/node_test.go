package deploy

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// serveNode answers as the exporter of a node does: the host's row and two pods with every family of the default set,
// counting on, and the exporter's own families.
func serveNode(t testing.TB, node string) (address string) {
	t.Helper()
	began := time.Now()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		err := metrics.Encode(&body, metrics.TextFormat, nodeSnapshot(node, time.Now(), time.Since(began)))
		families, gathering := registry.Gather()
		for _, family := range families {
			if _, writing := expfmt.MetricFamilyToText(&body, family); writing != nil {
				err = writing
			}
		}
		if err != nil || gathering != nil {
			t.Errorf("answering for %s: %v, %v", node, err, gathering)
		}
		fmt.Fprintf(&body, "kube_pod_info{uid=\"uid-web-%s\",namespace=\"shop\",pod=\"web-0\"} 1\n", node) // of kube-state-metrics
		w.Header().Set("Content-Type", metrics.TextFormat.ContentType())
		w.Write(body.Bytes())
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// nodeSnapshot has every family of the default set. Counters grow by a hundred a second, those that the dashboard divides by
// a hundred times as fast.
func nodeSnapshot(node string, now time.Time, age time.Duration) *metrics.Snapshot {
	self := metrics.Record{Sandbox: metrics.Sandbox{Node: node}}
	rows := []metrics.Record{
		{Sandbox: metrics.Sandbox{Node: node, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace}},
		{Sandbox: metrics.Sandbox{Node: node, Namespace: "shop", Pod: "web-0", NetNS: "cni-web", UID: "uid-web-" + node, ControllerKind: "StatefulSet", ControllerName: "web"}},
		{Sandbox: metrics.Sandbox{Node: node, Namespace: "shop", Pod: "db-0", NetNS: "cni-db"}},
	}
	for _, m := range metrics.Catalog() {
		if !m.In(metrics.Default) {
			continue
		}
		sample := metrics.Sample{Metric: m, Value: 1}
		for _, label := range m.Labels {
			value := labelValues[label]
			if m.Name == "cosanet_exporter_walks_total" {
				value = "failed" // "result" is another one here
			}
			sample.Labels = append(sample.Labels, metrics.Label{Name: label, Value: value})
		}
		switch {
		case m.Name == "cosanet_walk_timestamp_seconds":
			sample.Value = float64(now.UnixMilli()) / 1000
		case m.Name == "cosanet_proc_net_snmp_Tcp_OutSegs":
			sample.Value = 10000 * age.Seconds()
		case m.Type == metrics.Counter:
			sample.Value = 100 * age.Seconds()
		}
		switch {
		case ofSelf(m):
			self.Samples = append(self.Samples, sample)
		case m.Scope == metrics.Node:
			rows[0].Samples = append(rows[0].Samples, sample)
		default:
			for i := range rows {
				if m.Name == "cosanet_sandbox_info" {
					sample.Labels = rows[i].Sandbox.InfoLabels()
				}
				rows[i].Samples = append(rows[i].Samples, sample)
			}
		}
	}
	return &metrics.Snapshot{Time: now, Records: append([]metrics.Record{self}, rows...)}
}

// ofSelf tells whether a family is of the exporter or its walk, and not of a network namespace.
func ofSelf(m *metrics.Metric) bool {
	return m.Source == "" && m.Name != "cosanet_sandbox_info" && m.Name != "cosanet_read_success"
}

// labelValues are values of the labels that are not of a sandbox's identity.
var labelValues = map[string]string{
	"version": "v0.1.0", "revision": "abc", "goversion": "go1.26", "source": "cri", "result": "read", "reason": "",
	"cosanet_device": "eth0", "cosanet_ipversion": "ipv4", "supported": "true", "cosanet_host_network": "false",
	"code": "200", "metrics": "default", "cosanet_listen_address": "::", "cosanet_listen_port": "80", "cosanet_state": "CLOSE_WAIT",
	"cosanet_protocol": "tcp", "cosanet_direction": "out",
}

// runExporter runs the real exporter on this machine, with every switch that alerts want, until the test ends, and returns its
// address.
func runExporter(t testing.TB, node string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the exporter runs on Linux")
	}
	program := filepath.Join(t.TempDir(), "cosanet-collector")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../node-image").CombinedOutput(); err != nil {
		t.Fatalf("building the exporter: %v\n%s", err, out)
	}
	address := freeAddress(t)
	var log bytes.Buffer
	args := []string{"--serve", "--listen", address, "--node", node}
	for _, of := range switches {
		args = append(args, of)
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("the exporter ended with %v:\n%s", err, &log)
		}
	})
	waitReady(t, address)
	return address
}

// kernelHas tells whether this machine's kernel counts a metric at all, as far as it may be built or booted without.
func kernelHas(m *metrics.Metric) bool {
	for part, file := range map[string]string{"conntrack": "/proc/sys/net/netfilter/nf_conntrack_max", "snmp6": "/proc/net/snmp6"} {
		if _, err := os.Stat(file); err != nil && strings.Contains(m.Name, part) {
			return false
		}
	}
	return true
}
