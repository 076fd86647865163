package rules

import (
	"errors"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// datagramProofs are about UDP, ICMP and IP itself.
func datagramProofs() []proof {
	own := netip.MustParseAddr(farIP)
	far := func(mtu string) func(w *world) error { return func(w *world) error { return w.tunnel(mtu) } }
	option := func(level, name, value int) func(fd int) error {
		return func(fd int) error { return unix.SetsockoptInt(fd, level, name, value) }
	}
	return []proof{
		{
			rule: "udp-receive-buffer-errors", how: "2000 datagrams, of IPv4 and of IPv6, for sockets that nobody reads",
			prepare: func(w *world) error {
				return w.inPod(func() error {
					for _, address := range []string{podIP + ":7004", "[" + podIP6 + "]:7004"} {
						l, err := net.ListenPacket("udp", address)
						if err != nil {
							return err
						}
						w.keep(l)
						if err := l.(*net.UDPConn).SetReadBuffer(4096); err != nil {
							return err
						}
					}
					return nil
				})
			},
			provoke: func(w *world) error {
				both := func() error {
					return errors.Join(send(podIP+":7004", 1000, 500), send("["+podIP6+"]:7004", 1000, 500))
				}
				return w.until("snmp", "Udp RcvbufErrors", 900, func() error { return w.until("snmp6", "Udp6RcvbufErrors", 900, both) })
			},
		},
		{
			rule: "udp-no-port", how: "3000 datagrams, of IPv4 and of IPv6, for a port that nobody has open",
			provoke: func(w *world) error {
				both := func() error {
					return errors.Join(send(podIP+":7999", 1500, 10), send("["+podIP6+"]:7999", 1500, 10))
				}
				return w.until("snmp", "Udp NoPorts", 1500, func() error { return w.until("snmp6", "Udp6NoPorts", 1500, both) })
			},
		},
		{
			rule: "checksum-errors", how: "50 segments of TCP and 50 datagrams of UDP of which a bit was changed on the way",
			prepare: far("1500"),
			provoke: func(w *world) error {
				damaged := func(p []byte) []byte {
					p[len(p)-1] ^= 1
					return p
				}
				return w.until("snmp", "Udp InCsumErrors", 50, func() error {
					return w.until("snmp", "Tcp InCsumErrors", 50, func() error {
						return errors.Join(
							inject(w.far, 50, func(i int) []byte { return damaged(datagram(stranger(i), own, 1024, 7000, "hello")) }),
							inject(w.far, 50, func(i int) []byte { return damaged(syn(stranger(i), own, 1024, 7000)) }))
					})
				})
			},
		},
		{
			rule: "fragments-fail", how: "300 packets of which the second half never comes, until they are given up (`ipfrag_time` of a second)",
			prepare: func(w *world) error {
				if err := w.sysctl("ipv4/ipfrag_time", "1"); err != nil {
					return err
				}
				return w.tunnel("1500")
			},
			provoke: func(w *world) error {
				const moreFragments = 0x2000
				return w.until("snmp", "Ip ReasmFails", 300, func() error {
					return inject(w.far, 300, func(i int) []byte {
						return packet(unix.IPPROTO_UDP, stranger(i), own, uint16(i), moreFragments, make([]byte, 64))
					})
				})
			},
		},
		{
			rule: "mtu-mismatch", by: "-router", how: "500 packets that may not be fragmented, for a link of 1280 bytes: refused by the router (IPv4)",
			prepare: func(w *world) error {
				if err := w.tunnel("1280"); err != nil {
					return err
				}
				if err := ip("route add 10.99.0.0/16 via " + podIP + "\n"); err != nil {
					return err
				}
				return w.sysctl("ipv4/ip_forward", "1")
			},
			provoke: func(w *world) error {
				return w.until("snmp", "Ip FragFails", 500, func() error {
					return send("10.99.9.9:7000", 500, 1400, option(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
				})
			},
		},
		{
			rule: "mtu-mismatch", by: "-sender", how: "told to the sender, who goes on (IPv6)",
			prepare: func(w *world) error {
				device, err := tun("narrow0", "1280")
				if err != nil {
					return err
				}
				w.keep(device)
				if err := os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0); err != nil {
					return err
				}
				return errors.Join(ip("addr add fd99::1/64 dev narrow0 nodad\n"), w.inPod(func() error { return ip("route add fd99::/64 via " + nodeIP6 + "\n") }))
			},
			provoke: func(w *world) error {
				return w.until("snmp6", "Icmp6InPktTooBigs", 500, func() error {
					return w.inPod(func() error {
						return send("[fd99::9]:7000", 500, 1400, option(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE))
					})
				})
			},
		},
		{
			rule: "no-route", how: "500 datagrams of IPv4 and 500 of IPv6 for networks to which the pod has no route",
			provoke: func(w *world) error {
				unreachable := func(address string) error {
					return times(500, func(int) error {
						if err := send(address, 1, 10); !errors.Is(err, unix.ENETUNREACH) {
							return errors.Join(errors.New("sent to a network without a route"), err)
						}
						return nil
					})
				}
				return w.inPod(func() error { return errors.Join(unreachable("192.0.2.1:53"), unreachable("[2001:db8::1]:53")) })
			},
		},
	}
}
