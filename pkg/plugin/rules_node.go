package plugin

// nodeRules are about what the kernel has once for the machine; conntrack tables are also of pods whose rules use them.
func nodeRules() []rule {
	return []rule{
		{
			id: "conntrack-full", title: "the connection tracking table fills up", node: true,
			measure: formula{sum: []string{"cosanet_conntrack_curr"}, over: []string{"cosanet_conntrack_max"}}, unit: "of the connection tracking table is taken",
			levels: []level{{Warning, 75}, {Critical, 90}},
			source: "NodeHighNumberConntrackEntriesUsed of the node mixin (75 %); netdata warns at 85 and 90 %, mintel's rules below 10 % free. The alert waits for five minutes (warning) and two (critical).",
			means:  "The connection tracking table fills up. When it is full, packets of new connections are dropped, on a node those of all pods behind a Service or NAT; DNS suffers first. For a pod it is a table of the pod's own (rules of a sidecar).",
			look:   "Which state the entries are in (many in TIME_WAIT or UNREPLIED: short connections, a scan, a client without keep-alive), and who makes most of them. `nf_conntrack_max` can be raised; kube-proxy sets it by `conntrack.maxPerCore`.",
			next:   []string{"kubectl cosanet top -A --all-nodes --sort-by ct --columns CT,CTERR,ACTIVE,PASSIVE", debugNode + "conntrack -S"},
		},
		{
			id: "conntrack-early-drops", title: "connection tracking throws entries out",
			measure: formula{sum: []string{"cosanet_conntrack_early_drop_total"}}, unit: "connections a second lose their entry",
			levels: []level{{Critical, 0}},
			source: "any: the kernel does it only at the limit (`net/netfilter/nf_conntrack_core.c` early_drop).",
			means:  "The connection tracking table is full: entries that are not yet assured are thrown out to make room, and their connections lose their NAT.",
			look:   "As for [CosanetConntrackFull](#cosanetconntrackfull); what is lost is already lost.",
			next:   []string{"kubectl cosanet top -A --all-nodes --sort-by ct --columns CT,CTERR,conntrack_early_drop_total"},
		},
		{
			id: "conntrack-insert-failed", title: "packets race for one connection tracking entry",
			measure: formula{sum: []string{"cosanet_conntrack_insert_failed_total"}}, unit: "packets a second lose the race for their entry and are dropped",
			levels: []level{{Warning, 0.1}},
			source: "this project's: 60 slow lookups in ten minutes. The race is kubernetes/kubernetes#56903 and prometheus/node_exporter#1233. The alert waits for ten minutes.",
			means:  "Two packets raced for the entry of one connection, and the loser was dropped: the classic cause of DNS lookups that take 5 seconds, since A and AAAA leave one socket at once.",
			look:   "The rate against the DNS queries of the node. A node-local DNS cache avoids it, as does `options single-request-reopen` in the pod's dnsConfig; since Linux 5.0 fewer races lose.",
			next:   []string{topNodes + "--interval 10s --columns conntrack_insert_failed_total,conntrack_drop_total,Udp_OutDatagrams"},
		},
		{
			id: "conntrack-drops", title: "packets are dropped for want of a connection tracking entry",
			measure: formula{sum: []string{"cosanet_conntrack_drop_total"}, minus: []string{"cosanet_conntrack_insert_failed_total"}}, unit: "packets a second get no entry and are dropped",
			levels: []level{{Critical, 0.1}},
			source: "this project's, beside the lost races of [CosanetConntrackInsertFailed](#cosanetconntrackinsertfailed). The alert waits for five minutes.",
			means:  "Packets are dropped because no connection tracking entry could be made for them: the table is full or the kernel has no memory for it.",
			look:   "How full the table is; the node's kernel log says `nf_conntrack: table full, dropping packet`.",
			next:   []string{topNodes + "--interval 10s --columns CT,conntrack_drop_total,conntrack_insert_failed_total", debugNode + "dmesg"},
		},
		{
			id: "softnet-drops", title: "packets are dropped before any protocol sees them", node: true,
			measure: formula{sum: []string{"cosanet_softnet_dropped_total"}}, unit: "packets a second are dropped because the backlog of a CPU is full",
			levels: []level{{Warning, 10}},
			source: "netdata, `health.d/softnet.conf` (average of a minute). The alert takes the average of five minutes.",
			means:  "Packets are dropped before any protocol sees them, because the backlog of a CPU is full. No pod's counters show them.",
			look:   "One CPU that takes all interrupts, or all veth traffic; `net.core.netdev_max_backlog`; receive packet steering.",
			next:   []string{topNodes + "--interval 5s --columns IN,softnet_dropped_total,softnet_time_squeezed_total"},
		},
		{
			id: "softnet-squeezed", title: "the CPUs cannot keep up with receiving", node: true,
			measure: formula{sum: []string{"cosanet_softnet_time_squeezed_total"}}, unit: "times a second a CPU stops receiving with packets left",
			levels: []level{{Info, 10}},
			source: "netdata, `health.d/softnet.conf` (average of a minute). The alert waits for ten minutes.",
			means:  "CPUs stop receiving with packets left, since their budget of packets or time is used up: latency now, drops when it goes on.",
			look:   "Software interrupts of the node's CPUs (`si` in top), `net.core.netdev_budget` and `net.core.netdev_budget_usecs`.",
			next:   []string{topNodes + "--interval 5s --columns IN,softnet_time_squeezed_total,softnet_dropped_total"},
		},
		{
			id: "device-drops", title: "a network device drops packets",
			measure: formula{sum: []string{"cosanet_netdev_receive_drop_total", "cosanet_netdev_transmit_drop_total", "cosanet_netdev_receive_errs_total"}}, unit: "packets a second are dropped or damaged at a device",
			levels: []level{{Warning, 1}},
			source: "this project's; netdata's `health.d/net.conf` warns at a share of 2 % of the packets.",
			means:  "Packets are dropped at a network device, before IP sees them: its queue is full, it is down, or they are of a protocol that nobody takes.",
			look:   "Which device it is. On a node's card: ring buffers (`ethtool -g`), interrupts on one CPU. On a veth: the other side went away. Unknown protocols on a physical network (LLDP, bridges' own) are counted here too and harmless.",
			next:   []string{"kubectl cosanet raw --node $NODE | grep -E 'netdev_(receive|transmit)_drop_total.* [1-9]'"},
			shows:  droppingDevices,
		},
	}
}
