package collector

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Config is what the command line asks for, parsed.
type Config struct {
	Version  string // of the collector, for cosanet_build_info
	Revision string

	Node      string // the cosanet_node label of every series
	CRISocket string // instead of the known sockets; empty: those

	Set             metrics.Set
	PodFilter       *regexp.Regexp // on namespace/name; nil: every pod
	Host            bool           // with the node's own row
	Conntrack       bool
	Snmp            bool           // /proc/net/snmp and snmp6
	SnmpInclude     *regexp.Regexp // on Proto_Counter, decides for snmp and snmp6 in place of Set; nil: Set does
	Netstat         bool
	NetstatInclude  *regexp.Regexp
	Sockstat        bool       // /proc/net/sockstat and sockstat6
	Netdev          bool       // /proc/net/dev
	Listen          bool       // the accept queues of listening sockets, by netlink
	TCPInfo         bool       // tcp_info of established connections, by netlink
	Ports           bool       // local ports that connections take, by netlink
	ConntrackOwners bool       // whose the entries of the node's conntrack table are: a dump of the table; with Host only
	Protocols       []Protocol // whose sockets are counted by state; each costs netlink or one more file

	Run      string // the asking side's id of this run, repeated in every trailer
	Encoding metrics.Encoding
	Samples  int           // frames
	Interval time.Duration // from the beginning of one walk to the beginning of the next
	Deadline time.Duration // for all of it; 0: Samples * Interval and a minute
}

// Protocol is a transport whose sockets are counted by state.
type Protocol uint8

const (
	TCP Protocol = iota
	UDP
	ICMP
	UDPLite
	Raw
)

// protocols are their names, in the order of the original exporter.
var protocols = [...]string{TCP: "tcp", UDP: "udp", ICMP: "icmp", UDPLite: "udplite", Raw: "raw"}

func (p Protocol) String() string { return protocols[p] }

// AllProtocols returns every Protocol.
func AllProtocols() []Protocol { return []Protocol{TCP, UDP, ICMP, UDPLite, Raw} }

// ParseProtocols reads a comma-separated list such as "tcp,udp".
func ParseProtocols(s string) ([]Protocol, error) {
	asked := map[string]bool{}
	for name := range strings.SplitSeq(s, ",") {
		asked[strings.TrimSpace(name)] = true
	}
	var ps []Protocol
	for _, p := range AllProtocols() {
		if asked[p.String()] {
			ps = append(ps, p)
			delete(asked, p.String())
		}
	}
	for name := range asked {
		return nil, fmt.Errorf("unknown socket protocol %q: use %s", name, strings.Join(protocols[:], ", "))
	}
	return ps, nil
}

// deadline is how long all samples may take.
func (c *Config) deadline() time.Duration {
	if c.Deadline > 0 {
		return c.Deadline
	}
	return time.Minute + time.Duration(c.Samples)*c.Interval
}
