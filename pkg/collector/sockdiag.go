//go:build linux

package collector

import (
	"errors"
	"io/fs"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// socketFamily is one protocol's family of series, with the labels of every state prepared.
type socketFamily struct {
	protocol Protocol
	metric   *metrics.Metric
	labels   [2][len(socketStates)][]metrics.Label // ipv4, ipv6
}

var ipVersions = [2]struct {
	label, suffix string
	family        uint8
}{{"ipv4", "", unix.AF_INET}, {"ipv6", "6", unix.AF_INET6}}

// newSocketFamilies prepares the protocols asked for. They are asked for by name, so no set takes them away.
func newSocketFamilies(ps []Protocol) []socketFamily {
	var fs []socketFamily
	for _, p := range ps {
		f := socketFamily{protocol: p}
		f.metric, _ = metrics.Lookup("cosanet_proc_net_" + p.String())
		for v, version := range ipVersions {
			for state, name := range socketStates {
				f.labels[v][state] = []metrics.Label{{Name: "cosanet_state", Value: name}, {Name: "cosanet_ipversion", Value: version.label}}
			}
		}
		fs = append(fs, f)
	}
	return fs
}

// always tells which states are said even where no socket is in them, so that zero and unknown stay apart: those that a
// socket of the protocol can be in.
func (p Protocol) always(state int) bool {
	switch {
	case p == TCP:
		return state > 0
	default: // connected, or not
		return socketStates[state] == "ESTABLISHED" || socketStates[state] == "CLOSE"
	}
}

// readSockets counts the sockets of a namespace by state: TCP and UDP over sock_diag; the others, for which the kernel has
// no sock_diag (ICMP, UDP-Lite) or often none (raw), from their small tables. Where IPv6 fails, IPv4 is still said.
func (r *reader) readSockets(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	var diag *netlink.Conn
	diagErr := p.dial(func(c *netlink.Config) (err error) {
		diag, err = netlink.Dial(unix.NETLINK_SOCK_DIAG, c)
		return err
	})
	if diagErr == nil {
		defer diag.Close()
	}
	var failure error
	for i := range r.sockets {
		f := &r.sockets[i]
		for v, version := range ipVersions {
			var counts stateCounts
			var err error
			switch {
			case f.protocol != TCP && f.protocol != UDP:
				err = r.readSocketTable(p, f.protocol.String()+version.suffix, &counts)
			case diagErr != nil:
				err = diagErr
			default:
				err = dumpSockets(diag, f.protocol, version.family, &counts)
			}
			if errors.Is(err, fs.ErrNotExist) {
				continue // no such protocol in this kernel, or no IPv6
			}
			if err != nil {
				failure = err
				continue
			}
			dst = f.append(dst, v, &counts)
		}
	}
	return dst, failure
}

func (f *socketFamily) append(dst []metrics.Sample, version int, counts *stateCounts) []metrics.Sample {
	for state, n := range counts {
		if n > 0 || f.protocol.always(state) {
			dst = append(dst, metrics.Sample{Metric: f.metric, Labels: f.labels[version][state], Value: float64(n)})
		}
	}
	return dst
}

func (r *reader) readSocketTable(p process, name string, counts *stateCounts) error {
	file, _, err := p.read("net/"+name, r.buf)
	if err != nil {
		return err
	}
	return parseSocketTable(counts, file)
}

// Layout of sock_diag's messages (include/uapi/linux/sock_diag.h, inet_diag.h).
const (
	sockDiagByFamily  = 20
	inetDiagReqBytes  = 56 // struct inet_diag_req_v2
	inetDiagStateByte = 1  // of struct inet_diag_msg: family, state, ...
)

// dumpSockets counts the sockets of one protocol and family. The kernel hands out all states in one dump, TIME_WAIT and
// embryonic connections included.
func dumpSockets(conn *netlink.Conn, p Protocol, family uint8, counts *stateCounts) error {
	request := make([]byte, inetDiagReqBytes)
	request[0], request[1] = family, unix.IPPROTO_TCP
	if p == UDP {
		request[1] = unix.IPPROTO_UDP
	}
	for i := range 4 {
		request[4+i] = 0xff // idiag_states: all of them
	}
	_, err := conn.Send(netlink.Message{
		Header: netlink.Header{Type: sockDiagByFamily, Flags: netlink.Request | netlink.Dump},
		Data:   request,
	})
	if err != nil {
		return err
	}
	messages, err := conn.Receive()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if len(m.Data) <= inetDiagStateByte {
			return errMalformed
		}
		if err := counts.add(m.Data[inetDiagStateByte]); err != nil {
			return err
		}
	}
	return nil
}
