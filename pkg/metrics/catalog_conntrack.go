package metrics

// The connection tracking table of a namespace. The statistics are kept per CPU and summed here; ctnetlink and
// /proc/net/stat/nf_conntrack show the same numbers (32 bits wide, so that they may wrap).

const (
	ctnetlinkGlobal = "ctnetlink IPCTNL_MSG_CT_GET_STATS"
	ctnetlinkCPU    = "ctnetlink IPCTNL_MSG_CT_GET_STATS_CPU, /proc/net/stat/nf_conntrack "
	ownersRef       = "net/netfilter/nf_conntrack_netlink.c ctnetlink_dump_table; conntrack(8)"
	conntrackRef    = "net/netfilter/nf_conntrack_core.c; include/uapi/linux/netfilter/nfnetlink_conntrack.h"
)

var conntrackMetrics = []*Metric{
	{Name: "cosanet_conntrack_curr", Type: Gauge, Unit: "entries", Signal: Traffic, Default: true, Source: ctnetlinkGlobal + " CTA_STATS_GLOBAL_ENTRIES", Ref: conntrackRef,
		Help: "Connections that the tracking table of this namespace holds now."},
	{Name: "cosanet_conntrack_max", Type: Gauge, Unit: "entries", Signal: Info, Scope: Node, Default: true, Source: ctnetlinkGlobal + " CTA_STATS_GLOBAL_MAX_ENTRIES", Ref: conntrackRef,
		Help: "Limit of tracked connections (nf_conntrack_max), one for every namespace of the machine; only its first namespace can set it."},
	{Name: "cosanet_conntrack_found_total", Type: Counter, Unit: "packets", Signal: Traffic, Source: ctnetlinkCPU + "found", Ref: conntrackRef,
		Help: "Address pairs already taken that were met while NAT looked for a free one."},
	{Name: "cosanet_conntrack_invalid_total", Type: Counter, Unit: "packets", Signal: Error, Source: ctnetlinkCPU + "invalid", Ref: conntrackRef,
		Help:    "Packets that could not be tracked: they fit no connection, or their protocol's checks failed.",
		Meaning: "Stray packets, often the late rest of closed connections; kube-proxy and policies may drop them."},
	{Name: "cosanet_conntrack_insert_total", Type: Counter, Unit: "entries", Signal: Traffic, Source: ctnetlinkCPU + "insert", Ref: conntrackRef,
		Help: "Connections put into the table through ctnetlink by a program such as conntrackd, not by traffic."},
	{Name: "cosanet_conntrack_insert_failed_total", Type: Counter, Unit: "entries", Signal: Drop, Default: true, Source: ctnetlinkCPU + "insert_failed", Ref: conntrackRef,
		Help:    "Connections not put into the table because the same one was there already or its hash chain was too long; their packet is dropped.",
		Meaning: "Two packets raced for one entry: the classic cause of DNS lookups that take 5 s (A and AAAA from one socket)."},
	{Name: "cosanet_conntrack_drop_total", Type: Counter, Unit: "packets", Signal: Drop, Default: true, Source: ctnetlinkCPU + "drop", Ref: conntrackRef,
		Help:    "Packets dropped because their connection could not be tracked: table full, no memory, or a lost race for the entry.",
		Meaning: "New connections are thrown away: the table is full or races are lost; compare entries with the limit."},
	{Name: "cosanet_conntrack_early_drop_total", Type: Counter, Unit: "entries", Signal: Saturation, Default: true, Source: ctnetlinkCPU + "early_drop", Ref: conntrackRef,
		Help:    "Entries thrown out before their time to make room in a full table.",
		Meaning: "The table is full: connections that are not assured lose their entry, and with it their NAT."},
	{Name: "cosanet_conntrack_error_total", Type: Counter, Unit: "packets", Signal: Error, Default: true, Source: ctnetlinkCPU + "icmp_error", Ref: conntrackRef,
		Help:    "ICMP messages that could not be tracked: bad checksum, or about a connection that is not in the table.",
		Meaning: "Odd ICMP arrives; if large transfers hang too, path MTU messages may be among it."},
	{Name: "cosanet_conntrack_search_restart_total", Type: Counter, Unit: "events", Signal: Traffic, Source: ctnetlinkCPU + "search_restart", Ref: conntrackRef,
		Help: "Lookups begun again because the table was resized or the entry moved meanwhile."},
	{Name: "cosanet_conntrack_clash_resolve_total", Type: Counter, Unit: "entries", Signal: Traffic, Source: ctnetlinkCPU + "clashres", Ref: conntrackRef,
		Help: "Races for one entry that were resolved without dropping a packet."},
	{Name: "cosanet_conntrack_chain_toolong_total", Type: Counter, Unit: "entries", Signal: Drop, Source: ctnetlinkCPU + "chainlength", Ref: conntrackRef,
		Help:    "Connections not put into the table because its hash chain was too long.",
		Meaning: "The table's hash is too small for its load, or somebody provokes collisions: raise nf_conntrack_buckets."},

	// Of the table of the NODE's namespace, by whose addresses they are: with --collector.conntrack-owners.enabled alone, since
	// the whole table is dumped for it.
	{Name: "cosanet_conntrack_owned_entries", Type: Gauge, Unit: "entries", Signal: Traffic, Labels: []string{"cosanet_protocol", "cosanet_state", "cosanet_direction"}, Source: "ctnetlink IPCTNL_MSG_CT_GET of the node", Ref: ownersRef,
		Help: "Entries in the connection tracking table of the NODE that are of this namespace, by protocol, state and direction: out, the connection was begun from one of its addresses, or in, it reached one of them, whatever NAT made of it on the way."},
	{Name: "cosanet_conntrack_owned_limit", Type: Gauge, Unit: "entries", Signal: Info, Source: "/proc/sys/net/netfilter/nf_conntrack_max", Ref: ownersRef,
		Help: "Limit of the table of the node that those entries are in."},
	{Name: "cosanet_conntrack_owned_by_none_entries", Type: Gauge, Unit: "entries", Signal: Traffic, Scope: Node, Source: "ctnetlink IPCTNL_MSG_CT_GET of the node", Ref: ownersRef,
		Help: "Entries in the connection tracking table of the node that are of no namespace of this walk: connections that pass through, of pods that have ended, or of addresses that several namespaces have."},
}
