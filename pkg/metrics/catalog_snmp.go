package metrics

import "slices"

// /proc/net/snmp, in the order of net/ipv4/proc.c. The IP, ICMP, TCP and UDP groups of MIB-II as RFC 2011, 2012,
// 2013 and 4293 define them, with what Linux added. Packets are counted after GRO on the way in, after GSO on the way out
// only where the help says so.

var ipMetrics = group{"snmp", "Ip", "RFC 4293; Documentation/networking/snmp_counter.rst"}.metrics([]field{
	{"Forwarding", Gauge, "", Info, All, "Whether this namespace forwards IPv4 packets: 1 it does, 2 it does not.", ""},
	{"DefaultTTL", Gauge, "hops", Info, All, "Time to live put into IPv4 packets whose sender did not choose one.", ""},
	{"InReceives", Counter, "packets", Traffic, Default, "IPv4 packets that reached the IP layer, counted after GRO and including those dropped later.", ""},
	{"InHdrErrors", Counter, "packets", Error, All, "IPv4 packets discarded for a bad header: wrong version, length or checksum, or time to live used up while forwarding.", "Damaged packets or a routing loop: trace the route to the peer."},
	{"InAddrErrors", Counter, "packets", Error, All, "IPv4 packets discarded because their destination address is invalid here: not local, and forwarding is off.", "Packets meant for somebody else arrive here: a stale route, ARP entry or load balancer backend."},
	{"ForwDatagrams", Counter, "packets", Traffic, All, "IPv4 packets that were not for this namespace and were forwarded.", ""},
	{"InUnknownProtos", Counter, "packets", Error, All, "IPv4 packets for this namespace whose transport protocol nothing here handles.", "Somebody sends a protocol that nothing here listens for, such as SCTP without its module."},
	{"InDiscards", Counter, "packets", Drop, Default, "Sound IPv4 packets dropped on the way in for the kernel's own reasons, such as want of memory.", "The node ran short of memory for packets: look at its memory and at socket buffers."},
	{"InDelivers", Counter, "packets", Traffic, All, "IPv4 packets handed to a transport protocol or a raw socket.", ""},
	{"OutRequests", Counter, "packets", Traffic, Default, "IPv4 packets that local protocols asked to send, forwarded ones not included.", ""},
	{"OutDiscards", Counter, "packets", Drop, Default, "Sound IPv4 packets dropped on the way out: no memory, a full queue, or a filter's verdict.", "Packets this pod sent never left it: look at qdisc drops, network policy and memory."},
	{"OutNoRoutes", Counter, "packets", Error, Default, "IPv4 packets dropped on the way out because no route led to their destination.", "This pod tries to reach an address it has no route to: look at its routes and at the CNI plugin."},
	{"ReasmTimeout", Counter, "packets", Error, All, "IPv4 packets given up because their fragments did not all arrive in time.", "Fragments get lost on the way: something in the path drops them, or the link is lossy."},
	{"ReasmReqds", Counter, "fragments", Traffic, All, "IPv4 fragments received that needed reassembly.", ""},
	{"ReasmOKs", Counter, "packets", Traffic, All, "IPv4 packets put together from fragments.", ""},
	{"ReasmFails", Counter, "events", Error, Default, "Failures of IPv4 reassembly: a timeout, a bad fragment, or the memory limit for fragments.", "Fragmented packets do not arrive whole; large UDP answers (DNS) are the usual victims."},
	{"FragOKs", Counter, "packets", Traffic, All, "IPv4 packets that were split into fragments.", ""},
	{"FragFails", Counter, "packets", Error, Default, "IPv4 packets discarded because they exceeded the MTU and must not, or could not, be fragmented.", "Packets are too big for the way out: an MTU mismatch, often an overlay's headers not subtracted."},
	{"FragCreates", Counter, "fragments", Traffic, All, "IPv4 fragments made by splitting packets.", ""},
	{"OutTransmits", Counter, "packets", Traffic, All, "IPv4 packets given to a device to send, forwarded ones and fragments included.", ""},
})

var icmpMetrics = slices.Concat(
	group{"snmp", "Icmp", "RFC 4293; Documentation/networking/snmp_counter.rst"}.metrics([]field{
		{"InMsgs", Counter, "messages", Traffic, All, "ICMP messages received, those in error included.", ""},
		{"InErrors", Counter, "messages", Error, All, "ICMP messages received with a fault: bad checksum, bad length, or a type that could not be handled.", "Damaged or odd ICMP arrives: rarely your problem, unless path MTU discovery fails as well."},
		{"InCsumErrors", Counter, "messages", Error, All, "ICMP messages received with a bad checksum.", "Packets are damaged on the way: suspect a NIC, its offloads, or a tunnel."},
		{"InDestUnreachs", Counter, "messages", Error, All, "ICMP destination unreachable messages received (type 3).", "Peers or routers tell this pod that a host or port is not there, or that its packets are too big."},
		{"InTimeExcds", Counter, "messages", Error, All, "ICMP time exceeded messages received (type 11).", "Packets of this pod die on the way of old age: a routing loop, or somebody runs traceroute."},
		{"InParmProbs", Counter, "messages", Error, All, "ICMP parameter problem messages received (type 12).", "A router could not parse this pod's IP headers."},
		{"InSrcQuenchs", Counter, "messages", Traffic, All, "ICMP source quench messages received (type 4); deprecated by RFC 6633 and without effect.", ""},
		{"InRedirects", Counter, "messages", Traffic, All, "ICMP redirect messages received (type 5).", ""},
		{"InEchos", Counter, "messages", Traffic, All, "ICMP echo requests received (type 8): pings.", ""},
		{"InEchoReps", Counter, "messages", Traffic, All, "ICMP echo replies received (type 0).", ""},
		{"InTimestamps", Counter, "messages", Traffic, All, "ICMP timestamp requests received (type 13).", ""},
		{"InTimestampReps", Counter, "messages", Traffic, All, "ICMP timestamp replies received (type 14).", ""},
		{"InAddrMasks", Counter, "messages", Traffic, All, "ICMP address mask requests received (type 17).", ""},
		{"InAddrMaskReps", Counter, "messages", Traffic, All, "ICMP address mask replies received (type 18).", ""},
		{"OutMsgs", Counter, "messages", Traffic, All, "ICMP messages that the kernel set out to send.", ""},
		{"OutErrors", Counter, "messages", Error, All, "ICMP messages not sent because of a fault in ICMP itself, such as want of memory.", "The kernel could not even send its error messages: look at memory."},
		{"OutRateLimitGlobal", Counter, "messages", Drop, All, "ICMP messages not sent because of the limit for all destinations together (icmp_msgs_per_sec).", "Something provokes a flood of ICMP errors: a port scan, or many packets to closed ports."},
		{"OutRateLimitHost", Counter, "messages", Drop, All, "ICMP messages not sent because of the limit for one destination (icmp_ratelimit).", "One peer provokes many ICMP errors: it keeps sending to something that is not there."},
		{"OutDestUnreachs", Counter, "messages", Error, All, "ICMP destination unreachable messages sent (type 3).", "Somebody sends to closed UDP ports of this pod, or through it to where it cannot forward."},
		{"OutTimeExcds", Counter, "messages", Error, All, "ICMP time exceeded messages sent (type 11).", "Packets run out of hops or of reassembly time here: a routing loop or lost fragments."},
		{"OutParmProbs", Counter, "messages", Error, All, "ICMP parameter problem messages sent (type 12).", "Packets with broken IP options arrive here."},
		{"OutSrcQuenchs", Counter, "messages", Traffic, All, "ICMP source quench messages sent (type 4); Linux no longer sends any.", ""},
		{"OutRedirects", Counter, "messages", Traffic, All, "ICMP redirect messages sent (type 5).", ""},
		{"OutEchos", Counter, "messages", Traffic, All, "ICMP echo requests sent (type 8).", ""},
		{"OutEchoReps", Counter, "messages", Traffic, All, "ICMP echo replies sent (type 0).", ""},
		{"OutTimestamps", Counter, "messages", Traffic, All, "ICMP timestamp requests sent (type 13).", ""},
		{"OutTimestampReps", Counter, "messages", Traffic, All, "ICMP timestamp replies sent (type 14).", ""},
		{"OutAddrMasks", Counter, "messages", Traffic, All, "ICMP address mask requests sent (type 17).", ""},
		{"OutAddrMaskReps", Counter, "messages", Traffic, All, "ICMP address mask replies sent (type 18).", ""},
	}),
	// The kernel prints a column for each type that was seen, and none for the others.
	group{"snmp", "IcmpMsg", "RFC 4293 icmpMsgStatsTable; IANA ICMP type numbers"}.metrics([]field{
		{"InType*", Counter, "messages", Traffic, All, "ICMP messages of type N received; absent until the first.", ""},
		{"OutType*", Counter, "messages", Traffic, All, "ICMP messages of type N sent; absent until the first.", ""},
	}),
)

// TCP over IPv4 and IPv6 together: the kernel keeps one set.
var tcpMetrics = group{"snmp", "Tcp", "RFC 4022; Documentation/networking/snmp_counter.rst"}.metrics([]field{
	{"RtoAlgorithm", Gauge, "", Info, All, "Algorithm for the retransmission timeout, always 1 (other) on Linux.", ""},
	{"RtoMin", Gauge, "milliseconds", Info, All, "Smallest retransmission timeout that the MIB admits to; a constant of the kernel.", ""},
	{"RtoMax", Gauge, "milliseconds", Info, All, "Largest retransmission timeout that the MIB admits to; a constant of the kernel.", ""},
	{"MaxConn", Gauge, "connections", Info, All, "Limit of TCP connections; -1 since Linux has none.", ""},
	{"ActiveOpens", Counter, "connections", Traffic, Default, "Connections begun from here: CLOSED to SYN-SENT.", ""},
	{"PassiveOpens", Counter, "connections", Traffic, Default, "Connections made by a peer: a listening socket got the last ACK of the handshake.", ""},
	{"AttemptFails", Counter, "connections", Error, Default, "Connections that ended before they were established: from SYN-SENT or SYN-RECEIVED to CLOSED.", "Connects are refused or time out: the peer's port is closed, or a policy drops the SYN."},
	{"EstabResets", Counter, "connections", Error, Default, "Connections that ended from ESTABLISHED or CLOSE-WAIT at once, by a reset or an abort.", "Established connections are cut off: a crash, a load balancer's idle timeout, or close with unread data."},
	{"CurrEstab", Gauge, "connections", Traffic, Default, "Connections that are now in ESTABLISHED or CLOSE-WAIT.", ""},
	{"InSegs", Counter, "segments", Traffic, Default, "TCP segments received, those in error included; segments merged by GRO count once.", ""},
	{"OutSegs", Counter, "segments", Traffic, Default, "TCP segments sent as they go onto the wire, resets and bare ACKs included, retransmissions not.", ""},
	{"RetransSegs", Counter, "segments", Error, Default, "TCP segments sent again because they were taken for lost.", "Segments get lost or come late; over 1 % of those sent hurts, over 5 % is an outage in the making."},
	{"InErrs", Counter, "segments", Error, Default, "TCP segments received in error: bad checksum, header, or length.", "Damaged segments arrive: suspect a NIC, its offloads, or a tunnel."},
	{"OutRsts", Counter, "segments", Error, Default, "TCP segments with the RST flag that the kernel set out to send.", "This pod refuses or cuts connections: a closed port, a crash, or close with unread data."},
	{"InCsumErrors", Counter, "segments", Error, All, "TCP segments received with a bad checksum.", "Segments are damaged on the way: suspect a NIC, its offloads, or a tunnel."},
})

var udpMetrics = slices.Concat(
	group{"snmp", "Udp", "RFC 4113; net/ipv4/udp.c"}.metrics([]field{
		{"InDatagrams", Counter, "datagrams", Traffic, Default, "UDP datagrams over IPv4 that a program has read; those still in a socket buffer are not counted yet.", ""},
		{"NoPorts", Counter, "datagrams", Error, Default, "UDP datagrams over IPv4 received for a port where no socket listens.", "Somebody sends UDP to a port nobody has open: a service that is down, or a stale address."},
		{"InErrors", Counter, "datagrams", Error, Default, "UDP datagrams over IPv4 that could not be delivered: full buffer, bad checksum, or a socket filter.", "Datagrams for this pod are lost inside it: see the receive buffer, memory and checksum counters for why."},
		{"OutDatagrams", Counter, "datagrams", Traffic, Default, "UDP datagrams over IPv4 sent.", ""},
		{"RcvbufErrors", Counter, "datagrams", Drop, Default, "UDP datagrams over IPv4 dropped because the receiving socket's buffer was full.", "The program reads too slowly or its SO_RCVBUF is too small: datagrams are thrown away."},
		{"SndbufErrors", Counter, "datagrams", Drop, Default, "UDP datagrams over IPv4 not sent for want of send buffer or because the device's queue was full.", "The program sends faster than the device takes it."},
		{"InCsumErrors", Counter, "datagrams", Error, All, "UDP datagrams over IPv4 received with a bad checksum.", "Datagrams are damaged on the way: suspect a NIC, its offloads, or a tunnel such as VXLAN."},
		{"IgnoredMulti", Counter, "datagrams", Traffic, All, "UDP multicast or broadcast datagrams over IPv4 that no socket here had asked for.", ""},
		{"MemErrors", Counter, "datagrams", Drop, Default, "UDP datagrams over IPv4 dropped because the memory limit of all UDP sockets of the machine was reached (udp_mem).", "The node's UDP memory is used up: some pod on it lets datagrams pile up."},
	}),
	// UDP-Lite left the kernel in Linux 7.1; older ones print the group, nearly always zero.
	group{"snmp", "UdpLite", "RFC 3828; net/ipv4/udplite.c"}.metrics([]field{
		{"InDatagrams", Counter, "datagrams", Traffic, All, "UDP-Lite datagrams over IPv4 that a program has read.", ""},
		{"NoPorts", Counter, "datagrams", Error, All, "UDP-Lite datagrams over IPv4 received for a port where no socket listens.", "Somebody sends UDP-Lite to a port nobody has open."},
		{"InErrors", Counter, "datagrams", Error, All, "UDP-Lite datagrams over IPv4 that could not be delivered.", "UDP-Lite datagrams for this pod are lost inside it."},
		{"OutDatagrams", Counter, "datagrams", Traffic, All, "UDP-Lite datagrams over IPv4 sent.", ""},
		{"RcvbufErrors", Counter, "datagrams", Drop, All, "UDP-Lite datagrams over IPv4 dropped because the receiving socket's buffer was full.", "The program reads UDP-Lite too slowly: datagrams are thrown away."},
		{"SndbufErrors", Counter, "datagrams", Drop, All, "UDP-Lite datagrams over IPv4 not sent for want of send buffer.", "The program sends UDP-Lite faster than the device takes it."},
		{"InCsumErrors", Counter, "datagrams", Error, All, "UDP-Lite datagrams over IPv4 received with a bad checksum over the part it covers.", "UDP-Lite datagrams are damaged on the way."},
		{"IgnoredMulti", Counter, "datagrams", Traffic, All, "UDP-Lite multicast datagrams over IPv4 that no socket here had asked for.", ""},
		{"MemErrors", Counter, "datagrams", Drop, All, "UDP-Lite datagrams over IPv4 dropped because the machine's memory limit for UDP sockets was reached.", "The node's UDP memory is used up."},
	}),
)
