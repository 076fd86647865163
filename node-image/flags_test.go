//go:build linux

package main

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestParseServe(t *testing.T) {
	plain := collector.ServeConfig{Listen: []string{":9156"}, CacheDuration: 500 * time.Millisecond, ScrapeTimeout: 10 * time.Second, MaxConnections: 512}
	with := func(change func(*collector.ServeConfig)) collector.ServeConfig {
		s := plain
		change(&s)
		return s
	}
	for _, test := range []struct {
		args  string
		want  collector.ServeConfig
		text  bool
		level slog.Level
	}{
		{args: "--serve", want: plain},
		{args: "--serve --metrics all --collector.sockproto.protos tcp", want: plain},
		{args: "--serve --listen :1 --web.listen-address 127.0.0.1:2", want: with(func(s *collector.ServeConfig) { s.Listen = []string{":1", "127.0.0.1:2"} })},
		{args: "--serve --probe-listen :9157 --web.config.file web.yaml", want: with(func(s *collector.ServeConfig) { s.ProbeListen, s.WebConfigFile = ":9157", "web.yaml" })},
		{args: "--serve --cache-duration 0s --scrape-timeout 3s --max-connections 7", want: with(func(s *collector.ServeConfig) {
			s.CacheDuration, s.ScrapeTimeout, s.MaxConnections = 0, 3*time.Second, 7
		})},
		{args: "--serve --logformat text --verbosity debug", want: plain, text: true, level: slog.LevelDebug},
		{args: "--serve --verbosity WARN", want: plain, level: slog.LevelWarn},
		{args: "", want: plain}, // as the original's manifests start it
		{args: "-collector.sockproto.enabled=true", want: plain},
	} {
		c, err := parse(strings.Fields(test.args), io.Discard)
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if diff := cmp.Diff(test.want, c.exporter); diff != "" || !c.serve || c.logText != test.text || c.logLevel != test.level {
			t.Errorf("%q: serve %v, text %v, level %v (-want +got):\n%s", test.args, c.serve, c.logText, c.logLevel, diff)
		}
	}
	for _, args := range []string{"--serve=false", "--once", "--run x", "--samples 2 --interval 1s"} {
		if c, err := parse(strings.Fields(args), io.Discard); err != nil || c.serve {
			t.Errorf("%q: an exporter, or %v", args, err)
		}
	}
}

// TestOriginalCommandLines accepts every flag of cosanet v1.0.0 with its default, as its README has the table, and with one
// dash or two; and its README's example, but for the flag that it never had.
func TestOriginalCommandLines(t *testing.T) {
	flags := map[string]string{
		"logformat":                        "json",
		"listen":                           ":9156",
		"cache-duration":                   "500ms",
		"verbosity":                        "info",
		"collector.host-metrics.enabled":   "true",
		"collector.connstrack.enabled":     "true",
		"collector.snmp.enabled":           "true",
		"collector.snmp.metric-include":    "^(Tcp_((Act|Pass)iveOpens|CurrEstab)|Ip6_(In|Out)Octets|Udp6?_(In|Out)Datagrams)$",
		"collector.netstat.enabled":        "true",
		"collector.netstat.metric-include": "^IpExt_(In|Out)Octets$",
		"collector.sockproto.enabled":      "false",
		"collector.sockproto.protos":       "tcp,udp",
		"collector.pod-filter":             "^.+$",
	}
	all := []string{"--serve"}
	for name, value := range flags {
		for _, dash := range []string{"-", "--"} {
			if c, err := parse([]string{"--serve", dash + name + "=" + value}, io.Discard); err != nil || !c.serve || c.PodFilter != nil {
				t.Errorf("%s%s=%s: %v", dash, name, value, err)
			}
		}
		all = append(all, "-"+name+"="+value)
	}
	c, err := parse(all, io.Discard)
	if err != nil || !c.Host || !c.Conntrack || !c.Snmp || !c.Netstat || c.Protocols != nil || c.SnmpInclude.MatchString("Tcp_RetransSegs") || !c.SnmpInclude.MatchString("Tcp_CurrEstab") {
		t.Errorf("all of them: %+v, %v", c, err)
	}
	c, err = parse([]string{
		"-listen=:9156", "-verbosity=debug", "-collector.sockproto.enabled=1", "-collector.pod-filter=^default/.*$",
		"-collector.netstat.metric-include", "^Tcp", "-collector.host-metrics.enabled=f", "-collector.snmp.metric-include", "Udp6?_",
	}, io.Discard)
	if err != nil || !c.serve || c.Host || len(c.Protocols) != 2 || !c.PodFilter.MatchString("default/web") || c.PodFilter.MatchString("other/web") {
		t.Errorf("the example of the README: %+v, %v", c, err)
	}
}

// TestServe runs the exporter as a process of its own until SIGTERM.
func TestServe(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "--serve", "--listen", "127.0.0.1:0", "--node", "node-a")
	cmd.Env = append(os.Environ(), asCollector+"=1")
	var stdout, rest bytes.Buffer
	cmd.Stdout = &stdout
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	text := &strings.Builder{}
	address := ""
	for buf := make([]byte, 4096); address == ""; {
		n, err := log.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text.Write(buf[:n])
		if _, after, ok := strings.Cut(text.String(), `"msg":"Listening on","address":"`); ok {
			address, _, _ = strings.Cut(after, `"`)
		}
	}
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !bytes.Contains(body, []byte("\ncosanet_proc_net_snmp_Tcp_InSegs{")) || !bytes.HasSuffix(body, []byte("# EOF\n")) {
		t.Errorf("%v, %d bytes end with %q", err, len(body), body[max(0, len(body)-50):])
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	io.Copy(&rest, log)
	if err := cmd.Wait(); err != nil || stdout.Len() > 0 || !strings.Contains(rest.String(), `"msg":"ending`) {
		t.Errorf("%v after SIGTERM, stdout %q, log %q", err, &stdout, &rest)
	}
}

// TestServeFails wants exit code 1 and the reason.
func TestServeFails(t *testing.T) {
	stdout, stderr, code := run("--serve", "--listen", "127.0.0.1:99999")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "cosanet-collector: error: listening on 127.0.0.1:99999: ") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

// TestOriginalDefaults wants every counter of the original's defaults in ours, as docs/upgrade.md says.
func TestOriginalDefaults(t *testing.T) {
	include := regexp.MustCompile(`^cosanet_proc_net_(snmp6?_(Tcp_((Act|Pass)iveOpens|CurrEstab)|Ip6_(In|Out)Octets|Udp6?_(In|Out)Datagrams)|netstat_IpExt_(In|Out)Octets)$`)
	n := 0
	for _, m := range metrics.Catalog() {
		if include.MatchString(m.Name) {
			if n++; !m.In(metrics.Default) {
				t.Errorf("%s is not in the default set", m.Name)
			}
		}
	}
	if n != 11 {
		t.Errorf("%d counters, want 11", n)
	}
}
