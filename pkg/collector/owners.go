//go:build linux

package collector

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Whose the entries of the node's connection tracking table are: the table is dumped as a stream, of which only counts by
// owner are held, whatever its size.

const (
	ctnetlinkGet  = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1 // IPCTNL_MSG_CT_GET
	nfGenMsgBytes = 4                                 // struct nfgenmsg

	// include/uapi/linux/netfilter/nfnetlink_conntrack.h
	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaProtoInfo = 1, 2, 3, 4
	ctaTupleIP, ctaTupleProto                            = 1, 2
	ctaProtoNum                                          = 1
	ctaIPv4Src, ctaIPv6Src                               = 1, 3
	ctaProtoInfoTCP, ctaProtoInfoTCPState                = 1, 1

	statusSeenReply, statusAssured = 1 << 1, 1 << 2 // IPS_SEEN_REPLY, IPS_ASSURED
)

// Protocols and states as the series name them. TCP has the states of its tracking (enum tcp_conntrack), all others what
// conntrack -L shows in brackets.
var (
	trackedProtocols = [...]string{"tcp", "udp", "icmp", "other"}
	trackedStates    = [...]string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2", "UNREPLIED", "REPLIED", "ASSURED"}
	directions       = [...]string{"out", "in"}
)

const (
	trackedEstablished                             = 3
	trackedUnreplied, trackedReplied, trackedSured = 10, 11, 12
	out, in                                        = 0, 1
)

// owned counts the entries of one owner.
type owned [len(trackedProtocols)][len(trackedStates)][len(directions)]uint32

// ownership counts the entries of a table by owner.
type ownership struct {
	of           map[netip.Addr]*owned // nil: the address is of several namespaces
	unattributed uint64
}

// claim makes a namespace the owner of its addresses.
func (o *ownership) claim(addresses []netip.Addr) *owned {
	mine := &owned{}
	for _, a := range addresses {
		if other, taken := o.of[a]; taken && other != mine {
			o.of[a] = nil
		} else {
			o.of[a] = mine
		}
	}
	return mine
}

// add counts an entry for who began the connection, the source of the original direction, and for whom it reached, the source
// of the replies: what NAT made of the addresses in between is undone by that. One that a pod has with itself is counted once.
func (o *ownership) add(entry []byte) error {
	attributes := entry[nfGenMsgBytes:]
	original, reply := attribute(attributes, ctaTupleOrig), attribute(attributes, ctaTupleReply)
	protocol, state := tracked(original, attributes)
	from, to := o.of[tupleSource(original)], o.of[tupleSource(reply)]
	if from != nil {
		from[protocol][state][out]++
	}
	if to != nil && to != from {
		to[protocol][state][in]++
	}
	if from == nil && to == nil {
		o.unattributed++
	}
	return nil
}

// tupleSource is the source address of a tuple; the zero Addr where it has none.
func tupleSource(tuple []byte) netip.Addr {
	ip := attribute(tuple, ctaTupleIP)
	a, ok := netip.AddrFromSlice(attribute(ip, ctaIPv4Src))
	if !ok {
		a, _ = netip.AddrFromSlice(attribute(ip, ctaIPv6Src))
	}
	return a
}

// tracked tells protocol and state of an entry, as indexes.
func tracked(original, attributes []byte) (protocol, state int) {
	number := attribute(attribute(original, ctaTupleProto), ctaProtoNum)
	if len(number) == 0 {
		number = []byte{0}
	}
	switch number[0] {
	case unix.IPPROTO_TCP:
		s := attribute(attribute(attribute(attributes, ctaProtoInfo), ctaProtoInfoTCP), ctaProtoInfoTCPState)
		if len(s) == 1 && s[0] < trackedUnreplied {
			return 0, int(s[0])
		}
		return 0, 0
	case unix.IPPROTO_UDP:
		protocol = 1
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6:
		protocol = 2
	default:
		protocol = 3
	}
	status := attribute(attributes, ctaStatus)
	switch {
	case len(status) != 4 || binary.BigEndian.Uint32(status)&statusSeenReply == 0:
		return protocol, trackedUnreplied
	case binary.BigEndian.Uint32(status)&statusAssured != 0:
		return protocol, trackedSured
	}
	return protocol, trackedReplied
}

// ownersSource is the name of the source.
const ownersSource = "conntrack_owners"

// attributeOwners tells each namespace of this walk which entries of the node's table are its own. Where the table could not
// be read, all are told that.
func (w *Walker) attributeOwners(ctx context.Context) {
	if !w.config.ConntrackOwners || len(w.hostRecord) == 0 {
		return
	}
	r := w.host
	o := &ownership{of: map[netip.Addr]*owned{}}
	ofHost := o.claim(w.hostOwn)
	ofTarget := map[*target]*owned{}
	for _, t := range w.targets {
		if t.samples != nil && t.addresses != nil {
			ofTarget[t] = o.claim(t.addresses)
		}
	}
	p, err := openProcess(1)
	limit := 0.0
	if err == nil {
		limit, err = r.readOwners(ctx, p, o)
		p.close()
	}
	if errors.Is(err, errAbsent) {
		return
	}
	tell := func(dst []metrics.Sample, mine *owned) []metrics.Sample {
		if err != nil || mine == nil {
			return r.success(dst, ownersSource, false)
		}
		dst = mine.append(dst)
		dst = appendNamed(dst, "cosanet_conntrack_owned_limit", limit)
		return r.success(dst, ownersSource, true)
	}
	host := &w.hostRecord[0]
	host.Samples = tell(host.Samples, ofHost)
	if err == nil {
		host.Samples = appendNamed(host.Samples, "cosanet_conntrack_owned_by_none_entries", float64(o.unattributed))
	}
	for _, t := range w.targets {
		if t.samples != nil && !t.Unsupported {
			t.samples = tell(t.samples, ofTarget[t])
		}
	}
}

// readOwners dumps the table of the namespace of a process, and reads its limit.
func (r *reader) readOwners(ctx context.Context, p process, o *ownership) (limit float64, err error) {
	if !p.has(conntrackMax) {
		return 0, errAbsent
	}
	numbers, err := r.readNumbers(conntrackMax, 1)
	if err != nil {
		return 0, err
	}
	var conn *netlink.Conn
	if err := p.dial(func(c *netlink.Config) (err error) {
		conn, err = netlink.Dial(unix.NETLINK_NETFILTER, c)
		return err
	}); err != nil {
		return 0, err
	}
	defer conn.Close()
	seen := 0
	return numbers[0], dumpMessages(conn, ctnetlinkGet, nfGenMsgBytes, make([]byte, nfGenMsgBytes), r.buf, func(entry []byte) error {
		if seen++; seen%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return o.add(entry)
	})
}

// append appends the counts that are not zero, and those of established TCP in any case, so that none is not unknown.
func (mine *owned) append(dst []metrics.Sample) []metrics.Sample {
	for protocol := range mine {
		for state := range mine[protocol] {
			for direction, n := range mine[protocol][state] {
				if n > 0 || protocol == 0 && state == trackedEstablished {
					dst = appendNamed(dst, "cosanet_conntrack_owned_entries", float64(n), metrics.Label{Name: "cosanet_protocol", Value: trackedProtocols[protocol]},
						metrics.Label{Name: "cosanet_state", Value: trackedStates[state]}, metrics.Label{Name: "cosanet_direction", Value: directions[direction]})
				}
			}
		}
	}
	return dst
}
