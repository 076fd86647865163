package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

// scaleEnv says how many hollow nodes BenchmarkScale makes, one number after another: "1 10 100 1000". 100x110 are a hundred
// with 110 pods each, instead of as many as hollow makes unasked.
const (
	scaleEnv    = "COSANET_SCALE"
	podsUnasked = 30
)

// settling is how long a pod that was made keeps the control plane busy afterwards: a look is measured, not what making thirty
// thousand pods leaves behind. Without it a look at a thousand nodes took half as long again.
const settling = 2 * time.Millisecond

// flowSchema gives the plugin's requests a name in the API server's own metrics (API priority and fairness). Whoever belongs
// to system:masters is exempt from that, so the plugin runs as another user.
const flowSchema = `{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema","metadata":{"name":"cosanet-scale"},"spec":{
	"matchingPrecedence":100,"distinguisherMethod":{"type":"ByUser"},"priorityLevelConfiguration":{"name":"workload-low"},
	"rules":[{"subjects":[{"kind":"User","user":{"name":"operator"}}],
		"resourceRules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"],"namespaces":["*"],"clusterScope":true}],
		"nonResourceRules":[{"verbs":["*"],"nonResourceURLs":["*"]}]}]}}`

// BenchmarkScale shows the pods of more and more hollow nodes by `kubectl cosanet top`, as each of looks: the time to the
// table, the plugin's memory, the requests as the API server counts them, the bytes as they cross the wire.
func BenchmarkScale(b *testing.B) {
	sizes := strings.Fields(os.Getenv(scaleEnv))
	if len(sizes) == 0 {
		b.Skip(scaleEnv + " names no number of nodes: make bench-scale")
	}
	c := prepareScale(b)
	for _, size := range sizes {
		nodes, pods := parseSize(b, size)
		for _, look := range looks {
			if look.fails && nodes < 100 {
				continue // one of a few is not one in twenty
			}
			b.Run(size+"/"+look.name, func(b *testing.B) {
				c.makeHollow(b, append([]string{strconv.Itoa(nodes), "--pods", strconv.Itoa(pods)}, look.hollow...)...)
				if look.flags[1] == "exporter" {
					c.awaitExporters(b, nodes)
					defer c.removeExporters(b)
				}
				time.Sleep(settling * time.Duration(nodes*pods))
				for b.Loop() {
					c.scale(b, nodes, pods, &look)
				}
			})
		}
	}
}

// prepareScale lets the plugin's requests be counted, and takes the hollow nodes away at the end.
func prepareScale(b *testing.B) *cluster {
	b.Helper()
	c := reach(b)
	c.Must(b, "create", "clusterrolebinding", "cosanet-scale", "--clusterrole=cluster-admin", "--user=operator")
	schema := c.Command("apply", "-f", "-")
	schema.Stdin = strings.NewReader(flowSchema)
	if out, err := schema.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	found := c.Must(b, "get", "nodes", "-l", hollowNodes, "-o", "name")
	b.Cleanup(func() {
		c.Must(b, "delete", "clusterrolebinding/cosanet-scale", "flowschema/cosanet-scale")
		if found == "" { // whoever made some before has a use for them
			c.makeHollow(b, "0")
		}
	})
	return c
}

// BenchmarkConcurrency is what the default of --max-concurrent-nodes was chosen by.
func BenchmarkConcurrency(b *testing.B) {
	const nodes = 300
	if os.Getenv(scaleEnv) == "" {
		b.Skip(scaleEnv + " names no number of nodes: make bench-scale")
	}
	c := prepareScale(b)
	c.makeHollow(b, strconv.Itoa(nodes))
	for _, limit := range []string{"8", "16", "32", "64", "128", "300"} {
		b.Run(limit, func(b *testing.B) {
			for b.Loop() {
				c.scale(b, nodes, podsUnasked, &look{flags: []string{"--source", "pod", "--max-concurrent-nodes", limit}})
			}
		})
	}
}

// parseSize reads 1000, or 1000x110.
func parseSize(b *testing.B, size string) (nodes, pods int) {
	b.Helper()
	pods = podsUnasked
	left, right, both := strings.Cut(size, "x")
	nodes, err := strconv.Atoi(left)
	if err == nil && both {
		pods, err = strconv.Atoi(right)
	}
	if err != nil {
		b.Fatalf("%s: %s: want NODES or NODESxPODS: %v", scaleEnv, size, err)
	}
	return nodes, pods
}

// look is one way to look at all hollow nodes.
type look struct {
	name   string
	hollow []string // how the nodes are
	flags  []string // of the plugin
	fails  bool     // some nodes do not answer
}

const oneIn20 = "ImagePullBackOff=2%,NotReady=1%,LogCut=1%,Unreachable=1%"

// A kubelet tells of a pod's start by three events, which are more writes than all of its status: with and without them.
var looks = []look{
	{name: "pods", hollow: []string{"--events=false"}, flags: []string{"--source", "pod"}},
	{name: "pods-events", flags: []string{"--source", "pod"}},
	{name: "pods-5%-fail", hollow: []string{"--events=false", "--fail", oneIn20}, flags: []string{"--source", "pod"}, fails: true},
	{name: "pods-json", hollow: []string{"--events=false"}, flags: []string{"--source", "pod", "-o", "json"}},
	{name: "exporters", hollow: []string{"--exporter"}, flags: []string{"--source", "exporter"}},
}

// awaitExporters waits until the DaemonSet's pods are ready on all nodes.
func (c *cluster) awaitExporters(b *testing.B, nodes int) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Minute); ; time.Sleep(2 * time.Second) {
		ready := c.Must(b, "get", "daemonset", "-n", deploy.Namespace, deploy.Name, "-o", "jsonpath={.status.numberReady}")
		if ready == strconv.Itoa(nodes) {
			return
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s of %d exporters are ready", ready, nodes)
		}
	}
}

func (c *cluster) removeExporters(b *testing.B) {
	b.Helper()
	c.Must(b, "delete", "daemonset", "-n", deploy.Namespace, "-l", hollowNodes, "--ignore-not-found", "--wait=false")
}

// makeHollow is hollowCommand for as many nodes as it takes time for.
func (c *cluster) makeHollow(b *testing.B, args ...string) {
	b.Helper()
	if out, err := exec.Command(c.Program, append([]string{"hollow"}, args...)...).CombinedOutput(); err != nil {
		b.Fatalf("cluster hollow %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// scale measures one look at all hollow nodes.
func (c *cluster) scale(b *testing.B, nodes, pods int, look *look) {
	b.Helper()
	wire := c.wiretap(b)
	before := c.requests(b)
	cmd := c.Command(append([]string{"cosanet", "top", "-A", "--node-selector", hollowNodes, "--interval", "0", "--timeout", "5m",
		"--context", "operator", "--server", wire.server, "--tls-server-name", wire.host}, look.flags...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	peak := peakMemory(cmd.Process.Pid)
	rows := 0
	for lines := bufio.NewScanner(out); lines.Scan(); rows++ {
	}
	err = cmd.Wait()
	took := time.Since(begin)
	if code := cmd.ProcessState.ExitCode(); (code != 0) != look.fails || rows < nodes*pods*9/10 {
		b.Fatalf("%d rows of %d nodes with %d pods, exit code %d: %v\n%s", rows, nodes, pods, code, err, &stderr)
	}
	after := c.requests(b)
	c.WantNothingLeft(b)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(took.Seconds(), "s/table")
	b.ReportMetric(float64(rows), "lines")
	b.ReportMetric(float64(<-peak)/1024, "peak-MiB")
	b.ReportMetric((cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), "s/CPU")
	b.ReportMetric((after.dispatched-before.dispatched+after.connected-before.connected)/float64(nodes), "requests/node")
	b.ReportMetric(after.rejected-before.rejected, "rejected")
	b.ReportMetric(float64(wire.received.Load())/1e6, "MB-received")
	b.ReportMetric(float64(wire.sent.Load())/1e6, "MB-sent")
}

// peakMemory sends, when the process has ended, the most memory that its last program had resident, in KiB. What wait4 tells
// is no less than what kubectl had, which became the plugin; the kernel's VmHWM begins anew with each program.
func peakMemory(pid int) <-chan int {
	peak := make(chan int, 1)
	go func() {
		highest := 0
		for {
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			found := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(status)
			if err != nil || found == nil { // it has ended, and is waited for or not
				peak <- highest
				return
			}
			highest, _ = strconv.Atoi(string(found[1]))
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return peak
}

// requests are what the API server counted of the plugin's. Logs and what goes through its proxy last as long as they last,
// which makes them exempt from fairness: nobody else asks for any.
type requests struct{ dispatched, rejected, connected float64 }

func (c *cluster) requests(b *testing.B) (r requests) {
	b.Helper()
	text := c.Must(b, "get", "--raw", "/metrics")
	sum := func(name, with string) (total float64) {
		for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], with) {
				continue
			}
			v, err := strconv.ParseFloat(m[2], 64)
			if err != nil {
				b.Fatal(err)
			}
			total += v
		}
		return total
	}
	r.dispatched = sum("apiserver_flowcontrol_dispatched_requests_total", `flow_schema="cosanet-scale"`)
	r.rejected = sum("apiserver_flowcontrol_rejected_requests_total", `flow_schema="cosanet-scale"`)
	r.connected = sum("apiserver_request_total", `subresource="log"`) + sum("apiserver_request_total", `subresource="proxy"`)
	return r
}

// wiretap passes everything on to the API server and counts it.
type wiretap struct {
	server, host   string
	received, sent atomic.Int64 // by the plugin
}

func (c *cluster) wiretap(b *testing.B) *wiretap {
	b.Helper()
	server, err := url.Parse(c.Must(b, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"))
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	w := &wiretap{server: fmt.Sprintf("https://%s", l.Addr()), host: server.Hostname()}
	address := server.Host
	if server.Port() == "" {
		address = net.JoinHostPort(server.Hostname(), "443")
	}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(client, address)
		}
	}()
	return w
}

func (w *wiretap) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return // the plugin says so
	}
	defer server.Close()
	go func() {
		io.Copy(server, io.TeeReader(client, counter{&w.sent}))
		server.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(client, io.TeeReader(server, counter{&w.received}))
}

// counter adds up what is written to it.
type counter struct{ *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.Add(int64(len(p)))
	return len(p), nil
}
