package metrics

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "rewrite generated files and goldens")

// TestNames holds every name to the rules of Prometheus, and our own counters and gauges to its naming as well.
func TestNames(t *testing.T) {
	valid := regexp.MustCompile(`^cosanet_[a-zA-Z0-9_]+\*?$`)
	seen := map[string]bool{}
	for _, m := range Catalog() {
		if !valid.MatchString(m.Name) {
			t.Errorf("%s: not a valid name", m.Name)
		}
		if seen[m.Name] {
			t.Errorf("%s: declared twice", m.Name)
		}
		seen[m.Name] = true
		for _, l := range m.Labels {
			if !regexp.MustCompile(`^[a-z][a-z_]*$`).MatchString(l) {
				t.Errorf("%s: label %q is not a valid name", m.Name, l)
			}
		}
		if m.Type == Untyped {
			t.Errorf("%s: no type", m.Name)
		}
		if m.Type == Counter && m.Unit == "" {
			t.Errorf("%s: a counter without a unit", m.Name)
		}
		if strings.HasPrefix(m.Name, "cosanet_proc_net_") {
			continue // named by the kernel and the original exporter
		}
		if slices.ContainsFunc([]string{"_bucket", "_sum", "_count"}, func(s string) bool { return strings.HasSuffix(m.Name, s) }) {
			t.Errorf("%s: a name that the series of a histogram have", m.Name)
		}
		if total := strings.HasSuffix(m.Name, "_total"); total != (m.Type == Counter) {
			t.Errorf("%s is a %s", m.Name, m.Type)
		}
	}
}

// TestTexts holds help and meaning to one plain sentence each, said by nobody else and not by the name alone.
func TestTexts(t *testing.T) {
	helps := map[string]string{}
	for _, m := range Catalog() {
		for _, text := range []string{m.Help, m.Meaning} {
			if strings.ContainsAny(text, "\n\t|") || strings.TrimSpace(text) != text || strings.Contains(text, "  ") {
				t.Errorf("%s: stray space or bar in %q", m.Name, text)
			}
			if text != "" && (!unicode.IsUpper(rune(text[0])) || !strings.HasSuffix(text, ".")) {
				t.Errorf("%s: not a sentence: %q", m.Name, text)
			}
		}
		if len(strings.Fields(m.Help)) < 3 {
			t.Errorf("%s: help says too little: %q", m.Name, m.Help)
		}
		if column := m.Name[strings.LastIndex(m.Name, "_")+1:]; strings.HasPrefix(m.Name, "cosanet_proc_net_") && len(column) > 4 && !regexp.MustCompile(`^[a-z]+$`).MatchString(column) && strings.Contains(m.Help, column) {
			t.Errorf("%s: help repeats the name: %q", m.Name, m.Help)
		}
		if other, taken := helps[m.Help]; taken {
			t.Errorf("%s and %s have the same help: %q", m.Name, other, m.Help)
		}
		helps[m.Help] = m.Name
		if m.Signal >= Error && m.Meaning == "" {
			t.Errorf("%s: a sign of %s without a meaning", m.Name, m.Signal)
		}
		if m.Ref == "" {
			t.Errorf("%s: no reference", m.Name)
		}
		if own := slices.Contains(ownMetrics, m); own != (m.Source == "") {
			t.Errorf("%s: source %q", m.Name, m.Source)
		}
	}
}

func TestSets(t *testing.T) {
	for _, m := range Catalog() {
		always := m.Source == "" && m.Signal == Info
		if got, want := m.In(Errors), always || m.Signal == Error || m.Signal == Drop || m.Signal == Saturation; got != want {
			t.Errorf("%s in the error set: got %v, want %v", m.Name, got, want)
		}
		if got, want := m.In(Default), always || m.Default; got != want {
			t.Errorf("%s in the default set: got %v, want %v", m.Name, got, want)
		}
		if !m.In(All) {
			t.Errorf("%s is not in the set of all", m.Name)
		}
	}
	if n := count(Default); n < 60 || n > 110 {
		t.Errorf("the default set has %d families, want 60 to 110", n)
	}
}

// TestNodeScope pins what the kernel has once for the machine; it grows only with a kernel source to show for it.
func TestNodeScope(t *testing.T) {
	want := []string{
		"cosanet_conntrack_max", "cosanet_conntrack_owned_by_none_entries",
		"cosanet_limits_tcp_memory_high_pages", "cosanet_limits_tcp_memory_pressure_pages", "cosanet_limits_tcp_orphans",
		"cosanet_neighbour_entries", "cosanet_neighbour_limit", "cosanet_neighbour_table_full_total",
		"cosanet_sockstat_tcp_alloc", "cosanet_sockstat_tcp_mem_pages", "cosanet_sockstat_tcp_orphan", "cosanet_sockstat_udp_mem_pages",
		"cosanet_softnet_backlog_packets", "cosanet_softnet_dropped_total", "cosanet_softnet_flow_limit_total",
		"cosanet_softnet_processed_total", "cosanet_softnet_received_rps_total", "cosanet_softnet_time_squeezed_total",
	}
	var got []string
	for _, m := range Catalog() {
		if m.Scope == Node {
			got = append(got, m.Name)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("node scope (-want +got):\n%s", diff)
	}
}

func TestGauges(t *testing.T) {
	want := []string{
		"Ip_Forwarding", "Ip_DefaultTTL", "Tcp_RtoAlgorithm", "Tcp_RtoMin", "Tcp_RtoMax", "Tcp_MaxConn", "Tcp_CurrEstab", "MPTcpExt_MPCurrEstab",
	}
	var got []string
	for _, m := range Catalog() {
		if m.Type == Gauge && regexp.MustCompile(`^cosanet_proc_net_(snmp|snmp6|netstat)_`).MatchString(m.Name) {
			got = append(got, m.Short())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("gauges among the kernel's counters (-want +got):\n%s", diff)
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name         string
		help, source string
	}{
		{"cosanet_proc_net_snmp_IcmpMsg_InType3", "ICMP messages of type 3 received; absent until the first.", "/proc/net/snmp IcmpMsg InType3"},
		{"cosanet_proc_net_snmp6_Icmp6_OutType135", "ICMPv6 messages of type 135 sent; absent until the first.", "/proc/net/snmp6 Icmp6 OutType135"},
		{"cosanet_proc_net_netstat_TcpExt_TCPACKSkippedFinWait2", "ACKs in FIN-WAIT-2 left out because of their rate limit.", "/proc/net/netstat TcpExt TCPACKSkippedFinWait2"},
	}
	for _, tt := range tests {
		m, ok := Lookup(tt.name)
		if !ok {
			t.Errorf("%s: not found", tt.name)
			continue
		}
		if m.Name != tt.name || m.Help != tt.help || m.Source != tt.source {
			t.Errorf("%s: got %q, %q, %q", tt.name, m.Name, m.Help, m.Source)
		}
	}
	for _, name := range []string{"", "7", "cosanet_nothing", "cosanet_proc_net_snmp_Tcp_InSegs2", "cosanet_proc_net_snmp_IcmpMsg_InType", "cosanet_proc_net_snmp_IcmpMsg_InTypeX"} {
		if m, ok := Lookup(name); ok {
			t.Errorf("%q: found %s", name, m.Name)
		}
	}
}

// TestOriginalNames finds every name that cosanet v1.0.0 could print. The list is its metrics.md, labels included.
func TestOriginalNames(t *testing.T) {
	labels := map[string]bool{"cosanet_node": true, "cosanet_namespace": true, "cosanet_pod": true, "cosanet_netnsname": true}
	for _, m := range Catalog() {
		for _, l := range m.Labels {
			labels[l] = true
		}
	}
	for _, name := range lines(t, "testdata/cosanet-v1.0.0.names") {
		if _, ok := Lookup(name); !ok && !labels[name] {
			t.Errorf("%s: not in the catalog", name)
		}
	}
}

// TestKernelOrder finds every field of Linux 6.18, and in the kernel's order.
func TestKernelOrder(t *testing.T) {
	last := map[string]int{} // the order of the field before, by file and protocol
	for _, name := range lines(t, "testdata/linux-6.18.names") {
		m, ok := Lookup(name)
		if !ok {
			t.Errorf("%s: not in the catalog", name)
			continue
		}
		group := name[:strings.LastIndex(name, "_")]
		if before, ok := last[group]; ok && m.order <= before {
			t.Errorf("%s: out of the kernel's order", name)
		}
		last[group] = m.order
	}
}

// TestLiveKernel finds every field of the running kernel. One newer than the catalog may have more.
func TestLiveKernel(t *testing.T) {
	if runtime.GOOS != "linux" {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs Linux")
		}
		t.Skip("needs Linux: reads /proc/net")
	}
	release := lines(t, "/proc/sys/kernel/osrelease")[0]
	complain := t.Errorf
	if newer(release, 6, 18) {
		complain = t.Logf
	}
	for _, name := range liveNames(t) {
		if _, ok := Lookup(name); !ok {
			complain("%s of Linux %s: not in the catalog", name, release)
		}
	}
}

// liveNames reads the names of all fields of /proc/net/{snmp,netstat,snmp6}.
func liveNames(t *testing.T) (names []string) {
	for _, file := range []string{"snmp", "netstat"} {
		for i, line := range lines(t, "/proc/net/"+file) {
			proto, fields, ok := strings.Cut(line, ":")
			if !ok || i%2 != 0 { // the second line of a protocol has the values
				continue
			}
			for _, field := range strings.Fields(fields) {
				names = append(names, "cosanet_proc_net_"+file+"_"+proto+"_"+field)
			}
		}
	}
	if _, err := os.Stat("/proc/net/snmp6"); os.IsNotExist(err) {
		return names // IPv6 is off
	}
	split := regexp.MustCompile(`^(Ip6|Icmp6|Udp6|UdpLite6)(\S+)`)
	for _, line := range lines(t, "/proc/net/snmp6") {
		m := split.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("/proc/net/snmp6: cannot split %q", line)
			continue
		}
		names = append(names, "cosanet_proc_net_snmp6_"+m[1]+"_"+m[2])
	}
	return names
}

// newer tells whether a kernel release such as 6.18.44-fc is above major.minor.
func newer(release string, major, minor int) bool {
	want := []int{major, minor}
	for i, part := range strings.SplitN(release, ".", 3)[:2] {
		n := 0
		for _, digit := range part {
			if !unicode.IsDigit(digit) {
				break
			}
			n = n*10 + int(digit-'0')
		}
		if n != want[i] {
			return n > want[i]
		}
	}
	return false
}

func TestMarkdown(t *testing.T) {
	var got bytes.Buffer
	if err := Markdown(&got); err != nil {
		t.Fatal(err)
	}
	for _, m := range Catalog() {
		if n := strings.Count(got.String(), "| `"+m.Name+"`"); n != 1 {
			t.Errorf("%s: %d rows in the reference, want 1", m.Name, n)
		}
	}
	golden.File(t, "../../docs/metrics.md", got.String(), *update)
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
