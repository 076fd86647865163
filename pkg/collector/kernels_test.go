package collector

import (
	"path"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// kernels are files as other kernels write them, by version and name.
func kernels(t testing.TB) []txtar.File {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/kernels.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return archive.Files
}

// TestKernels reads them by the names in their headings: a column that came or went moves no other.
func TestKernels(t *testing.T) {
	want := map[string]map[string]float64{
		"4.14/snmp": {"Ip_FragCreates": 117, "Icmp_InMsgs": 201, "Icmp_OutDestUnreachs": 217, "Icmp_OutAddrMaskReps": 227, "IcmpMsg_OutType3": 217, "Tcp_MaxConn": -1,
			"Tcp_RetransSegs": 308, "Tcp_InCsumErrors": 311, "Udp_IgnoredMulti": 408},
		"4.14/netstat":      {"TcpExt_ListenOverflows": 519, "TcpExt_ListenDrops": 520, "IpExt_InOctets": 1 << 64, "IpExt_InCEPkts": 617},
		"4.14/snmp6":        {"Ip6_InReceives": 701, "Icmp6_OutType135": 704, "Udp6_RcvbufErrors": 706, "UdpLite6_InErrors": 707},
		"4.14/sockstat":     {"sockstat_tcp_inuse{ipv4}": 1, "sockstat_tcp_tw": 3, "sockstat_frag_memory_bytes{ipv4}": 11},
		"4.14/softnet_stat": {"softnet_processed_total": 101, "softnet_dropped_total": 102, "softnet_time_squeezed_total": 103, "softnet_received_rps_total": 105, "softnet_flow_limit_total": 106},
		"4.14/nf_conntrack": {"conntrack_curr": 17, "conntrack_found_total": 18, "conntrack_invalid_total": 19, "conntrack_insert_failed_total": 22, "conntrack_search_restart_total": 26},
		"4.14/dev":          {"netdev_receive_bytes_total{lo}": 801, "netdev_receive_errs_total{eth0}": 807, "netdev_transmit_bytes_total{eth0}": 813},
		"5.15/snmp":         {"Ip_FragCreates": 117, "Tcp_RetransSegs": 308, "Udp_IgnoredMulti": 408, "Udp_MemErrors": 409},
		"5.15/softnet_stat": {"softnet_processed_total": 101, "softnet_flow_limit_total": 106, "softnet_backlog_packets": 107},
		"5.15/nf_conntrack": {"conntrack_curr": 17, "conntrack_clash_resolve_total": 16, "conntrack_found_total": 18, "conntrack_chain_toolong_total": 20, "conntrack_insert_total": 21},
		"6.6/snmp":          {"Ip_OutTransmits": 118, "Icmp_OutRateLimitGlobal": 231, "Icmp_OutDestUnreachs": 217, "Icmp_OutAddrMaskReps": 227, "Tcp_InCsumErrors": 311},
		"6.6/softnet_stat":  {"softnet_processed_total": 101, "softnet_flow_limit_total": 106, "softnet_backlog_packets": 107},
	}
	seen := 0
	for _, file := range kernels(t) {
		got, err := parsers()[path.Base(file.Name)](nil, file.Data)
		if err != nil {
			t.Errorf("Linux %s: %v", file.Name, err)
		}
		values := short(got)
		for name, value := range want[file.Name] {
			seen++
			if v, ok := values[name]; !ok || v != value {
				t.Errorf("Linux %s: %s = %v (present: %v), want %v", file.Name, name, v, ok, value)
			}
		}
		for _, s := range got {
			if s.Metric.Type == metrics.Untyped {
				t.Errorf("Linux %s: %s is not in the catalog", file.Name, s.Metric.Name)
			}
		}
	}
	if seen < 40 {
		t.Errorf("%d values compared", seen)
	}
}
