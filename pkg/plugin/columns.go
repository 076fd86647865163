package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// column is a column of top: what it is called, how it is computed, and from where on it is worth a look.
type column struct {
	name    string            // header, and the word that --columns and --sort-by take; counters get "/s" when they are rates
	key     string            // in the JSON object
	formula                   // of the value
	bytes   bool              // shown as Ki, Mi, ...
	unit    string            // shown behind the number
	text    func(*row) string // a column of words in place of all that
	shown   shown             // in which tables
	mark    threshold         // of a rate in units a second, or of a percentage
	meaning string            // one line of help
}

// threshold is where a value begins to be worth a look and where it is bad. Zero means that there is none.
type threshold struct{ warn, bad float64 }

// shown says in which tables a column is.
type shown uint8

const (
	inDefault shown = iota
	inWide
	inSockets // with --sockets
	inTCP     // with --tcp
	inOwners  // with --conntrack-owners
)

const (
	snmp    = "cosanet_proc_net_snmp_"
	snmp6   = "cosanet_proc_net_snmp6_"
	netstat = "cosanet_proc_net_netstat_"
)

// builtin returns the columns that top knows by name. The thresholds are those that operators alert on: retransmits
// from kubernetes-mixin (PR 327) and PCP, listen and SYN queues, resets, UDP and softnet from netdata's health.d, the
// conntrack table from node-mixin (NodeHighNumberConntrackEntriesUsed).
func builtin() []column {
	return []column{
		{name: "NODE", text: func(r *row) string { return r.Node }, shown: inWide, meaning: "where the pod runs"},
		{name: "IP", text: func(r *row) string { return r.IP }, shown: inWide, meaning: "the pod's address"},
		{name: "CONTROLLER", text: (*row).controller, shown: inWide, meaning: "what made the pod, such as deployment/web"},

		{name: "IN", key: "in", formula: formula{sum: []string{netstat + "IpExt_InOctets", snmp6 + "Ip6_InOctets"}}, bytes: true,
			meaning: "bytes received, IPv4 and IPv6, IP headers included"},
		{name: "OUT", key: "out", formula: formula{sum: []string{netstat + "IpExt_OutOctets", snmp6 + "Ip6_OutOctets"}}, bytes: true,
			meaning: "bytes sent, IPv4 and IPv6, IP headers included"},
		{name: "EST", key: "established", formula: formula{sum: []string{snmp + "Tcp_CurrEstab"}},
			meaning: "TCP connections now, IPv4 and IPv6"},
		{name: "RETR%", key: "retransmitPercent", formula: formula{sum: []string{snmp + "Tcp_RetransSegs"}, over: []string{snmp + "Tcp_OutSegs"}, least: 10}, mark: threshold{1, 5},
			meaning: "TCP segments sent again, per hundred sent; - below 10 segments"},
		{name: "RTO", key: "timeouts", formula: formula{sum: []string{netstat + "TcpExt_TCPTimeouts"}},
			meaning: "TCP retransmission timeouts, each a stall of 200 ms or more"},
		{name: "LISTENDROP", key: "listenDrops", formula: formula{sum: []string{netstat + "TcpExt_ListenDrops"}}, mark: threshold{1, 5},
			meaning: "connections that a listening socket dropped, a full accept queue included"},
		{name: "RST", key: "resets", formula: formula{sum: []string{snmp + "Tcp_OutRsts"}}, mark: threshold{5, 50},
			meaning: "TCP resets sent: closed ports, crashes, hang-ups"},
		{name: "UDPDROP", key: "udpDrops", formula: formula{sum: []string{snmp + "Udp_RcvbufErrors", snmp + "Udp_SndbufErrors", snmp6 + "Udp6_RcvbufErrors", snmp6 + "Udp6_SndbufErrors"}}, mark: threshold{1, 10},
			meaning: "datagrams dropped at a full socket buffer (closed ports: UDPNOPORT)"},
		{name: "CT", key: "conntrack", formula: formula{sum: []string{"cosanet_conntrack_curr"}},
			meaning: "connections in the conntrack table; for a node also the share of its limit"},

		{name: "ACTIVE", key: "activeOpens", formula: formula{sum: []string{snmp + "Tcp_ActiveOpens"}}, shown: inWide,
			meaning: "TCP connections begun from here"},
		{name: "PASSIVE", key: "passiveOpens", formula: formula{sum: []string{snmp + "Tcp_PassiveOpens"}}, shown: inWide,
			meaning: "TCP connections accepted"},
		{name: "FAILS", key: "failedConnects", formula: formula{sum: []string{snmp + "Tcp_AttemptFails"}}, shown: inWide,
			meaning: "TCP connections that ended before they were established"},
		{name: "SYNRETR", key: "synRetransmits", formula: formula{sum: []string{netstat + "TcpExt_TCPSynRetrans"}}, shown: inWide,
			meaning: "SYNs and SYN-ACKs sent again: a peer that does not answer"},
		{name: "LISTENOVFL", key: "listenOverflows", formula: formula{sum: []string{netstat + "TcpExt_ListenOverflows"}}, shown: inWide, mark: threshold{1, 5},
			meaning: "connections refused at a full accept queue"},
		{name: "SYNQ", key: "synQueueFull", formula: formula{sum: []string{netstat + "TcpExt_TCPReqQFullDrop", netstat + "TcpExt_TCPReqQFullDoCookies"}}, shown: inWide, mark: threshold{1, 5},
			meaning: "times the SYN queue was full"},
		{name: "ABORT", key: "aborts", formula: formula{sum: []string{netstat + "TcpExt_TCPAbortOnTimeout", netstat + "TcpExt_TCPAbortOnMemory"}}, shown: inWide,
			meaning: "connections given up without an answer or for want of memory"},
		{name: "TW", key: "timeWait", formula: formula{sum: []string{"cosanet_sockstat_tcp_tw"}}, shown: inWide,
			meaning: "TCP sockets in TIME-WAIT"},
		{name: "UDPNOPORT", key: "udpNoPort", formula: formula{sum: []string{snmp + "Udp_NoPorts", snmp6 + "Udp6_NoPorts"}}, shown: inWide,
			meaning: "datagrams for a port that nobody has open"},
		{name: "CTERR", key: "conntrackErrors", formula: formula{sum: []string{"cosanet_conntrack_insert_failed_total", "cosanet_conntrack_drop_total", "cosanet_conntrack_early_drop_total"}}, shown: inWide, mark: threshold{1, 10},
			meaning: "entries that the conntrack table refused, dropped or threw out"},
		findingsColumn(),
		socketState("SYNSENT", "synSent", "SYN_SENT", "sockets that wait for a peer's answer"),
		socketState("SYNRECV", "synReceived", "SYN_RECV", "sockets in the middle of a peer's handshake"),
		socketState("CLOSEWAIT", "closeWait", "CLOSE_WAIT", "sockets that the peer closed and the program did not"),
		socketState("LISTEN", "listening", "LISTEN", "listening sockets"),

		{name: "RTT", key: "rttMilliseconds", formula: formula{sum: []string{"cosanet_tcp_rtt_seconds"}, quantile: 0.5, times: 1000}, unit: "ms", shown: inTCP,
			meaning: "round trip time of established connections, the median"},
		{name: "RTT99", key: "rtt99Milliseconds", formula: formula{sum: []string{"cosanet_tcp_rtt_seconds"}, quantile: 0.99, times: 1000}, unit: "ms", shown: inTCP,
			meaning: "the same that 99 of 100 connections are not above"},
		{name: "CONNRETR%", key: "connectionRetransmitPercent", formula: formula{sum: []string{"cosanet_tcp_retransmitted_segments"}, over: []string{"cosanet_tcp_sent_segments"}, least: 100}, shown: inTCP,
			meaning: "segments that the connections established now have sent again since they began, per hundred sent"},
		{name: "UNACKED", key: "unackedSegments", formula: formula{sum: []string{"cosanet_tcp_unacked_segments"}}, shown: inTCP,
			meaning: "segments sent and not yet acknowledged"},
		{name: "PORTS%", key: "portPercent", formula: formula{sum: []string{"cosanet_ports_used"}, over: []string{"cosanet_ports_limit"}}, shown: inTCP, mark: threshold{80, 95},
			meaning: "local ports that connections to one destination take, of those that there are; the fullest destination"},

		{name: "HOSTCT", key: "hostConntrack", formula: formula{sum: []string{ownedEntries}}, shown: inOwners,
			meaning: "entries of the node's conntrack table that are of the pod, to it or from it, and their share of its limit; --sort-by conntrack names who fills it"},
		{name: "HOSTCTOUT", key: "hostConntrackOut", formula: formula{sum: []string{ownedEntries}, values: []string{"out"}}, shown: inOwners,
			meaning: "those of connections that the pod began"},
		{name: "HOSTCTIN", key: "hostConntrackIn", formula: formula{sum: []string{ownedEntries}, values: []string{"in"}}, shown: inOwners,
			meaning: "those of connections that came to the pod"},
	}
}

func socketState(name, key, state, meaning string) column {
	return column{name: name, key: key, formula: formula{sum: []string{"cosanet_proc_net_tcp"}, values: []string{state}}, shown: inSockets, meaning: "TCP " + meaning}
}

// columnsOf are the columns of the default or the wide table, with those of --sockets, --tcp and --conntrack-owners.
func columnsOf(wide, sockets, tcp, owners bool) []column {
	shown := [...]bool{inDefault: true, inWide: wide, inSockets: sockets, inTCP: tcp, inOwners: owners}
	return slices.DeleteFunc(builtin(), func(c column) bool { return !shown[c.shown] })
}

// parseColumns reads --columns: names of columns, or metrics by their short or full name, of a labelled family with the
// label values that count: IN,RETR%,Tcp_RetransSegs,proc_net_tcp{CLOSE_WAIT,ipv4}.
func parseColumns(list string) ([]column, error) {
	var columns []column
	for _, name := range splitOutside(list) {
		c, err := parseColumn(name)
		if err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	if len(columns) == 0 {
		return nil, errors.New("it names no column")
	}
	return columns, nil
}

// splitOutside splits at commas that are not between braces.
func splitOutside(list string) []string {
	depth := 0
	return strings.FieldsFunc(list, func(r rune) bool {
		switch r {
		case '{':
			depth++
		case '}':
			depth--
		}
		return r == ',' && depth == 0
	})
}

func parseColumn(name string) (column, error) {
	name = strings.TrimSpace(name)
	for _, c := range builtin() {
		if c.called(name) {
			return c, nil
		}
	}
	family, values, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
	m, ok := lookup(family)
	if !ok {
		return column{}, unknownColumn(name, family)
	}
	c := column{name: m.Short(), key: m.Short(), formula: formula{sum: []string{m.Name}}, bytes: m.Unit == "bytes", meaning: m.Help}
	if m.Type == metrics.Histogram { // of which the one number is the median
		c.quantile, c.times = 0.5, 1
	}
	for value := range strings.SplitSeq(values, ",") {
		if value != "" {
			c.values = append(c.values, value)
		}
	}
	if len(c.values) > 0 {
		c.name += "{" + strings.Join(c.values, ",") + "}"
		c.key = c.name
	}
	return c, nil
}

// unknownColumn says which column or metric may have been meant.
func unknownColumn(name, family string) error {
	known, containing := columnNames(), []string(nil)
	for _, m := range metrics.Catalog() {
		known = append(known, m.Short())
		if len(family) > 3 && strings.Contains(strings.ToLower(m.Name), strings.ToLower(family)) {
			containing = append(containing, m.Short())
		}
	}
	near := nearest(family, known)
	if len(near) == 0 {
		near = containing[:min(len(containing), 3)]
	}
	if len(near) > 0 {
		return fmt.Errorf("unknown column %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown column %q: kubectl cosanet columns lists them; metrics such as Tcp_RetransSegs are taken, too", name)
}

// lookup finds a metric by its full or its short name.
func lookup(name string) (*metrics.Metric, bool) {
	for _, prefix := range []string{"", snmp, snmp6, netstat, "cosanet_"} {
		if m, ok := metrics.Lookup(prefix + name); ok {
			return m, true
		}
	}
	return nil, false
}

func columnNames() []string {
	var names []string
	for _, c := range builtin() {
		names = append(names, c.name)
	}
	return names
}

// called tells whether the column goes by a name, with or without its "/s", in any case.
func (c *column) called(name string) bool {
	return strings.EqualFold(c.name, strings.TrimSuffix(strings.ToUpper(name), "/S"))
}

// header is the column's head: a counter that is shown as a rate says so.
func (c *column) header(rates bool) string {
	if rates && c.counts() {
		return c.name + "/s"
	}
	return c.name
}

// counts tells whether the column adds up counters, so that it has a rate.
func (c *column) counts() bool {
	return c.text == nil && c.formula.counts()
}

// set is the set of metrics that has all that the columns need; sockets by state are asked for apart from it.
func set(columns []column, at metrics.Set) metrics.Set {
	for i := range columns {
		for _, name := range columns[i].families() {
			if m, ok := metrics.Lookup(name); ok && !m.In(at) && !isOf(name, "sockets") && optionalSource(name) == "" {
				return metrics.All
			}
		}
	}
	return at
}
