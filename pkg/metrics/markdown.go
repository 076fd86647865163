package metrics

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// section is one part of the reference: a kernel file, or whatever else the metrics of it have in common.
type section struct {
	title   string
	text    string
	metrics []*Metric
}

// Markdown writes docs/metrics.md, the reference of every metric in the catalog. It returns the error of w.
func Markdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, intro, len(catalog), count(Default), count(Errors))
	for _, s := range sections() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.title, s.text)
		ref := ""
		for _, m := range s.metrics {
			if m.Ref != ref {
				ref = m.Ref
				fmt.Fprintf(&b, "\nReference: %s\n\n", ref)
				b.WriteString("| name | type | unit | signal | scope | set | help | source |\n")
				b.WriteString("|---|---|---|---|---|---|---|---|\n")
			}
			b.WriteString(row(m))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func sections() []section {
	return []section{
		{"/proc/net/snmp: Ip", "IPv4.", ipMetrics},
		{"/proc/net/snmp: Icmp, IcmpMsg", "ICMP for IPv4. `*` stands for the number of a message type, from 0 to 255.", icmpMetrics},
		{"/proc/net/snmp: Tcp", "TCP over IPv4 and IPv6 together.", tcpMetrics},
		{"/proc/net/snmp: Udp, UdpLite", "UDP and UDP-Lite over IPv4.", udpMetrics},
		{"/proc/net/snmp6: Ip6", "IPv6. The file is missing where IPv6 is off.", ip6Metrics},
		{"/proc/net/snmp6: Icmp6", "ICMPv6. `*` stands for the number of a message type, from 0 to 255.", icmp6Metrics},
		{"/proc/net/snmp6: Udp6, UdpLite6", "UDP and UDP-Lite over IPv6.", udp6Metrics},
		{"/proc/net/netstat: TcpExt", "What Linux counts of TCP, IPv4 and IPv6 together, beside the standard MIB.", tcpExtMetrics},
		{"/proc/net/netstat: IpExt", "What Linux counts of IPv4 beside the standard MIB.", ipExtMetrics},
		{"/proc/net/netstat: MPTcpExt", "Multipath TCP; all zero unless a program asks for it.", mptcpMetrics},
		{"Sockets", "How many there are now: by state, and as /proc/net/sockstat sums them up.", socketMetrics},
		{"TCP connections and their ports", "What the kernel knows of each connection, summed up; by the sources `tcp` and `ports`, which `--metrics all` has and which need the namespace entered. A histogram is of the connections that there are now.", tcpMetricsNow},
		{"Limits of the machine, and its neighbours", "Only where the node is no container itself: the kernel shows them in its first namespace alone.", nodeMetrics},
		{"Connection tracking", "The table of the namespace; most entries of a node are in its host row, where Services are translated.", conntrackMetrics},
		{"Devices and receive queues", "/proc/net/dev of the namespace, and /proc/net/softnet_stat of the node.", deviceMetrics},
		{"The collector itself", "Identity, and how the walk went. In every set.", ownMetrics},
	}
}

func row(m *Metric) string {
	name := "`" + m.Name + "`"
	if len(m.Labels) > 0 {
		name += " {" + strings.Join(m.Labels, ", ") + "}"
	}
	help := m.Help
	if m.Meaning != "" {
		help += " *" + m.Meaning + "*"
	}
	cells := []string{name, m.Type.String(), m.Unit, m.Signal.String(), m.Scope.String(), sets(m), help, m.Source}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// sets names the smaller sets that a metric belongs to.
func sets(m *Metric) string {
	var names []string
	for _, s := range []Set{Default, Errors} {
		if m.In(s) {
			names = append(names, s.String())
		}
	}
	return strings.Join(names, ", ")
}

// count tells how many families a set has.
func count(s Set) (n int) {
	for _, m := range catalog {
		if m.In(s) {
			n++
		}
	}
	return n
}

const intro = `<!-- Generated from pkg/metrics by "go test ./pkg/metrics -run TestMarkdown -update". Do not edit. -->

# Metrics

Every metric that kubectl-cosanet knows, %d families, in the order in which they are printed. A field that a newer
kernel has and this list has not is printed all the same, untyped.

## Reading the tables

**Labels.** Each series names its sandbox: ` + "`cosanet_node`, `cosanet_namespace`, `cosanet_pod`, `cosanet_netnsname`" + ` and, where the pod has a
controller, ` + "`cosanet_pod_controller_kind` and `cosanet_pod_controller_name`" + `. The node's own network namespace is the row with
` + "`cosanet_namespace=\"HOST\"`" + `; pods with host networking share it. Further labels stand in braces after the name.

**Type.** A counter only grows; when it falls, the namespace was made anew (the pod's sandbox was restarted). A gauge goes up and down. A histogram
has the series ` + "`NAME_bucket`, `NAME_sum` and `NAME_count`" + `; what it counts is there now, so that it goes up and down too.
Names of kernel fields are the kernel's, without the suffix _total that Prometheus asks of counters: they are those of the original cosanet.

**Signal.** What a metric is a sign of: *traffic* is work done, *error* something that went wrong, *drop* something that was thrown away, *saturation* a
limit that is near or was reached, *info* identity and settings. After the help, in italics: what it means for the person on call.

**Scope.** *pod*: counted in each network namespace by itself. *node*: the kernel has one value for the whole machine and shows it in every
namespace; it is on the host row only.

**Set.** ` + "`--metrics`" + ` chooses: *default* has the %d families that the tables and findings need, *errors* the %d of every error, drop and saturation signal,
*all* has everything.

**Absent, zero and failed are three different things.** Zero is a series whose value is 0: the kernel counts it and nothing happened. Absent is no series:
this kernel does not have the field, or the set leaves it out. Failed is no series either, and ` + "`cosanet_read_success`" + ` of its source is 0: it could not
be read this time.
`
