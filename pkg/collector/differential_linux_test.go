package collector

import (
	"context"
	"maps"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The tests of this file compare what a walk says with what the usual tools say inside the same namespace.

// inside runs a tool in the pod's network namespace.
func (p *testPod) inside(tool string, args ...string) string {
	p.t.Helper()
	out, err := exec.Command("nsenter", append([]string{"-t", strconv.Itoa(p.pid), "-n", tool}, args...)...).Output()
	if err != nil {
		p.t.Fatalf("%s %v in %s: %v", tool, args, p, err)
	}
	return string(out)
}

// counters returns the fields of snmp, snmp6 and netstat of a pod under the names that nstat gives them.
func counters(t *testing.T, p *testPod) map[string]string {
	t.Helper()
	c := noRuntime(t)
	c.Protocols = nil
	named := map[string]string{}
	for _, s := range recordOf(t, Walk(context.Background(), c), p.uid).Samples {
		for _, file := range []string{"snmp6", "snmp", "netstat"} {
			if field, ok := strings.CutPrefix(s.Metric.Name, "cosanet_proc_net_"+file+"_"); ok {
				named[strings.Replace(field, "_", "", 1)] = strconv.FormatFloat(s.Value, 'f', -1, 64)
			}
		}
	}
	return named
}

// constants of the namespace that nstat leaves out.
var constants = []string{"IpForwarding", "IpDefaultTTL", "TcpRtoAlgorithm", "TcpRtoMin", "TcpRtoMax", "TcpMaxConn", "TcpCurrEstab", "MPTcpExtMPCurrEstab"}

// nstat runs nstat -asz in the pod.
func nstat(p *testPod) map[string]string {
	values := map[string]string{}
	for l := range strings.Lines(p.inside("nstat", "-asz")) {
		if f := strings.Fields(l); len(f) == 3 && !strings.HasPrefix(l, "#") {
			values[f[0]] = f[1]
		}
	}
	return values
}

// settled calls read until it says twice the same, with check in between: what happens on its own in a namespace, such
// as a keep-alive, must not be taken for a difference.
func settled(t *testing.T, read func() map[string]string, check func() map[string]string) (got, want map[string]string) {
	t.Helper()
	for range 20 {
		got = read()
		want = check()
		if maps.Equal(got, read()) {
			return got, want
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("the namespace does not come to rest")
	return nil, nil
}

func TestCountersEqualNstat(t *testing.T) {
	needsRoot(t, "nsenter", "nstat")
	pod, neighbour := startInhabited(t), startInhabited(t)
	before, neighbourBefore := counters(t, pod), counters(t, neighbour)

	pod.do("tcp", "127.0.0.1", 3)
	pod.do("tcp", "::1", 2)
	pod.do("refused", "127.0.0.1", 4)
	pod.do("overflow", "127.0.0.1", 5)
	pod.do("udp", "127.0.0.1", 6)
	pod.do("udp", "::1", 7)
	pod.do("noport", "127.0.0.1", 8)
	pod.do("noport", "::1", 9)

	got, want := settled(t, func() map[string]string { return counters(t, pod) }, func() map[string]string { return nstat(pod) })
	for _, name := range constants {
		if _, ok := got[name]; !ok && name != "MPTcpExtMPCurrEstab" {
			t.Errorf("%s is missing", name)
		}
		delete(got, name)
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("nstat (-), walk (+):\n%s", diff)
	}
	if len(got) < 300 {
		t.Errorf("%d counters compared, want hundreds", len(got))
	}

	for name, want := range map[string]int{
		"UdpNoPorts": 8, "Udp6NoPorts": 9, "UdpInDatagrams": 6, "Udp6InDatagrams": 7,
		"TcpAttemptFails": 4, "IcmpMsgInType3": 8, "Icmp6OutType1": 9,
	} {
		if moved := number64(t, got[name]) - number64(t, before[name]); moved != want {
			t.Errorf("%s moved by %d, want %d", name, moved, want)
		}
	}
	for _, name := range []string{"TcpExtListenDrops", "TcpExtListenOverflows", "TcpPassiveOpens", "TcpOutRsts", "IpExtInOctets", "Ip6InOctets"} {
		if number64(t, got[name]) <= number64(t, before[name]) {
			t.Errorf("%s did not move from %s", name, before[name])
		}
	}
	if diff := cmp.Diff(neighbourBefore, counters(t, neighbour)); diff != "" {
		t.Errorf("counters moved in the neighbour's namespace:\n%s", diff)
	}
}

func number64(t *testing.T, s string) int {
	t.Helper()
	if s == "" {
		return 0 // a message type not seen yet
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// conntrackOf returns the statistics of a record under the names that conntrack -S gives them.
func conntrackOf(r *metrics.Record) map[string]string {
	named := map[string]string{}
	for _, s := range r.Samples {
		if name, ok := strings.CutPrefix(s.Metric.Name, "cosanet_conntrack_"); ok {
			named[strings.TrimSuffix(name, "_total")] = strconv.FormatFloat(s.Value, 'f', -1, 64)
		}
	}
	return named
}

func TestConntrackEqualsConntrackTool(t *testing.T) {
	needsRoot(t, "nsenter", "conntrack", "iptables")
	pod, neighbour := startInhabited(t), startInhabited(t)
	// Connections are tracked in a namespace once a rule asks for their state.
	pod.inside("iptables", "-w", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "ACCEPT")
	pod.do("tcp", "127.0.0.1", 5)
	pod.do("noport", "127.0.0.1", 3)
	pod.inside("conntrack", "-I", "-s", "10.0.0.1", "-d", "10.0.0.2", "-p", "tcp", "--sport", "1", "--dport", "2", "--state", "ESTABLISHED", "-t", "60")

	c := noRuntime(t)
	c.Protocols = nil
	read := func() map[string]string { return conntrackOf(recordOf(t, Walk(context.Background(), c), pod.uid)) }
	tool := func() map[string]string {
		sums := map[string]int{}
		for _, pair := range strings.Fields(pod.inside("conntrack", "-S")) {
			if name, v, _ := strings.Cut(pair, "="); name != "cpu" {
				sums[name] += number64(t, v)
			}
		}
		sums["chain_toolong"] = sums["chaintoolong"]
		delete(sums, "chaintoolong")
		sums["curr"] = number64(t, strings.TrimSpace(pod.inside("conntrack", "-C")))
		named := map[string]string{}
		for name, n := range sums {
			named[name] = strconv.Itoa(n)
		}
		return named
	}
	got, want := settled(t, read, tool)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("conntrack (-), walk (+):\n%s", diff)
	}
	if n := number64(t, got["curr"]); n < 9 {
		t.Errorf("%d entries, want those of 5 connections, 3 datagrams and the one put in", n)
	}
	if got["insert"] != "1" {
		t.Errorf("insert = %s, want 1", got["insert"])
	}

	// ctnetlink has the same, but for the two counters that its library does not decode.
	p, err := openProcess(pod.pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	viaNetlink, err := newReader(c, newFamilies(c)).ctnetlink(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	delete(want, "clash_resolve")
	delete(want, "chain_toolong")
	if diff := cmp.Diff(want, conntrackOf(&metrics.Record{Samples: viaNetlink})); diff != "" {
		t.Errorf("conntrack (-), ctnetlink (+):\n%s", diff)
	}

	wantValue(t, recordOf(t, Walk(context.Background(), c), neighbour.uid), 0, "cosanet_conntrack_curr")
}

// ssStates are the words of ss for the states of a socket.
var ssStates = map[string]string{
	"ESTAB": "ESTABLISHED", "SYN-SENT": "SYN_SENT", "SYN-RECV": "SYN_RECV", "FIN-WAIT-1": "FIN_WAIT1", "FIN-WAIT-2": "FIN_WAIT2",
	"TIME-WAIT": "TIME_WAIT", "UNCONN": "CLOSE", "CLOSE-WAIT": "CLOSE_WAIT", "LAST-ACK": "LAST_ACK", "LISTEN": "LISTEN", "CLOSING": "CLOSING",
}

func TestSocketStatesEqualSs(t *testing.T) {
	needsRoot(t, "nsenter", "ss")
	pod, neighbour := startInhabited(t), startInhabited(t)
	pod.do("tcp", "127.0.0.1", 3)
	pod.do("tcp", "::1", 2)
	pod.do("closewait", "127.0.0.1", 4)
	pod.do("closewait", "::1", 1)
	pod.do("overflow", "127.0.0.1", 5)
	pod.do("udp", "127.0.0.1", 1)
	pod.do("udp", "::1", 1)

	c := noRuntime(t)
	states := func(protocol, version string, r *metrics.Record) map[string]string {
		named := map[string]string{}
		for _, s := range r.Samples {
			if s.Metric.Name == "cosanet_proc_net_"+protocol && s.Labels[1].Value == version && s.Value > 0 {
				named[s.Labels[0].Value] = strconv.FormatFloat(s.Value, 'f', -1, 64)
			}
		}
		return named
	}
	for _, test := range []struct{ protocol, version, ss string }{
		{"tcp", "ipv4", "-Hnat4"}, {"tcp", "ipv6", "-Hnat6"}, {"udp", "ipv4", "-Hnau4"}, {"udp", "ipv6", "-Hnau6"},
	} {
		got, want := settled(t,
			func() map[string]string {
				return states(test.protocol, test.version, recordOf(t, Walk(context.Background(), c), pod.uid))
			},
			func() map[string]string {
				counts := map[string]int{}
				for l := range strings.Lines(pod.inside("ss", test.ss)) {
					counts[ssStates[strings.Fields(l)[0]]]++
				}
				named := map[string]string{}
				for state, n := range counts {
					named[state] = strconv.Itoa(n)
				}
				return named
			})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s: ss (-), walk (+):\n%s", test.protocol, test.version, diff)
		}
		if len(got) < 2 {
			t.Errorf("%s %s: %v, want several states", test.protocol, test.version, got)
		}
	}

	r := recordOf(t, Walk(context.Background(), c), neighbour.uid)
	for _, version := range []string{"ipv4", "ipv6"} {
		for _, state := range socketStates[1:] {
			wantValue(t, r, 0, "cosanet_proc_net_tcp", state, version)
		}
		wantValue(t, r, 0, "cosanet_proc_net_udp", "ESTABLISHED", version)
	}
}

func TestSocketTables(t *testing.T) {
	needsRoot(t)
	pod := startInhabited(t)
	for _, kind := range []string{"raw", "raw", "raw6", "icmp", "udplite"} {
		pod.do("socket", kind)
	}
	r := recordOf(t, Walk(context.Background(), noRuntime(t)), pod.uid)
	wantValue(t, r, 2, "cosanet_proc_net_raw", "CLOSE", "ipv4")
	wantValue(t, r, 1, "cosanet_proc_net_raw", "CLOSE", "ipv6")
	wantValue(t, r, 1, "cosanet_proc_net_icmp", "CLOSE", "ipv4")
	wantValue(t, r, 0, "cosanet_proc_net_icmp", "CLOSE", "ipv6")
	wantValue(t, r, 1, "cosanet_proc_net_udplite", "CLOSE", "ipv4")
	wantValue(t, r, 2, "cosanet_sockstat_raw_inuse", "ipv4")
	wantValue(t, r, 1, "cosanet_sockstat_raw_inuse", "ipv6")
}
