package rules

import (
	"net"
	"net/netip"
	"strconv"
)

// listenProofs are about connections that come in.
func listenProofs() []proof {
	const port = 7001
	fill := func(w *world) error { // a queue of one holds two: the kernel asks whether there are more than it may have
		if err := w.inPod(func() error { return w.listen(port, 1) }); err != nil {
			return err
		}
		_, err := w.dial(net.JoinHostPort(podIP, strconv.Itoa(port)), 2)
		return err
	}
	// halfOpen begins n connections from hosts that never answer the pod's SYN-ACK.
	halfOpen := func(w *world, first, n int) error {
		return inject(w.far, n, func(i int) []byte { return syn(stranger(first+i), netip.MustParseAddr(farIP), 1024, port) })
	}
	// listener makes one behind the far device, with room for backlog connections.
	listener := func(w *world, cookies string, backlog int) error {
		if err := w.sysctl("ipv4/tcp_syncookies", cookies); err != nil {
			return err
		}
		if err := w.sysctl("ipv4/tcp_max_syn_backlog", "128"); err != nil {
			return err
		}
		if err := w.inPod(func() error { return w.listen(port, backlog) }); err != nil {
			return err
		}
		return w.tunnel("1500")
	}
	const half = "half-open connections from hosts that do not answer"
	return []proof{
		{
			rule: "listen-overflows", how: "a listener that never accepts, whose queue of one is full, gets 300 connections", says: "0.0.0.0:7001: 2 wait",
			prepare: fill,
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt ListenOverflows", 300, func() error { return times(300, func(int) error { return begin(podIP, port) }) })
			},
		},
		{rule: "accept-queue-full", how: "a listener that never accepts, and exactly as many connections as fill its queue", says: "0.0.0.0:7001: 2 wait", prepare: fill},
		{
			rule: "listen-drops", how: "more than three quarters of `tcp_max_syn_backlog` " + half + ", without SYN cookies, and 300 more",
			also: []string{"retransmits", "syn-retransmits"}, // the SYN-ACKs, when the test is slow
			prepare: func(w *world) error {
				if err := listener(w, "0", 4096); err != nil {
					return err
				}
				return halfOpen(w, 0, 128)
			},
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt ListenDrops", 300, func() error { return halfOpen(w, 128, 300) })
			},
		},
		{
			rule: "syn-queue-full", by: "-drop", how: "a listener's backlog full of " + half + ", and 300 more: without SYN cookies",
			also: []string{"retransmits", "syn-retransmits"},
			prepare: func(w *world) error {
				if err := listener(w, "0", 8); err != nil {
					return err
				}
				return halfOpen(w, 0, 20)
			},
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt TCPReqQFullDrop", 300, func() error { return halfOpen(w, 20, 300) })
			},
		},
		{
			rule: "syn-queue-full", by: "-cookies", how: "with them",
			also: []string{"retransmits", "syn-retransmits"},
			prepare: func(w *world) error {
				if err := listener(w, "1", 8); err != nil {
					return err
				}
				return halfOpen(w, 0, 20)
			},
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt TCPReqQFullDoCookies", 300, func() error { return halfOpen(w, 20, 300) })
			},
		},
		{
			rule: "close-wait", how: "40 connections, and then 110 more, whose client has closed and whose server has not",
			says: "in CLOSE-WAIT: from 40 to 150 in ",
			prepare: func(w *world) error {
				if err := w.inPod(func() error { return w.accept(":7002", func(*net.TCPConn) {}) }); err != nil {
					return err
				}
				return w.hangUp(40)
			},
			provoke: func(w *world) error { return w.hangUp(110) },
		},
	}
}
