package metrics

// The IpExt line of /proc/net/netstat, in the order of net/ipv4/proc.c: what Linux counts of IPv4 beside MIB-II.
// Octets are of the IP layer: header and payload, without Ethernet.

var ipExtMetrics = group{"netstat", "IpExt", "RFC 4293; Documentation/networking/snmp_counter.rst"}.metrics([]field{
	{"InNoRoutes", Counter, "packets", Error, All, "IPv4 packets received that were to be forwarded and had no route.", "Packets come through here for addresses that this namespace cannot reach."},
	{"InTruncatedPkts", Counter, "packets", Error, All, "IPv4 packets received that were shorter than their header says.", "Packets are cut off on the way: suspect an MTU mismatch in a tunnel, or a NIC."},
	{"InMcastPkts", Counter, "packets", Traffic, All, "IPv4 multicast packets received.", ""},
	{"OutMcastPkts", Counter, "packets", Traffic, All, "IPv4 multicast packets sent.", ""},
	{"InBcastPkts", Counter, "packets", Traffic, All, "IPv4 broadcast packets received.", ""},
	{"OutBcastPkts", Counter, "packets", Traffic, All, "IPv4 broadcast packets sent.", ""},
	{"InOctets", Counter, "bytes", Traffic, Default, "Bytes of IPv4 packets received, IP headers included.", ""},
	{"OutOctets", Counter, "bytes", Traffic, Default, "Bytes of IPv4 packets sent, IP headers included.", ""},
	{"InMcastOctets", Counter, "bytes", Traffic, All, "Bytes of IPv4 multicast packets received.", ""},
	{"OutMcastOctets", Counter, "bytes", Traffic, All, "Bytes of IPv4 multicast packets sent.", ""},
	{"InBcastOctets", Counter, "bytes", Traffic, All, "Bytes of IPv4 broadcast packets received.", ""},
	{"OutBcastOctets", Counter, "bytes", Traffic, All, "Bytes of IPv4 broadcast packets sent.", ""},
	{"InCsumErrors", Counter, "packets", Error, All, "IPv4 packets received whose header checksum is wrong.", "Packets are damaged on the way: suspect a NIC, its offloads, or a tunnel."},
	{"InNoECTPkts", Counter, "packets", Traffic, All, "IPv4 packets received without ECN support (Not-ECT), counted as on the wire, before GRO merged them.", ""},
	{"InECT1Pkts", Counter, "packets", Traffic, All, "IPv4 packets received with ECN codepoint ECT(1), counted as on the wire.", ""},
	{"InECT0Pkts", Counter, "packets", Traffic, All, "IPv4 packets received with ECN codepoint ECT(0), counted as on the wire.", ""},
	{"InCEPkts", Counter, "packets", Saturation, All, "IPv4 packets received that a router marked with Congestion Experienced, counted as on the wire.", "A queue on the way is filling up: senders are being told to slow down."},
	{"ReasmOverlaps", Counter, "events", Error, All, "IPv4 reassembly queues thrown away because fragments overlapped.", "Overlapping fragments are an attack or a broken middlebox."},
})
