package collector

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// everything resolves every name, as a walk with --metrics=all does.
func everything() *families { return newFamilies(&Config{Set: metrics.All}) }

func fieldsOf(f *families, file string) func(proto, field string) *metrics.Metric {
	return func(proto, field string) *metrics.Metric { return f.field(file, proto, field) }
}

// short names the samples for comparison: Tcp_MaxConn, sockstat_tcp_inuse{ipv4}.
func short(samples []metrics.Sample) map[string]float64 {
	named := map[string]float64{}
	for _, s := range samples {
		name := s.Metric.Short()
		for _, l := range s.Labels {
			name += "{" + l.Value + "}"
		}
		named[name] = s.Value
	}
	return named
}

func capture(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// parsers are those of whole files, each with new memory.
func parsers() map[string]parser {
	f := everything()
	return map[string]parser{
		"snmp":     newTwoLine(fieldsOf(f, "snmp")).parse,
		"netstat":  newTwoLine(fieldsOf(f, "netstat")).parse,
		"snmp6":    newSnmp6(fieldsOf(f, "snmp6")).parse,
		"sockstat": newSockstat(f.family).parser(true),
		"dev": func(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
			dst, _, err := newNetdev(f.family).parse(dst, file)
			return dst, err
		},
		"nf_conntrack": newConntrackStat(f.family).parse,
		"softnet_stat": func(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
			return parseSoftnet(f.family, dst, file)
		},
	}
}

func TestParse(t *testing.T) {
	const devHeading = "Inter-|   Receive                                                |  Transmit\n" +
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
	const conntrackHeading = "entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n"
	for _, test := range []struct {
		name string
		file string // which parser
		text string
		want map[string]float64 // nil: malformed
	}{
		{"two protocols", "snmp", "Ip: Forwarding InReceives\nIp: 2 21036\nTcp: MaxConn\nTcp: -1\n", map[string]float64{"Ip_Forwarding": 2, "Ip_InReceives": 21036, "Tcp_MaxConn": -1}},
		{"the largest counter", "netstat", "IpExt: InOctets\nIpExt: 18446744073709551615\n", map[string]float64{"IpExt_InOctets": math.MaxUint64}},
		{"one more than the largest", "netstat", "IpExt: InOctets\nIpExt: 18446744073709551616\n", nil},
		{"a message type", "snmp", "IcmpMsg: InType3 OutType199\nIcmpMsg: 1 2\n", map[string]float64{"IcmpMsg_InType3": 1, "IcmpMsg_OutType199": 2}},
		{"no message type yet", "snmp", "IcmpMsg:\nIcmpMsg:\n", map[string]float64{}},
		{"a field of a newer kernel", "netstat", "TcpExt: TCPTeleported\nTcpExt: 7\n", map[string]float64{"TcpExt_TCPTeleported": 7}},
		{"a field that is no name", "netstat", "TcpExt: a{b} ListenDrops\nTcpExt: 7 8\n", map[string]float64{"TcpExt_ListenDrops": 8}},
		{"an empty file", "snmp", "", map[string]float64{}},
		{"fewer values than names", "snmp", "Tcp: ActiveOpens PassiveOpens\nTcp: 1\n", nil},
		{"more values than names", "snmp", "Tcp: ActiveOpens\nTcp: 1 2\n", nil},
		{"names without values", "snmp", "Tcp: ActiveOpens\n", nil},
		{"another protocol's values", "snmp", "Tcp: ActiveOpens\nUdp: 1\n", nil},
		{"no number", "snmp", "Tcp: ActiveOpens\nTcp: one\n", nil},
		{"a number with a tail", "snmp", "Tcp: ActiveOpens\nTcp: 1x\n", nil},
		{"no colon", "snmp", "Tcp\nTcp\n", nil},

		{"counters", "snmp6", "Ip6InReceives                   \t5\nIcmp6OutType135                 \t4\nUdpLite6InErrors                \t0\n", map[string]float64{"Ip6_InReceives": 5, "Icmp6_OutType135": 4, "UdpLite6_InErrors": 0}},
		{"no protocol", "snmp6", "InReceives \t5\n", nil},
		{"no counter", "snmp6", "Ip6 \t5\n", nil},
		{"no value", "snmp6", "Ip6InReceives\n", nil},

		{"IPv4", "sockstat", "sockets: used 14\nTCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5\nUDP: inuse 6 mem 7\nUDPLITE: inuse 8\nRAW: inuse 9\nFRAG: inuse 10 memory 11\n", map[string]float64{
			"sockstat_sockets_used": 14, "sockstat_tcp_inuse{ipv4}": 1, "sockstat_tcp_orphan": 2, "sockstat_tcp_tw": 3, "sockstat_tcp_alloc": 4, "sockstat_tcp_mem_pages": 5,
			"sockstat_udp_inuse{ipv4}": 6, "sockstat_udp_mem_pages": 7, "sockstat_udplite_inuse{ipv4}": 8, "sockstat_raw_inuse{ipv4}": 9, "sockstat_frag_inuse{ipv4}": 10, "sockstat_frag_memory_bytes{ipv4}": 11}},
		{"IPv6", "sockstat", "TCP6: inuse 1\nFRAG6: inuse 2 memory 3\n", map[string]float64{"sockstat_tcp_inuse{ipv6}": 1, "sockstat_frag_inuse{ipv6}": 2, "sockstat_frag_memory_bytes{ipv6}": 3}},
		{"a protocol to come", "sockstat", "QUIC: inuse 1\n", map[string]float64{}},
		{"a key without value", "sockstat", "TCP: inuse\n", nil},

		{"no device", "dev", devHeading, map[string]float64{}},
		{"no heading", "dev", "lo: 1 2\n", nil},
		{"too few columns", "dev", devHeading + "    lo: 1 2 3\n", nil},
		{"too many columns", "dev", devHeading + "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", nil},
		{"no device name", "dev", devHeading + "    lo 1 2 3\n", nil},

		{"two CPUs", "nf_conntrack", conntrackHeading +
			"00000009  00000001 00000002 00000000 00000003 00000000 00000000 00000004 00000005 00000006 00000007 00000008 0000000a  00000000 00000000 00000000 0000000b\n" +
			"00000009  00000010 00000020 00000000 00000030 00000000 00000000 00000040 00000050 00000060 00000070 ffffffff 000000a0  00000000 00000000 00000000 000000b0\n",
			map[string]float64{"conntrack_curr": 9, "conntrack_clash_resolve_total": 0x11, "conntrack_found_total": 0x22, "conntrack_invalid_total": 0x33, "conntrack_chain_toolong_total": 0x44, "conntrack_insert_total": 0x55,
				"conntrack_insert_failed_total": 0x66, "conntrack_drop_total": 0x77, "conntrack_early_drop_total": 0x100000007, "conntrack_error_total": 0xaa, "conntrack_search_restart_total": 0xbb}},
		{"Linux 4.14", "nf_conntrack", "entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n" +
			"00000001  00000002 00000003 00000004 00000005 00000006 00000007 00000008 00000009 0000000a 0000000b 0000000c 0000000d  0000000e 0000000f 00000010 00000011\n",
			map[string]float64{"conntrack_curr": 1, "conntrack_found_total": 3, "conntrack_invalid_total": 5, "conntrack_insert_total": 9, "conntrack_insert_failed_total": 10, "conntrack_drop_total": 11,
				"conntrack_early_drop_total": 12, "conntrack_error_total": 13, "conntrack_search_restart_total": 17}},
		{"no CPU", "nf_conntrack", conntrackHeading, nil},
		{"a short line", "nf_conntrack", conntrackHeading + "00000009 00000001\n", nil},
		{"an empty file", "nf_conntrack", "", nil},

		{"Linux 2.6.23", "softnet_stat", "00000001 00000002 00000003 00000000 00000000 00000000 00000000 00000000 00000004\n", map[string]float64{"softnet_processed_total": 1, "softnet_dropped_total": 2, "softnet_time_squeezed_total": 3}},
		{"two CPUs", "softnet_stat", "0000000e 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000003 00000004 00000005 00000000 00000000 00000000\n" +
			"fffffff0 00000010 00000020 00000000 00000000 00000000 00000000 00000000 00000000 00000030 00000040 00000050 00000001 00000000 00000000\n", map[string]float64{
			"softnet_processed_total": 0xfffffffe, "softnet_dropped_total": 0x11, "softnet_time_squeezed_total": 0x22, "softnet_received_rps_total": 0x33, "softnet_flow_limit_total": 0x44, "softnet_backlog_packets": 0x55}},
		{"no number", "softnet_stat", "0000000g\n", nil},
		{"an empty file", "softnet_stat", "", nil},
	} {
		t.Run(test.file+"/"+test.name, func(t *testing.T) {
			got, err := parsers()[test.file](nil, []byte(test.text))
			if test.want == nil {
				if !errors.Is(err, errMalformed) {
					t.Fatalf("error %v, want errMalformed", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, short(got)); diff != "" {
				t.Errorf("samples (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParseCaptures reads whole files of a running machine (Linux 6.18).
func TestParseCaptures(t *testing.T) {
	for _, test := range []struct {
		file    string
		samples int
		want    map[string]float64
	}{
		{"snmp", 0, map[string]float64{"Tcp_RtoMax": 120000, "Tcp_MaxConn": -1, "Ip_DefaultTTL": 64}},
		{"netstat", 0, map[string]float64{"TcpExt_TCPAODroppedIcmps": 0, "MPTcpExt_WinProbe": 0}},
		{"snmp6", 0, map[string]float64{"UdpLite6_MemErrors": 0}},
		{"dev", 64, map[string]float64{"netdev_receive_errs_total{eth0}": 0}},
		{"nf_conntrack", 11, map[string]float64{"conntrack_curr": 0}},
		{"softnet_stat", 6, map[string]float64{"softnet_dropped_total": 0}},
	} {
		got, err := parsers()[test.file](nil, capture(t, test.file))
		if err != nil {
			t.Errorf("%s: %v", test.file, err)
		}
		for name, want := range test.want {
			if v, ok := short(got)[name]; !ok || v != want {
				t.Errorf("%s: %s = %v (present: %v), want %v", test.file, name, v, ok, want)
			}
		}
		if test.samples > 0 && len(got) != test.samples {
			t.Errorf("%s: %d samples, want %d", test.file, len(got), test.samples)
		}
		for _, s := range got {
			if s.Metric.Type == metrics.Untyped {
				t.Errorf("%s: %s is not in the catalog", test.file, s.Metric.Name)
			}
		}
	}
}

// TestSockstatOfAPod keeps what counts the whole machine off the rows of pods.
func TestSockstatOfAPod(t *testing.T) {
	got, err := newSockstat(everything().family).parse(nil, []byte("TCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5\nUDP: inuse 6 mem 7\n"), false)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{"sockstat_tcp_inuse{ipv4}": 1, "sockstat_tcp_tw": 3, "sockstat_udp_inuse{ipv4}": 6}
	if diff := cmp.Diff(want, short(got)); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestDeviceNames(t *testing.T) {
	for name, want := range map[string]string{
		"eth0":            "eth0",
		"veth-ü":          "veth-ü",
		"a\"b{c}":         "a\"b{c}", // the exposition format quotes these
		"\x1b[31m":        `\x1b[31m`,
		"\xff\xfe":        `\xff\xfe`,
		`\xff`:            `\x5cxff`, // not the same as the byte 0xff
		"a\u0085b":        `a\xc2\x85b`,
		"\u202elo":        `\xe2\x80\xaelo`,
		"tab\x7f":         `tab\x7f`,
		"eth0.100@if2":    "eth0.100@if2",
		"\xe2\x28\xa1abc": `\xe2(\xa1abc`,
	} {
		if got := printable([]byte(name)); got != want {
			t.Errorf("printable(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDevicesAreBounded(t *testing.T) {
	file := string(capture(t, "dev"))
	heading := file[:strings.Index(file, "multicast|")]
	heading = file[:len(heading)+strings.Index(file[len(heading):], "\n")+1]
	var b strings.Builder
	b.WriteString(heading)
	for i := range maxInterfaces + 3 {
		b.WriteString("veth" + strings.Repeat("x", i%5) + ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n")
	}
	got, more, err := newNetdev(everything().family).parse(nil, []byte(b.String()))
	if err != nil || more != 3 || len(got) != maxInterfaces*len(netdevColumns) {
		t.Errorf("%d samples, %d devices more, %v; want %d, 3, nil", len(got), more, err, maxInterfaces*len(netdevColumns))
	}
}

func TestSocketTable(t *testing.T) {
	const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
	var counts stateCounts
	err := parseSocketTable(&counts, []byte(heading+
		"    1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 0\n"+
		"12345: 0100007F:0001 0100007F:0001 01 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 0\n"+
		"12346: 0100007F:0001 0100007F:0001 0C 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 0\n"))
	if want := (stateCounts{1: 1, 3: 1, 7: 1}); err != nil || counts != want {
		t.Errorf("%v, %v; want %v", counts, err, want)
	}
	for _, bad := range []string{"1: a:b\n", "1: a:b c:d\n", "1: a:b c:d zz 0\n", "1: a:b c:d 0D 0\n", "1: a:b c:d 00 0\n", "1: a:b c:d 101 0\n"} {
		if err := parseSocketTable(&counts, []byte(heading+bad)); !errors.Is(err, errMalformed) {
			t.Errorf("%q: error %v, want errMalformed", bad, err)
		}
	}
}

// fuzzParser checks what holds for any file: no panic, what was there before stays, no sample without a family, and the
// memory of an earlier file changes nothing, be it the same or another.
func fuzzParser(f *testing.F, name string, seeds ...string) {
	whole := capture(f, name)
	f.Add(whole)
	_, shorter, _ := bytes.Cut(whole, []byte("\n")) // every line is one further up
	f.Add(shorter)
	_, shorter, _ = bytes.Cut(shorter, []byte("\n"))
	f.Add(shorter)
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	for _, file := range kernels(f) {
		if path.Base(file.Name) == name {
			f.Add(file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		parse := parsers()[name]
		before := []metrics.Sample{{Value: 42}}
		first, err := parse(before, file)
		if first[0].Value != 42 {
			t.Fatal("an earlier sample was changed")
		}
		for _, s := range first[1:] {
			if s.Metric == nil || math.IsNaN(s.Value) || math.IsInf(s.Value, 0) {
				t.Fatalf("sample %+v", s)
			}
		}
		second, again := parse(nil, file)
		if (err == nil) != (again == nil) || !cmp.Equal(short(first[1:]), short(second)) {
			t.Fatalf("read again: %v, %v; at first: %v, %v", short(second), again, short(first[1:]), err)
		}
		parse = parsers()[name]
		parse(nil, whole)
		third, after := parse(nil, file)
		if (err == nil) != (after == nil) || !cmp.Equal(short(first[1:]), short(third)) {
			t.Fatalf("read after another: %v, %v; at first: %v, %v", short(third), after, short(first[1:]), err)
		}
	})
}

func FuzzSnmp(f *testing.F) {
	fuzzParser(f, "snmp", "Tcp: MaxConn\nTcp: -1\n", "Tcp:\n", ":\n:\n", "\n\n")
}
func FuzzNetstat(f *testing.F)  { fuzzParser(f, "netstat", "TcpExt: A B\nTcpExt: 1 2\n") }
func FuzzSnmp6(f *testing.F)    { fuzzParser(f, "snmp6", "Ip6InReceives \t18446744073709551615\n") }
func FuzzSockstat(f *testing.F) { fuzzParser(f, "sockstat", "TCP6: inuse 1\n", ": \n", "TCP:  \n") }
func FuzzNetdev(f *testing.F)   { fuzzParser(f, "dev", "\n|bytes\n\xff: 1\n") }
func FuzzConntrackStat(f *testing.F) {
	fuzzParser(f, "nf_conntrack", "entries\n1\n", "\n\n", "a a a\n1 2 3\n")
}
func FuzzSoftnet(f *testing.F) { fuzzParser(f, "softnet_stat", "1 2 3\n\n", "ffffffffffffffff\n") }

func FuzzSocketTable(f *testing.F) {
	f.Add([]byte("heading\n  1: 00000000:0001 00000000:0000 07 00000000:00000000\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var counts stateCounts
		parseSocketTable(&counts, file)
		total := uint64(0)
		for _, n := range counts {
			total += n
		}
		if lines := uint64(strings.Count(string(file), "\n")); total > lines {
			t.Fatalf("%d sockets in %d lines", total, lines)
		}
	})
}
