package rules

import (
	"net"

	"golang.org/x/sys/unix"
)

// connectionProofs are about established connections, and those that a pod makes.
func connectionProofs() []proof {
	return []proof{
		{
			rule: "retransmits", how: "1 MB over a wire that loses every twentieth packet", also: []string{"tcp-timeouts"}, // the last of a train is missed by nobody
			prepare: func(w *world) error {
				if err := w.inPod(func() error { return ip("link set eth0 gso_max_segs 1\n") }); err != nil { // packets as large as on a real wire
					return err
				}
				return w.accept(":7000", echo)
			},
			provoke: func(w *world) error {
				made, err := w.dialFromPod(4)
				if err != nil {
					return err
				}
				if err := iptables("-A INPUT -i node0 -p tcp -m statistic --mode nth --every 20 --packet 0 -j DROP"); err != nil {
					return err
				}
				return times(25*len(made), func(i int) error { return ask(made[i%len(made)], 10_000) })
			},
		},
		{
			rule: "syn-retransmits", how: "20 connections to a host that does not answer, until each SYN was sent again",
			prepare: func(w *world) error { return w.tunnel("1500") },
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt TCPSynRetrans", 20, func() error {
					return w.inPod(func() error { return times(20, func(int) error { return begin("10.99.9.9", 7000) }) })
				})
			},
		},
		{
			rule: "tcp-timeouts", how: "20 busy connections whose peer falls silent", also: []string{"retransmits"}, // what ran into a timeout is sent again
			prepare: func(w *world) error { return w.accept(":7000", echo) },
			provoke: func(w *world) error {
				made, err := w.dialFromPod(20)
				if err != nil {
					return err
				}
				if err := times(20*len(made), func(i int) error { return ask(made[i%len(made)], 100) }); err != nil {
					return err
				}
				if err := iptables("-A INPUT -i node0 -p tcp -j DROP"); err != nil {
					return err
				}
				return w.until("netstat", "TcpExt TCPTimeouts", 20, func() error {
					return times(len(made), func(i int) error { _, err := made[i].Write([]byte("x")); return err })
				})
			},
		},
		{
			rule: "resets-sent", how: "3000 connections come to a port where nobody listens",
			provoke: func(w *world) error { return times(3000, func(int) error { return refused(podIP + ":7999") }) },
		},
		{
			rule: "resets-received", how: "1500 connections whose peer cuts them (SO_LINGER of zero)",
			prepare: func(w *world) error {
				return w.accept(":7000", func(c *net.TCPConn) {
					c.Read(make([]byte, 1)) // the client has it
					c.SetLinger(0)
					c.Close()
				})
			},
			provoke: func(w *world) error {
				return w.until("snmp", "Tcp EstabResets", 1500, func() error {
					return w.inPod(func() error {
						made, err := w.dial(nodeIP+":7000", 1500)
						if err != nil {
							return err
						}
						return times(len(made), func(i int) error { _, err := made[i].Write([]byte("x")); return err })
					})
				})
			},
		},
		{
			rule: "failed-connects", how: "3000 connections are made to a port where nobody listens",
			provoke: func(w *world) error {
				return w.inPod(func() error { return times(3000, func(int) error { return refused(nodeIP + ":7999") }) })
			},
		},
		{
			rule: "receive-queue-drops", how: "data for 20 sockets that nobody reads and whose receive buffer was made small",
			prepare: func(w *world) error {
				return w.inPod(func() error {
					return w.accept(":7003", func(c *net.TCPConn) {
						raw, err := c.SyscallConn()
						if err != nil {
							return
						}
						raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) })
						c.Write([]byte("x"))
					})
				})
			},
			provoke: func(w *world) error {
				made, err := w.dial(podIP+":7003", 20)
				if err != nil {
					return err
				}
				return w.until("netstat", "TcpExt TCPRcvQDrop", 20, func() error {
					return times(len(made), func(i int) error {
						if _, err := made[i].Read(make([]byte, 1)); err != nil { // the buffer is small now
							return err
						}
						return times(20, func(int) error { _, err := made[i].Write(make([]byte, 2000)); return err })
					})
				})
			},
		},
		{
			rule: "time-wait-overflow", how: "200 connections are closed by a client that may remember one (`tcp_max_tw_buckets`)",
			also: []string{"resets-sent"}, // what comes for a connection that was not remembered
			says: "in TIME-WAIT: ",
			prepare: func(w *world) error {
				if err := w.sysctl("ipv4/tcp_max_tw_buckets", "1"); err != nil {
					return err
				}
				return w.accept(":7000", echo)
			},
			provoke: func(w *world) error {
				return w.until("netstat", "TcpExt TCPTimeWaitOverflow", 100, func() error {
					return w.inPod(func() error {
						made, err := w.dial(nodeIP+":7000", 200)
						if err != nil {
							return err
						}
						return times(len(made), func(i int) error { return made[i].Close() })
					})
				})
			},
		},
		{
			rule: "ports-exhausted", how: "96 connections to one address and port, by a client with 100 local ports (`ip_local_port_range`)",
			says: "to " + nodeIP + ":7000: 96 of 100 ports",
			prepare: func(w *world) error {
				if err := w.sysctl("ipv4/ip_local_port_range", "20000 20099"); err != nil {
					return err
				}
				return w.accept(":7000", echo)
			},
			provoke: func(w *world) error { _, err := w.dialFromPod(96); return err },
		},
	}
}
