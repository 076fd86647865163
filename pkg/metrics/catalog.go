package metrics

import (
	"fmt"
	"slices"
	"strings"
)

// Type is the Prometheus type of a metric family.
type Type uint8

const (
	Untyped   Type = iota // a kernel field that the catalog does not know: its semantics are not ours to guess
	Counter               // only grows; a fall means that the namespace was made anew
	Gauge                 // goes up and down
	Histogram             // how many of what is there now are up to each of a few bounds: goes up and down, too
)

// String returns the word of the TYPE line in the text exposition format.
func (t Type) String() string { return [...]string{"untyped", "counter", "gauge", "histogram"}[t] }

// Scope says how far a value reaches.
type Scope uint8

const (
	Pod  Scope = iota // counted per network namespace: every pod has its own
	Node              // the kernel has one for the whole machine, whatever namespace asks: on the host row only
)

func (s Scope) String() string { return [...]string{"pod", "node"}[s] }

// Signal says what a metric is a sign of.
type Signal uint8

const (
	Info       Signal = iota // identity, configuration, bookkeeping
	Traffic                  // work done
	Error                    // something went wrong
	Drop                     // something was thrown away
	Saturation               // a limit is near or was reached
)

func (s Signal) String() string {
	return [...]string{"info", "traffic", "error", "drop", "saturation"}[s]
}

// Set is a choice of metrics, as --metrics names it.
type Set uint8

const (
	All     Set = iota // everything the kernel counts
	Default            // what the views and findings need: under a hundred series a namespace
	Errors             // every error, drop and saturation signal
)

// ParseSet reads the value of --metrics.
func ParseSet(s string) (Set, error) {
	switch s {
	case "all":
		return All, nil
	case "default":
		return Default, nil
	case "errors":
		return Errors, nil
	}
	return All, fmt.Errorf("unknown metric set %q: use default, errors or all", s)
}

func (s Set) String() string { return [...]string{"all", "default", "errors"}[s] }

// Metric declares one metric family: the single home of everything that is said about it.
type Metric struct {
	Name    string    // in the exposition, e.g. cosanet_proc_net_netstat_TcpExt_ListenDrops
	Type    Type      //
	Unit    string    // what one of it is: packets, bytes, seconds, sockets, ...; empty for a pure flag
	Labels  []string  // label names beside the identity of the sandbox
	Buckets []float64 // of a histogram: the upper bounds of its buckets, ascending, without infinity
	Help    string    // one sentence in the kernel's sense: the HELP text
	Meaning string    // one sentence for the person on call; required of errors, drops and saturation
	Source  string    // where the kernel keeps it: "/proc/net/netstat TcpExt ListenDrops"
	Ref     string    // kernel source or document, RFC, KEP
	Scope   Scope     //
	Signal  Signal    //
	Default bool      // in the default set

	order     int     // place in the exposition; 0 for what the catalog does not know
	histogram *Metric // the family that these series are of, for the series of a histogram
	counts    bool    // the series of a histogram that count
}

// In tells whether the metric belongs to a set. What the collector says of itself and of identity is in every set.
func (m *Metric) In(s Set) bool {
	switch s {
	case Default:
		return m.Default || m.Signal == Info && m.Source == ""
	case Errors:
		return m.Signal >= Error || m.Signal == Info && m.Source == ""
	}
	return true
}

// Short is the metric's name as people type it: Tcp_RetransSegs, conntrack_curr.
func (m *Metric) Short() string {
	for _, prefix := range []string{"cosanet_proc_net_snmp6_", "cosanet_proc_net_snmp_", "cosanet_proc_net_netstat_", "cosanet_"} {
		if short, ok := strings.CutPrefix(m.Name, prefix); ok {
			return short
		}
	}
	return m.Name
}

// place is the metric's place in the exposition: what the catalog does not know comes last.
func (m *Metric) place() int {
	if m.order == 0 {
		return len(catalog)
	}
	return m.order - 1
}

// Family is the family that the series are of: of NAME_bucket, NAME_sum and NAME_count the histogram NAME, else m itself.
func (m *Metric) Family() *Metric {
	if m.histogram != nil {
		return m.histogram
	}
	return m
}

// Catalog returns every metric in exposition order. The slice is shared: do not change it.
func Catalog() []*Metric { return catalog }

// Lookup returns the declaration of a family, or of the series of a histogram, by its full name. A numbered ICMP message type (IcmpMsg_InType3,
// Icmp6_OutType133) is found by the entry that declares them all; ok is false for what the catalog does not know.
func Lookup(name string) (m *Metric, ok bool) {
	if m, ok = byName[name]; ok {
		return m, true
	}
	stem := strings.TrimRight(name, "0123456789")
	if stem == name {
		return nil, false
	}
	pattern, ok := byName[stem+"*"]
	if !ok {
		return nil, false
	}
	number := strings.TrimPrefix(name, stem)
	numbered := *pattern
	numbered.Name = name
	numbered.Help = strings.Replace(numbered.Help, "type N", "type "+number, 1)
	numbered.Source = strings.TrimSuffix(numbered.Source, "*") + number
	return &numbered, true
}

// Unknown declares a field that the catalog has no entry for, such as one of a newer kernel: emitted all the same.
func Unknown(name, source string) *Metric {
	return &Metric{Name: name, Type: Untyped, Source: source, Help: "Not in the catalog of this version; see the kernel's source for " + source + "."}
}

// group declares the fields of one protocol in one kernel file: what they share, once.
type group struct {
	file  string // snmp, snmp6, netstat: the file below /proc/net and the part of the metric's name
	proto string // Tcp, TcpExt, Ip6, ...
	ref   string
}

// field is one column of a kernel file. Order as in the kernel's enum, so that the two can be read side by side.
type field struct {
	name    string
	typ     Type
	unit    string
	signal  Signal
	set     Set // Default or All
	help    string
	meaning string
}

// metrics turns the fields of a group into declarations.
func (g group) metrics(fields []field) []*Metric {
	ms := make([]*Metric, len(fields))
	for i, f := range fields {
		ms[i] = &Metric{
			Name:    "cosanet_proc_net_" + g.file + "_" + g.proto + "_" + f.name,
			Type:    f.typ,
			Unit:    f.unit,
			Help:    f.help,
			Meaning: f.meaning,
			Source:  "/proc/net/" + g.file + " " + g.proto + " " + f.name,
			Ref:     g.ref,
			Signal:  f.signal,
			Default: f.set == Default,
		}
	}
	return ms
}

// catalog and byName are made once from the declarations and never change.
var (
	catalog = slices.Concat(
		ownMetrics,                                     // catalog_own.go: who is who comes first
		ipMetrics, icmpMetrics, tcpMetrics, udpMetrics, // catalog_snmp.go
		ip6Metrics, icmp6Metrics, udp6Metrics, // catalog_snmp6.go
		tcpExtMetrics,    // catalog_tcpext.go
		ipExtMetrics,     // catalog_ipext.go
		mptcpMetrics,     // catalog_mptcp.go
		socketMetrics,    // catalog_sockets.go
		conntrackMetrics, // catalog_conntrack.go
		deviceMetrics,    // catalog_dev.go
		tcpMetricsNow,    // catalog_tcp.go
		nodeMetrics,      // catalog_node.go
	)
	byName = index(catalog)
)

func index(ms []*Metric) map[string]*Metric {
	byName := make(map[string]*Metric, len(ms))
	for i, m := range ms {
		m.order = i + 1
		byName[m.Name] = m
		if m.Type == Histogram {
			for _, series := range m.series() {
				byName[series.Name] = series
			}
		}
	}
	return byName
}
