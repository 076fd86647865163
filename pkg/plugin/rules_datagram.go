package plugin

// datagramRules are about UDP, ICMP and IP itself.
func datagramRules() []rule {
	return []rule{
		{
			id: "udp-receive-buffer-errors", title: "a UDP receiver is too slow",
			measure: formula{sum: []string{snmp + "Udp_RcvbufErrors", snmp6 + "Udp6_RcvbufErrors"}}, unit: "datagrams a second are thrown away at full receive buffers",
			levels: []level{{Warning, 1}, {Critical, 10}},
			source: "netdata, `health.d/udp_errors.conf` (average of a minute), for 10; 1 is this project's. The alert takes the average of five minutes, IPv4 and IPv6 each for themselves.",
			means:  "A program reads its UDP socket too slowly; what arrives at a full buffer is thrown away, and nobody sends it again. DNS servers and statsd know it well.",
			look:   "The CPU limit of the pod, bursts, the buffer that the program asks for (SO_RCVBUF) and `net.core.rmem_max` of the node, which cuts it; drops by socket in `ss -lnum` (the number after `d`).",
			next:   []string{topPod + "--interval 5s --columns UDPDROP,Udp_InDatagrams,Udp_RcvbufErrors,Udp6_RcvbufErrors", debugPod + "ss -lnum"},
		},
		{
			id: "udp-no-port", title: "datagrams come for a port that nobody has open",
			measure: formula{sum: []string{snmp + "Udp_NoPorts", snmp6 + "Udp6_NoPorts"}}, unit: "datagrams a second are for a closed port",
			levels: []level{{Warning, 10}},
			source: "this project's; none are published.",
			means:  "Somebody sends UDP to a port where no program listens: a client with an old address, a server that has not started, answers that come after their asker has gone.",
			look:   "Late answers of DNS come back to closed ports as well: then UDPDROP or the time that lookups take is the matter. Otherwise the sender, which `tcpdump` shows.",
			next:   []string{topPod + "--interval 5s --columns UDPNOPORT,Udp_InDatagrams,Udp_OutDatagrams", debugPod + "ss -lnu"},
			silent: "the pod that counts them does not feel it, and answers that come late make bursts of them every day",
		},
		{
			id: "checksum-errors", title: "packets arrive damaged",
			measure: formula{sum: []string{snmp + "Tcp_InCsumErrors", snmp + "Udp_InCsumErrors", snmp + "Icmp_InCsumErrors", snmp6 + "Udp6_InCsumErrors", snmp6 + "Icmp6_InCsumErrors", netstat + "IpExt_InCsumErrors"}}, unit: "packets a second have a wrong checksum",
			levels: []level{{Warning, 0}},
			source: "any: a healthy network has none.",
			means:  "Packets were changed on their way: broken hardware, a faulty offload of a virtual network card, or a tunnel that does not recompute checksums.",
			look:   "Whether all pods of a node see it (the node's card or its driver; `ethtool -K DEVICE tx off rx off` tells), or those that talk through one tunnel.",
			next:   []string{"kubectl cosanet top -A --node $NODE --interval 5s --columns Tcp_InCsumErrors,Udp_InCsumErrors,Icmp_InCsumErrors,IpExt_InCsumErrors"},
			silent: "the counters are not in the exporter's default set of metrics; where damage hurts, the segments are sent again and [CosanetRetransmits](#cosanetretransmits) tells",
		},
		{
			id: "fragments-fail", title: "fragmented packets cannot be put together",
			measure: formula{sum: []string{snmp + "Ip_ReasmFails", snmp6 + "Ip6_ReasmFails"}}, unit: "fragmented packets a second are given up",
			levels: []level{{Warning, 1}},
			source: "netdata, `health.d/ipv4.conf`, warns of any over a minute; 1 a second is this project's. The alert waits for ten minutes, IPv4 and IPv6 each for themselves.",
			means:  "Parts of fragmented packets get lost or come too late, and the rest is thrown away: large datagrams (DNS over UDP, tunnels) fail while small ones pass.",
			look:   "A firewall or NAT that drops fragments, the memory for them (`net.ipv4.ipfrag_high_thresh`), an MTU along the way that is smaller than the sender's.",
			next:   []string{topPod + "--interval 5s --columns Ip_ReasmFails,Ip_ReasmReqds,Ip_ReasmTimeout,Ip6_ReasmFails"},
		},
		{
			id: "mtu-mismatch", title: "packets are too big for their way",
			measure: formula{sum: []string{snmp + "Ip_FragFails", snmp6 + "Ip6_FragFails", snmp6 + "Icmp6_InPktTooBigs", netstat + "TcpExt_TCPMTUPFail"}}, unit: "packets a second are too big for their way",
			levels: []level{{Warning, 1}},
			source: "this project's: path MTU discovery takes one such packet a peer and ten minutes, not one a second. The alert waits for ten minutes and looks at Ip_FragFails and Ip6_FragFails, each for itself: what the exporter counts by default.",
			means:  "Packets are larger than a link on their way takes and may not be fragmented, again and again: the sender does not learn the right size, connections open and then hang as soon as much is sent.",
			look:   "The MTU of the pod's device against that of the node's and of the tunnel between nodes (VXLAN takes 50 bytes, WireGuard 60 to 80), and whether ICMP `fragmentation needed` comes through.",
			next:   []string{topPod + "--interval 5s --columns Ip_FragFails,Ip6_FragFails,Icmp6_InPktTooBigs,TcpExt_TCPMTUPFail", debugPod + "ip link"},
		},
		{
			id: "no-route", title: "there is no route for what is sent",
			measure: formula{sum: []string{snmp + "Ip_OutNoRoutes", snmp6 + "Ip6_OutNoRoutes"}}, unit: "packets a second have no route",
			levels: []level{{Warning, 1}},
			source: "this project's. A pod without IPv6 counts one for each try of a client that tries IPv6 first.",
			means:  "The pod sends to addresses to which its routing table has no way: mostly IPv6 in a pod that has none, since a name has an AAAA record.",
			look:   "Which IP version it is. For IPv6: whether the cluster has it, and what the resolver answers; clients should fall back at once, and some do not.",
			next:   []string{topPod + "--interval 5s --columns Ip_OutNoRoutes,Ip6_OutNoRoutes,FAILS", debugPod + "ip -6 route"},
			silent: "clients that try IPv6 first where there is none make one for each try, and come to no harm by it",
		},
	}
}
