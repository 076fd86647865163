//go:build linux

package main

import (
	"bytes"
	"errors"
	"flag"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// asCollector makes the test binary the collector, so that its exit codes and streams can be seen.
const asCollector = "COSANET_TEST_COLLECTOR"

// TestMain wants no goroutine left when the tests are over, too.
func TestMain(m *testing.M) {
	if os.Getenv(asCollector) != "" {
		main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func run(args ...string) (stdout, stderr string, code int) {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), asCollector+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestParse(t *testing.T) {
	t.Setenv("NODE_NAME", "node-a")
	t.Setenv("CRI_SOCKET", "")
	plain := collector.Config{Version: "dev", Node: "node-a", Set: metrics.Default, Host: true, Conntrack: true, Snmp: true, Netstat: true, Sockstat: true, Netdev: true, Samples: 1}
	with := func(change func(*collector.Config)) collector.Config {
		c := plain
		change(&c)
		return c
	}
	for _, test := range []struct {
		args string
		want collector.Config
	}{
		{"", plain},
		{"--once", plain},
		{"-once -metrics=default", plain},
		{"--run 4f2a --encoding gzip --samples 2 --interval 1s --deadline 30s", with(func(c *collector.Config) {
			c.Run, c.Encoding, c.Samples, c.Interval, c.Deadline = "4f2a", metrics.Gzip, 2, time.Second, 30*time.Second
		})},
		{"--node node-b --cri-socket /run/x.sock", with(func(c *collector.Config) { c.Node, c.CRISocket = "node-b", "/run/x.sock" })},
		{"--metrics errors", with(func(c *collector.Config) { c.Set = metrics.Errors })},
		{"--metrics all", with(func(c *collector.Config) {
			c.Set, c.Listen, c.TCPInfo, c.Ports, c.Protocols = metrics.All, true, true, true, collector.AllProtocols()
		})},
		{"--metrics all --collector.sockproto.protos raw", with(func(c *collector.Config) {
			c.Set, c.Listen, c.TCPInfo, c.Ports, c.Protocols = metrics.All, true, true, true, []collector.Protocol{collector.Raw}
		})},
		{"--metrics all -collector.sockproto.enabled=false", with(func(c *collector.Config) { c.Set, c.Listen, c.TCPInfo, c.Ports = metrics.All, true, true, true })},
		{"--metrics all --collector.listen.enabled=false --collector.tcp.enabled=false --collector.ports.enabled=false --collector.sockproto.enabled=false", with(func(c *collector.Config) { c.Set = metrics.All })},
		{"--collector.listen.enabled", with(func(c *collector.Config) { c.Listen = true })},
		{"--collector.tcp.enabled", with(func(c *collector.Config) { c.TCPInfo = true })},
		{"--collector.conntrack-owners.enabled", with(func(c *collector.Config) { c.ConntrackOwners = true })},
		{"--collector.ports.enabled", with(func(c *collector.Config) { c.Ports = true })},
		{"-collector.sockproto.enabled", with(func(c *collector.Config) { c.Protocols = []collector.Protocol{collector.TCP, collector.UDP} })},
		{"-collector.sockproto.enabled=true -collector.sockproto.protos icmp,tcp", with(func(c *collector.Config) { c.Protocols = []collector.Protocol{collector.TCP, collector.ICMP} })},
		{"-collector.sockproto.protos tcp", plain}, // not enabled, as in the original
		{"-collector.host-metrics.enabled=false", with(func(c *collector.Config) { c.Host = false })},
		{"-collector.conntrack.enabled=false", with(func(c *collector.Config) { c.Conntrack = false })},
		{"-collector.connstrack.enabled=false", with(func(c *collector.Config) { c.Conntrack = false })},
		{"-collector.snmp.enabled=false -collector.netstat.enabled=false", with(func(c *collector.Config) { c.Snmp, c.Netstat = false, false })},
		{"--collector.sockstat.enabled=false --collector.netdev.enabled=false", with(func(c *collector.Config) { c.Sockstat, c.Netdev = false, false })},
	} {
		got, err := parse(strings.Fields(test.args), new(bytes.Buffer))
		if err != nil {
			t.Errorf("%q: %v", test.args, err)
			continue
		}
		if diff := cmp.Diff(test.want, got.Config); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.args, diff)
		}
	}

	c, err := parse([]string{"-collector.pod-filter", "^default/.*$", "-collector.snmp.metric-include=^Tcp_", "--collector.netstat.metric-include", "^IpExt_"}, new(bytes.Buffer))
	if err != nil || !c.PodFilter.MatchString("default/web") || c.PodFilter.MatchString("other/web") || !c.SnmpInclude.MatchString("Tcp_InSegs") || !c.NetstatInclude.MatchString("IpExt_InOctets") {
		t.Errorf("expressions: %+v, %v", c, err)
	}
	if _, err := parse([]string{"-h"}, new(bytes.Buffer)); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

// TestWrongCommandLine wants exit code 2, one line on stderr and nothing on stdout.
func TestWrongCommandLine(t *testing.T) {
	for args, want := range map[string]string{
		"--metrics some":                       `unknown metric set "some"`,
		"--encoding zip":                       `unknown encoding "zip"`,
		"--collector.pod-filter (":             "missing closing )",
		"--collector.snmp.metric-include [":    "missing closing ]",
		"--collector.netstat.metric-include *": "missing argument to repetition operator",
		"--collector.sockproto.protos sctp":    `unknown socket protocol "sctp"`,
		"--collector.sockproto.enabled=x":      "invalid",
		"--samples 0":                          "at least 1",
		"--samples many":                       "invalid value",
		"--interval -1s":                       "may not be negative",
		"--deadline 5":                         "invalid value",
		"--serve --samples 2":                  "--samples is for a single run and --serve for an exporter",
		"--once -listen :0":                    "--once is for a single run and --listen for an exporter",
		"--serve --cache-duration -1s":         "may not be negative",
		"--serve --scrape-timeout 0s":          "more than nothing",
		"--serve --max-connections 0":          "at least 1",
		"--logformat xml":                      `unknown log format "xml"`,
		"--verbosity loud":                     `unknown verbosity "loud"`,
		"now":                                  `unexpected argument "now"`,
	} {
		stdout, stderr, code := run(strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "cosanet-collector: error: ") || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q; want 2, nothing, one line with %q", args, code, stdout, stderr, want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, want := range map[string]string{"--help": "collector.pod-filter", "--version": "dev\n"} {
		if stdout, stderr, code := run(args); code != 0 || stderr != "" || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
}

// TestOnce runs the collector on this machine as whoever runs the test: the host row needs no right.
func TestOnce(t *testing.T) {
	stdout, stderr, code := run("--once", "--run", "4f2a")
	if code != 0 || stderr != "" || !strings.HasSuffix(stdout, "# EOF\n") {
		t.Fatalf("exit code %d, stderr %q, stdout ...%q", code, stderr, stdout[max(0, len(stdout)-100):])
	}
	frame, err := metrics.NewFrameReader(strings.NewReader(stdout), "4f2a").Next()
	if err != nil {
		t.Fatal(err)
	}
	s, err := frame.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.Records {
		if r := &s.Records[i]; r.Sandbox.Host() {
			if v, ok := r.Value("cosanet_proc_net_snmp_Tcp_InSegs"); !ok {
				t.Errorf("Tcp_InSegs of the host = %v, %v", v, ok)
			}
			return
		}
	}
	t.Error("no host row")
}

// TestSilentAboutTheRuntime points the collector at a socket that speaks no gRPC: what the library thinks of it must not
// get into the frames.
func TestSilentAboutTheRuntime(t *testing.T) {
	socket := t.TempDir() + "/other.sock"
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("220 mail.example.org\r\n"))
			conn.Close()
		}
	}()
	stdout, stderr, code := run("--once", "--cri-socket", socket)
	if code != 0 || stderr != "" || !strings.Contains(stdout, `source="cri",reason="listing sandboxes of `) {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// TestDeadline wants exit code 1 and no trailer after the first frame.
func TestDeadline(t *testing.T) {
	stdout, stderr, code := run("--samples", "2", "--interval", "1h", "--deadline", "500ms")
	if code != 1 || stderr != "cosanet-collector: error: not done after 500ms\n" || strings.Count(stdout, "# EOF") > 1 {
		t.Errorf("exit code %d, stderr %q, %d frames", code, stderr, strings.Count(stdout, "# EOF"))
	}
}
