package metrics

import (
	"math"
	"testing"
	"time"
)

// sample makes a value of a declared family; further label values in the catalog's order.
func sample(t testing.TB, name string, value float64, labels ...string) Sample {
	t.Helper()
	m, ok := Lookup(name)
	if !ok {
		t.Fatalf("%s is not in the catalog", name)
	}
	s := Sample{Metric: m, Value: value}
	for i, l := range labels {
		s.Labels = append(s.Labels, Label{m.Labels[i], l})
	}
	return s
}

// distribution is a histogram of values.
func distribution(name string, values ...float64) *Distribution {
	d := NewDistribution(name)
	for _, v := range values {
		d.Add(v)
	}
	return d
}

// info is the identity sample that every namespace's record starts with.
func info(t testing.TB, s Sandbox) Sample {
	i := sample(t, "cosanet_sandbox_info", 1)
	i.Labels = s.InfoLabels()
	return i
}

// snapshot is a node with everything that the format must carry: the host, a pod with a controller, one that shares
// its namespace, one that nobody named, hostile names, unknown and numbered fields, odd values.
func snapshot(t testing.TB) *Snapshot {
	host := Sandbox{Node: "node-1", Namespace: HostNamespace, NetNS: HostNamespace, Inode: 4026531840}
	web := Sandbox{Node: "node-1", Namespace: "shop", Pod: "web-5d9c-x2x4z", NetNS: "cni-1", ControllerKind: "Deployment",
		ControllerName: "web", UID: "6f1c", Inode: 4026532001, Handler: "runc"}
	shared := Sandbox{Node: "node-1", Namespace: "kube-system", Pod: "proxy", NetNS: HostNamespace, UID: "77aa", HostNetwork: true}
	nameless := Sandbox{Node: "node-1", NetNS: "net:[4026532009]", UID: "0b0b"}
	odd := Sandbox{Node: "node-1", Namespace: `a"b\c`, Pod: "new\nline", NetNS: "{},= \x1b[2J", Handler: "kata", Unsupported: true}
	return &Snapshot{
		Time: time.Unix(1795466000, 500000000),
		Records: []Record{
			{Sandbox{Node: "node-1"}, []Sample{
				sample(t, "cosanet_build_info", 1, "v0.1.0", "abc", "go1.26"),
				sample(t, "cosanet_walk_timestamp_seconds", 1795466000.5),
			}},
			{host, []Sample{
				info(t, host),
				sample(t, "cosanet_proc_net_snmp_Tcp_MaxConn", -1),
				sample(t, "cosanet_proc_net_snmp_Tcp_OutSegs", 18446744073709551615),
				sample(t, "cosanet_proc_net_snmp_IcmpMsg_InType3", 7),
				sample(t, "cosanet_proc_net_snmp_IcmpMsg_InType8", 1e6),
			}},
			{web, []Sample{
				info(t, web),
				sample(t, "cosanet_read_success", 1, "snmp"),
				sample(t, "cosanet_read_success", 0, "conntrack"),
				sample(t, "cosanet_proc_net_snmp_Tcp_OutSegs", 123456789),
				sample(t, "cosanet_proc_net_snmp_IcmpMsg_InType3", 0),
				sample(t, "cosanet_proc_net_tcp", 4, "ESTABLISHED", "ipv4"),
				sample(t, "cosanet_proc_net_tcp", 0, "ESTABLISHED", "ipv6"),
			}},
			{shared, []Sample{info(t, shared)}},
			{nameless, []Sample{
				info(t, nameless),
				{Metric: Unknown("cosanet_proc_net_netstat_TcpExt_FromTheFuture", "/proc/net/netstat TcpExt FromTheFuture"), Value: 3.25},
				{Metric: Unknown("cosanet_proc_net_netstat_TcpExt_AlsoNew", "/proc/net/netstat TcpExt AlsoNew"), Value: math.Inf(1)},
			}},
			{odd, distribution("cosanet_tcp_rtt_seconds", 0.0001, 0.4, 1e-5, 0.4, 60).Append([]Sample{info(t, odd), sample(t, "cosanet_conntrack_curr", 999999)})},
		},
	}
}
