package metrics

// Sockets as they are now: counts by state (sock_diag, or the small tables of /proc/net) and the sums of /proc/net/sockstat{,6}.
//
// The state of a socket is one of ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK,
// LISTEN and CLOSING, whatever its protocol: the kernel borrows the words of TCP for all (a UDP socket is ESTABLISHED when
// connected, else CLOSE). The IP version is ipv4 or ipv6, by the family of the socket.
//
// sockstat shows four values that are not of the namespace that asks but of the whole machine (sockstat_seq_show in
// net/ipv4/proc.c takes them from the protocol, not from the namespace): they have Scope Node.

const (
	sockstatRef = "net/ipv4/proc.c sockstat_seq_show, net/ipv6/proc.c sockstat6_seq_show"
	listenRef   = "net/ipv4/tcp_diag.c tcp_diag_get_info; listen(2)"
	sockDiagRef = "sock_diag(7); include/net/tcp_states.h"
)

var (
	stateLabels   = []string{"cosanet_state", "cosanet_ipversion"}
	versionLabels = []string{"cosanet_ipversion"}
	listenLabels  = []string{"cosanet_listen_address", "cosanet_listen_port", "cosanet_ipversion"}
)

var socketMetrics = []*Metric{
	{Name: "cosanet_proc_net_tcp", Type: Gauge, Unit: "sockets", Labels: stateLabels, Signal: Traffic, Source: "sock_diag IPPROTO_TCP", Ref: sockDiagRef,
		Help:    "TCP sockets by state and IP version.",
		Meaning: "CLOSE_WAIT that grows is a program that forgets to close; SYN_SENT that stays is a peer that does not answer."},
	{Name: "cosanet_proc_net_udp", Type: Gauge, Unit: "sockets", Labels: stateLabels, Signal: Traffic, Source: "sock_diag IPPROTO_UDP", Ref: sockDiagRef,
		Help: "UDP sockets by state (ESTABLISHED when connected to one peer, else CLOSE) and IP version."},
	{Name: "cosanet_proc_net_icmp", Type: Gauge, Unit: "sockets", Labels: stateLabels, Signal: Traffic, Source: "/proc/net/icmp, /proc/net/icmp6", Ref: "net/ipv4/ping.c",
		Help: "Unprivileged ping sockets by state and IP version."},
	{Name: "cosanet_proc_net_udplite", Type: Gauge, Unit: "sockets", Labels: stateLabels, Signal: Traffic, Source: "/proc/net/udplite, /proc/net/udplite6", Ref: "net/ipv4/udplite.c",
		Help: "UDP-Lite sockets by state and IP version."},
	{Name: "cosanet_proc_net_raw", Type: Gauge, Unit: "sockets", Labels: stateLabels, Signal: Traffic, Source: "/proc/net/raw, /proc/net/raw6", Ref: "net/ipv4/raw.c",
		Help: "Raw sockets by state and IP version."},

	{Name: "cosanet_listen_queue_length", Type: Gauge, Unit: "connections", Labels: listenLabels, Signal: Saturation, Default: true, Source: "sock_diag TCP_LISTEN idiag_rqueue", Ref: listenRef,
		Help:    "Connections that wait to be accepted at a listening TCP socket; of several sockets at one address and port, in the fullest.",
		Meaning: "Near its limit the program accepts too slowly; above it handshakes are thrown away and counted in TcpExt ListenOverflows."},
	{Name: "cosanet_listen_queue_limit", Type: Gauge, Unit: "connections", Labels: listenLabels, Signal: Info, Default: true, Source: "sock_diag TCP_LISTEN idiag_wqueue", Ref: listenRef,
		Help: "Connections that may wait at that socket: the backlog of listen(2), cut to net.core.somaxconn. The kernel lets one more wait."},

	{Name: "cosanet_sockstat_sockets_used", Type: Gauge, Unit: "sockets", Signal: Traffic, Source: "/proc/net/sockstat sockets used", Ref: sockstatRef,
		Help: "Sockets of every family in this namespace, Unix and netlink included."},
	{Name: "cosanet_sockstat_tcp_inuse", Type: Gauge, Unit: "sockets", Labels: versionLabels, Signal: Traffic, Default: true, Source: "/proc/net/sockstat TCP inuse, /proc/net/sockstat6 TCP6 inuse", Ref: sockstatRef,
		Help: "TCP sockets in use, listening ones included, TIME-WAIT not."},
	{Name: "cosanet_sockstat_tcp_tw", Type: Gauge, Unit: "sockets", Signal: Traffic, Default: true, Source: "/proc/net/sockstat TCP tw", Ref: sockstatRef,
		Help: "TCP sockets in TIME-WAIT, IPv4 and IPv6 together."},
	{Name: "cosanet_sockstat_tcp_orphan", Type: Gauge, Unit: "sockets", Signal: Saturation, Scope: Node, Default: true, Source: "/proc/net/sockstat TCP orphan", Ref: sockstatRef,
		Help:    "TCP sockets of the whole machine that no program holds any more and that still have to finish.",
		Meaning: "Near tcp_max_orphans the kernel resets connections; many mean that peers do not answer to close."},
	{Name: "cosanet_sockstat_tcp_alloc", Type: Gauge, Unit: "sockets", Signal: Traffic, Scope: Node, Source: "/proc/net/sockstat TCP alloc", Ref: sockstatRef,
		Help: "TCP sockets allocated on the whole machine, in any state."},
	{Name: "cosanet_sockstat_tcp_mem_pages", Type: Gauge, Unit: "pages", Signal: Saturation, Scope: Node, Default: true, Source: "/proc/net/sockstat TCP mem", Ref: sockstatRef,
		Help:    "Memory in TCP buffers of the whole machine, in pages as tcp_mem counts them.",
		Meaning: "Near the limits of tcp_mem every pod's TCP slows down; some pod lets data pile up in its sockets."},
	{Name: "cosanet_sockstat_udp_inuse", Type: Gauge, Unit: "sockets", Labels: versionLabels, Signal: Traffic, Source: "/proc/net/sockstat UDP inuse, /proc/net/sockstat6 UDP6 inuse", Ref: sockstatRef,
		Help: "UDP sockets in use, by IP version; one counts from its first bind, connect or send."},
	{Name: "cosanet_sockstat_udp_mem_pages", Type: Gauge, Unit: "pages", Signal: Saturation, Scope: Node, Source: "/proc/net/sockstat UDP mem", Ref: sockstatRef,
		Help:    "Memory in UDP buffers of the whole machine, in pages as udp_mem counts them.",
		Meaning: "Near the limits of udp_mem datagrams are dropped in every pod."},
	{Name: "cosanet_sockstat_udplite_inuse", Type: Gauge, Unit: "sockets", Labels: versionLabels, Signal: Traffic, Source: "/proc/net/sockstat UDPLITE inuse, /proc/net/sockstat6 UDPLITE6 inuse", Ref: sockstatRef,
		Help: "UDP-Lite sockets in use, by IP version."},
	{Name: "cosanet_sockstat_raw_inuse", Type: Gauge, Unit: "sockets", Labels: versionLabels, Signal: Traffic, Source: "/proc/net/sockstat RAW inuse, /proc/net/sockstat6 RAW6 inuse", Ref: sockstatRef,
		Help: "Raw sockets in use, by IP version."},
	{Name: "cosanet_sockstat_frag_inuse", Type: Gauge, Unit: "queues", Labels: versionLabels, Signal: Traffic, Source: "/proc/net/sockstat FRAG inuse, /proc/net/sockstat6 FRAG6 inuse", Ref: sockstatRef,
		Help: "Fragmented packets that wait for their missing parts, by IP version."},
	{Name: "cosanet_sockstat_frag_memory_bytes", Type: Gauge, Unit: "bytes", Labels: versionLabels, Signal: Traffic, Source: "/proc/net/sockstat FRAG memory, /proc/net/sockstat6 FRAG6 memory", Ref: sockstatRef,
		Help: "Memory of fragments that wait for their missing parts, by IP version."},
}
