package metrics

// What the kernel knows of each TCP connection, by sock_diag: struct tcp_info of the established ones, and the local ports
// that connections of any state take. All of it is of connections that exist now: what a connection counted goes with it.
//
// Of more connections than the bound the kernel is asked for the tcp_info of those that it names first. It goes through its
// hash table, whose order has nothing to do with how a connection fares: that is a sample, of the share that
// cosanet_tcp_info_sampled_ratio says. Its sums are of the sample, not extrapolated.

const (
	tcpInfoRef    = "include/uapi/linux/tcp.h struct tcp_info; net/ipv4/tcp.c tcp_get_info; tcp(7)"
	tcpInfoSource = "sock_diag INET_DIAG_INFO "
	portsRef      = "ip_local_port_range in Documentation/networking/ip-sysctl.rst; net/ipv4/inet_hashtables.c __inet_hash_connect"
)

var (
	rttBuckets  = []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1}
	rateBuckets = []float64{1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10}
	tupleLabels = []string{"cosanet_port_source", "cosanet_port_destination", "cosanet_port_number"}
)

var tcpMetricsNow = []*Metric{
	{Name: "cosanet_tcp_rtt_seconds", Type: Histogram, Unit: "seconds", Signal: Traffic, Buckets: rttBuckets, Source: tcpInfoSource + "tcpi_rtt", Ref: tcpInfoRef,
		Help: "Smoothed round trip time of established connections as it is now; buckets fall when connections end, so take quantiles of it without rate()."},
	{Name: "cosanet_tcp_rtt_min_seconds", Type: Gauge, Unit: "seconds", Signal: Traffic, Source: tcpInfoSource + "tcpi_min_rtt", Ref: tcpInfoRef,
		Help: "Shortest round trip time that any established connection has seen lately (tcp_min_rtt_wlen)."},
	{Name: "cosanet_tcp_delivery_rate_bytes_per_second", Type: Histogram, Unit: "bytes", Signal: Traffic, Buckets: rateBuckets, Source: tcpInfoSource + "tcpi_delivery_rate", Ref: tcpInfoRef,
		Help: "Last measured delivery rate of established connections that had more to send than the network took; those that the program kept short are left out."},
	{Name: "cosanet_tcp_congestion_state", Type: Gauge, Unit: "connections", Signal: Traffic, Labels: []string{"cosanet_congestion"}, Source: tcpInfoSource + "tcpi_ca_state", Ref: tcpInfoRef,
		Help:    "Established connections by state of congestion control: open, disorder, cwr, recovery or loss.",
		Meaning: "Recovery and loss are connections that are sending again what was lost, at this moment."},
	{Name: "cosanet_tcp_unacked_segments", Type: Gauge, Unit: "segments", Signal: Traffic, Source: tcpInfoSource + "tcpi_unacked", Ref: tcpInfoRef,
		Help: "Segments that established connections have sent and that are not acknowledged yet."},
	{Name: "cosanet_tcp_sent_segments", Type: Gauge, Unit: "segments", Signal: Traffic, Source: tcpInfoSource + "tcpi_segs_out", Ref: tcpInfoRef,
		Help: "Segments that the connections established now have sent since they began, repetitions and bare acknowledgements included."},
	{Name: "cosanet_tcp_retransmitted_segments", Type: Gauge, Unit: "segments", Signal: Error, Source: tcpInfoSource + "tcpi_total_retrans", Ref: tcpInfoRef,
		Help:    "Segments that the connections established now have sent again since they began.",
		Meaning: "Its share of the segments sent is what long-lived connections lose, however quiet they are at the moment."},
	{Name: "cosanet_tcp_sent_bytes", Type: Gauge, Unit: "bytes", Signal: Traffic, Source: tcpInfoSource + "tcpi_bytes_sent", Ref: tcpInfoRef,
		Help: "Bytes of data that the connections established now have sent since they began, repetitions included (since Linux 4.19)."},
	{Name: "cosanet_tcp_retransmitted_bytes", Type: Gauge, Unit: "bytes", Signal: Error, Source: tcpInfoSource + "tcpi_bytes_retrans", Ref: tcpInfoRef,
		Help:    "Bytes of data that the connections established now have sent again since they began (since Linux 4.19).",
		Meaning: "As the segments sent again, by size: full segments lost weigh more than bare acknowledgements."},
	{Name: "cosanet_tcp_info_sampled_ratio", Type: Gauge, Signal: Info, Source: tcpInfoSource + "of those of all", Ref: tcpInfoRef,
		Help: "Share of the established connections that the cosanet_tcp_ series are of, 1 for all: above 16384 in a namespace it is a sample."},

	{Name: "cosanet_ports_used", Type: Gauge, Unit: "ports", Signal: Saturation, Source: "sock_diag IPPROTO_TCP", Ref: portsRef,
		Help:    "Local ports out of ip_local_port_range that TCP connections of any state, TIME_WAIT included, from one address to one address and port take: of all such ways the fullest.",
		Meaning: "At the limit no further connection to that destination can be made from there: connect fails with EADDRNOTAVAIL."},
	{Name: "cosanet_ports_limit", Type: Gauge, Unit: "ports", Signal: Info, Source: "/proc/sys/net/ipv4/ip_local_port_range, ip_local_reserved_ports", Ref: portsRef,
		Help: "Local ports that this namespace has for connections from one address to one address and port."},
	{Name: "cosanet_ports_tuple_used", Type: Gauge, Unit: "ports", Signal: Saturation, Labels: tupleLabels, Source: "sock_diag IPPROTO_TCP", Ref: portsRef,
		Help:    "Local ports taken by connections from one address to one address and port; of the three fullest that take a tenth of the limit.",
		Meaning: "Which destination it is whose ports run out: a client there makes a connection for each request."},
}
