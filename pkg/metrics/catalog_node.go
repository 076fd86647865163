package metrics

// What the kernel has once for the machine and shows in its first namespace alone: limits of TCP, and the tables of
// neighbours, which all namespaces share (arp_tbl and nd_tbl are not of a namespace; their entries are). A node that is itself
// a container has none of it to show.

const (
	limitsRef    = "Documentation/networking/ip-sysctl.rst; net/ipv4/sysctl_net_ipv4.c ipv4_table"
	neighbourRef = "net/core/neighbour.c neigh_stat_seq_show, neigh_alloc; gc_thresh3 in Documentation/networking/ip-sysctl.rst"
)

var nodeMetrics = []*Metric{
	{Name: "cosanet_limits_tcp_memory_pressure_pages", Type: Gauge, Unit: "pages", Signal: Info, Scope: Node, Default: true, Source: "/proc/sys/net/ipv4/tcp_mem second number", Ref: limitsRef,
		Help: "Memory of all TCP sockets of the machine above which the kernel makes their buffers smaller."},
	{Name: "cosanet_limits_tcp_memory_high_pages", Type: Gauge, Unit: "pages", Signal: Info, Scope: Node, Default: true, Source: "/proc/sys/net/ipv4/tcp_mem third number", Ref: limitsRef,
		Help: "Memory of all TCP sockets of the machine above which they get none and connections are cut."},
	{Name: "cosanet_limits_tcp_orphans", Type: Gauge, Unit: "sockets", Signal: Info, Scope: Node, Default: true, Source: "/proc/sys/net/ipv4/tcp_max_orphans", Ref: limitsRef,
		Help: "TCP sockets that may be without a program on the machine; further ones are reset at once."},
	{Name: "cosanet_neighbour_entries", Type: Gauge, Unit: "entries", Signal: Saturation, Scope: Node, Default: true, Labels: versionLabels, Source: "/proc/net/stat/arp_cache, ndisc_cache entries", Ref: neighbourRef,
		Help:    "Neighbours (address and MAC) that the machine knows, in all its namespaces together, permanent ones included, which the limit does not count.",
		Meaning: "Near its limit, packets to addresses that are not in the table yet are dropped, in every pod of the node."},
	{Name: "cosanet_neighbour_limit", Type: Gauge, Unit: "entries", Signal: Info, Scope: Node, Default: true, Labels: versionLabels, Source: "/proc/sys/net/ipv4/neigh/default/gc_thresh3, that of ipv6", Ref: neighbourRef,
		Help: "Neighbours that the table may hold; the kernel throws out what it can before it refuses another."},
	{Name: "cosanet_neighbour_table_full_total", Type: Counter, Unit: "entries", Signal: Drop, Scope: Node, Default: true, Labels: versionLabels, Source: "/proc/net/stat/arp_cache, ndisc_cache table_fulls", Ref: neighbourRef,
		Help:    "Neighbours that found no room in the table, so that the packet for them was dropped.",
		Meaning: "The neighbour table is full: new connections within the node's networks fail; raise gc_thresh3."},
}
