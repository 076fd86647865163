package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// mostEntries bounds the tables that are filled: each entry takes some 320 bytes of the kernel.
const mostEntries = 600_000

// conntrackProofs are about connection tracking: each network namespace counts its entries for itself, up to the one limit
// of the machine. It is the node's own that is filled here.
func conntrackProofs() []proof {
	const track = "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"
	prepare := func(w *world) (err error) {
		if err = iptables(track); err != nil {
			return err
		}
		if err = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", []byte("600"), 0); err != nil {
			return err
		}
		if w.far, err = tun("far0", "1500"); err != nil {
			return err
		}
		return w.swallow(7000)
	}
	// flows has n datagrams arrive, each of a flow of its own that nobody answers.
	flows := func(w *world, first, n int) error {
		own := netip.MustParseAddr(farIP)
		return inject(w.far, n, func(i int) []byte {
			i += first
			return datagram(stranger(i>>8), own, uint16(1024+i&0xff), 7000, "x")
		})
	}
	return []proof{
		{
			rule: "conntrack-full", node: true, how: "a table of which 92 in 100 entries are taken by datagrams that nobody answers",
			also:    []string{"conntrack-owner"}, // they came to the node itself
			says:    "entries: from ",
			prepare: prepare,
			provoke: func(w *world) error {
				limit, err := tableLimit()
				if err != nil {
					return err
				}
				return flows(w, 0, limit/100*92)
			},
		},
		{
			rule: "conntrack-owner", how: "60 in 100 entries of the node's table are of the pod's connections",
			prepare: func(w *world) error {
				limit, err := tableLimit()
				if err != nil {
					return err
				}
				pod := netip.MustParseAddr(podIP)
				return addEstablished(limit/100*60, func(i int) (from, to netip.Addr) { return pod, netip.AddrFrom4([4]byte{198, 51, 100, byte(i >> 16)}) })
			},
		},
		{
			rule: "conntrack-early-drops", node: true, how: "3000 more of them than the table has room for", also: []string{"conntrack-full", "conntrack-owner"},
			prepare: prepare,
			provoke: func(w *world) error {
				limit, err := tableLimit()
				if err != nil {
					return err
				}
				return flows(w, 0, limit+3000)
			},
		},
		{
			rule: "conntrack-drops", node: true, how: "3000 new flows, while the table is full of established connections, which are not thrown out", also: []string{"conntrack-full"},
			prepare: func(w *world) error { return errors.Join(prepare(w), fillEstablished()) },
			provoke: func(w *world) error { return flows(w, 0, 3000) },
		},
		{
			rule: "conntrack-insert-failed", how: "100 packets of one flow, before the first of them has its entry (ICMP; of UDP this kernel makes up for the race, without loss)",
			prepare: func(w *world) error {
				return w.inPod(func() error {
					return iptables("-t mangle -A OUTPUT -p icmp -m conntrack --ctstate NEW -j NFQUEUE --queue-num 1")
				})
			},
			provoke: func(w *world) error {
				return w.inPod(func() error {
					// The race, made slow: all of them are held before they get their entry, and let go one by one.
					queue, err := holdPackets(1)
					if err != nil {
						return err
					}
					defer queue.Close()
					const n = 100
					if err := ping(nodeIP, n); err != nil {
						return err
					}
					return letGo(queue, 1, n)
				})
			},
		},
	}
}

// tableLimit is how many entries a table may have.
func tableLimit() (int, error) {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_max")
	if err != nil {
		return 0, err
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil && limit > mostEntries {
		err = fmt.Errorf("net.netfilter.nf_conntrack_max is %d: filling that would take the memory of others; set it to %d or less", limit, mostEntries)
	}
	return limit, err
}

// fillEstablished fills the table of this process's namespace.
func fillEstablished() error {
	limit, err := tableLimit()
	if err != nil {
		return err
	}
	to := netip.MustParseAddr("198.51.100.1")
	if err := addEstablished(limit, func(i int) (_, _ netip.Addr) { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i >> 16)}), to }); err != nil {
		return err
	}
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(count))); err != nil || n < limit {
		return fmt.Errorf("the table has %d entries, want %d (%v)", n, limit, err)
	}
	return nil
}

// addEstablished adds n entries, each of a flow between the addresses of its number, whose low 16 bits are the port.
// The last ones may find the table full.
func addEstablished(n int, between func(i int) (from, to netip.Addr)) error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	for next := 0; next < n; {
		var batch []netlink.Message
		for range 200 {
			from, to := between(next)
			entry, err := established(from, to, uint16(next))
			if err != nil {
				return err
			}
			batch = append(batch, entry)
			next++
		}
		batch[len(batch)-1].Header.Flags |= netlink.Acknowledge
		if _, err := c.SendMessages(batch); err != nil {
			return err
		}
		if _, err := c.Receive(); err != nil {
			if next < n {
				return fmt.Errorf("entry %d: %w", next, err)
			}
			break
		}
	}
	return nil
}

// Of include/uapi/linux/netfilter/nfnetlink_conntrack.h: CTA_.
const (
	newEntry = 0 // IPCTNL_MSG_CT_NEW

	tupleOriginal, tupleReply, entryStatus, entryTimeout = 1, 2, 3, 7

	tupleIP, tupleProtocol                           = 1, 2
	ipSource, ipDestination                          = 1, 2
	protocolNumber, protocolSourcePort, protocolPort = 1, 2, 3
)

// established is the order to make an entry of a flow that was answered, for ten minutes.
func established(from, to netip.Addr, port uint16) (m netlink.Message, err error) {
	tuple := func(from, to netip.Addr, fromPort, toPort uint16) func(e *netlink.AttributeEncoder) error {
		return func(e *netlink.AttributeEncoder) error {
			e.Nested(tupleIP, func(e *netlink.AttributeEncoder) error {
				e.Bytes(ipSource, from.AsSlice())
				e.Bytes(ipDestination, to.AsSlice())
				return nil
			})
			e.Nested(tupleProtocol, func(e *netlink.AttributeEncoder) error {
				e.Uint8(protocolNumber, unix.IPPROTO_UDP)
				e.Uint16(protocolSourcePort, fromPort)
				e.Uint16(protocolPort, toPort)
				return nil
			})
			return nil
		}
	}
	const seenReply, assured, confirmed = 1 << 1, 1 << 2, 1 << 3 // IPS_ of nf_conntrack_common.h
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	e.Nested(tupleOriginal, tuple(from, to, port, 53))
	e.Nested(tupleReply, tuple(to, from, 53, port))
	e.Uint32(entryStatus, seenReply|assured|confirmed)
	e.Uint32(entryTimeout, 600)
	attributes, err := e.Encode()
	m.Header = netlink.Header{Type: unix.NFNL_SUBSYS_CTNETLINK<<8 | newEntry, Flags: netlink.Request | netlink.Create | netlink.Excl}
	m.Data = append([]byte{unix.AF_INET, 0, 0, 0}, attributes...)
	return m, err
}

// Of include/uapi/linux/netfilter/nfnetlink_queue.h.
const (
	queuePacket  = unix.NFNL_SUBSYS_QUEUE << 8
	queueVerdict = unix.NFNL_SUBSYS_QUEUE<<8 | 1
	queueConfig  = unix.NFNL_SUBSYS_QUEUE<<8 | 2
	cfgCommand   = 1 // attributes of a configuration, a packet and a verdict
	packetHeader = 1
	verdictIs    = 2
	cfgParams    = 2
	commandBind  = 1
	copyMeta     = 1
	verdictPass  = 1 // NF_ACCEPT
)

// holdPackets takes what the rules of the calling thread's namespace give to a queue.
func holdPackets(queue uint16) (*netlink.Conn, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return nil, err
	}
	bind, err := netlink.MarshalAttributes([]netlink.Attribute{
		{Type: cfgCommand, Data: []byte{commandBind, 0, 0, unix.AF_INET}},
		{Type: cfgParams, Data: []byte{0, 0, 0, 0, copyMeta}}, // by default the kernel hands out nothing at all
	})
	if err != nil {
		return nil, err
	}
	_, err = c.Execute(netlink.Message{
		Header: netlink.Header{Type: queueConfig, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(forQueue(queue), bind...),
	})
	if err != nil {
		return nil, fmt.Errorf("binding to queue %d: %w", queue, err)
	}
	return c, nil
}

// letGo waits for n packets, and lets each go on as it came.
func letGo(c *netlink.Conn, queue uint16, n int) error {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var ids [][]byte
	for len(ids) < n {
		messages, err := c.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			attributes, err := netlink.UnmarshalAttributes(m.Data[4:])
			if err != nil {
				return err
			}
			for _, a := range attributes {
				if a.Type&^netlink.Nested == packetHeader && m.Header.Type == queuePacket {
					ids = append(ids, a.Data[:4])
				}
			}
		}
	}
	for _, id := range ids {
		pass, err := netlink.MarshalAttributes([]netlink.Attribute{{Type: verdictIs, Data: append(binary.BigEndian.AppendUint32(nil, verdictPass), id...)}})
		if err != nil {
			return err
		}
		m := netlink.Message{Header: netlink.Header{Type: queueVerdict, Flags: netlink.Request | netlink.Acknowledge}, Data: append(forQueue(queue), pass...)}
		if _, err := c.Execute(m); err != nil {
			return fmt.Errorf("letting a packet go: %w", err)
		}
	}
	return nil
}

// forQueue is the nfgenmsg of a queue.
func forQueue(queue uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{unix.AF_UNSPEC, 0}, queue)
}
