package rules

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scarceProofs are about what is scarce on a machine as a whole. The kernel shows it in its first namespace alone, and
// everything that runs there would feel it: so each of these causes has a machine of its own.
func scarceProofs() []proof {
	return []proof{
		{
			rule: "tcp-memory-pressure", machine: true, also: []string{"resets-sent", "resets-received"}, // what is closed unread is reset
			how:     "for a moment, programs do not read what takes a tenth more memory than the pressure mark of `net.ipv4.tcp_mem`, on a virtual machine where that is 8 MiB",
			prepare: scarceMemory,
			provoke: func(w *world) error { return errors.Join(w.fill(pressurePages*11/10), w.release()) },
		},
		{
			rule: "tcp-memory-pressure", by: "-orphans", machine: true, also: []string{"orphaned-sockets", "retransmits", "tcp-timeouts", "resets-sent", "resets-received"},
			how:     "connections are closed whose peers do not read, until the kernel cuts one since more than 100 sockets are without a program (`net.ipv4.tcp_max_orphans`)",
			prepare: scarceOrphans, provoke: func(w *world) error { return w.orphanUntilCut() },
		},
		{
			rule: "tcp-memory-high", machine: true, also: []string{"tcp-memory-pressure"}, // the mark is passed once, and then it is high
			how:     "the same as of `tcp-memory-pressure`, and they never read it",
			prepare: scarceMemory,
			provoke: func(w *world) error { return w.fill(pressurePages * 11 / 10) },
		},
		{
			rule: "orphaned-sockets", machine: true, also: []string{"retransmits", "tcp-timeouts"}, // what a peer has no room for is sent again
			how:     "40 connections are closed whose peers do not read, on a virtual machine where 100 sockets may be without a program",
			prepare: scarceOrphans, provoke: func(w *world) error { return times(40, w.orphan) },
		},
		{
			rule: "neighbour-overflow", machine: true,
			how:     "datagrams for 300 addresses of a network in which nobody answers, from a virtual machine that may have 100 neighbours (`gc_thresh3`)",
			prepare: scarceNeighbours, provoke: seek(300),
		},
		{
			rule: "neighbours-many", machine: true,
			how:     "the same for 95 addresses",
			prepare: scarceNeighbours, provoke: seek(95),
		},
	}
}

// pressurePages is the pressure mark of scarceMemory, well above the megabyte a CPU of which the kernel learns late.
const pressurePages = 2048

// deaf is where nobody reads.
const deaf = "127.0.0.1:7001"

func (w *world) deafen() error { return w.accept(deaf, func(*net.TCPConn) {}) }

func scarceMemory(w *world) error {
	return errors.Join(w.sysctl("ipv4/tcp_mem", fmt.Sprint(pressurePages/2, pressurePages, 16*pressurePages)), w.deafen())
}

// fill sends what nobody reads until TCP has taken so many pages.
func (w *world) fill(pages int) error {
	for range 1000 {
		made, err := w.dial(deaf, 1)
		if err != nil {
			return err
		}
		if err := stuff(made[0]); err != nil {
			return err
		}
		if taken, err := tcpPages(); err != nil || taken >= pages {
			return err
		}
	}
	return errors.New("a thousand connections that nobody reads are not enough")
}

// stuff sends until nothing more is taken.
func stuff(c net.Conn) error {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var full error
	err = raw.Control(func(fd uintptr) {
		for full == nil {
			_, full = unix.Write(int(fd), make([]byte, 10_000))
		}
	})
	if err == nil && !errors.Is(full, unix.EAGAIN) {
		err = full
	}
	return err
}

// release closes all connections, and waits until their memory is free.
func (w *world) release() error {
	w.mu.Lock()
	for _, v := range w.kept {
		if c, ok := v.(*net.TCPConn); ok {
			c.Close()
		}
	}
	w.mu.Unlock()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		taken, err := tcpPages()
		if err != nil || taken < pressurePages/2 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("TCP still has %d pages", taken)
		}
	}
}

// tcpPages is the memory of all TCP sockets: "TCP: inuse 4 orphan 0 tw 0 alloc 4 mem 1".
func tcpPages() (int, error) {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "\nTCP: ")
	tcp, _, _ := strings.Cut(after, "\n")
	_, pages, _ := strings.Cut(tcp, " mem ")
	return strconv.Atoi(pages)
}

// scarceOrphans leaves room for few, and makes buffers so small that their memory is not missed.
func scarceOrphans(w *world) error {
	return errors.Join(w.sysctl("ipv4/tcp_max_orphans", "100"),
		w.sysctl("ipv4/tcp_rmem", "4096 32768 32768"), w.sysctl("ipv4/tcp_wmem", "4096 32768 32768"), w.deafen())
}

// orphan closes a connection with something still to be sent, for which its peer has no room.
func (w *world) orphan(int) error {
	made, err := w.dial(deaf, 1)
	if err != nil {
		return err
	}
	return errors.Join(stuff(made[0]), made[0].Close())
}

// orphanUntilCut does so until there are too many, of which the kernel learns a tenth of a second late (tcp_orphan_update).
func (w *world) orphanUntilCut() error {
	for i := range 10_000 {
		if err := w.orphan(i); err != nil {
			return err
		}
		if cut, err := w.counted("netstat", "TcpExt TCPAbortOnMemory"); err != nil || cut > 0 {
			return err
		}
	}
	return errors.New("none of 10000 connections was cut")
}

// scarceNeighbours makes a network in which nobody answers, and little room for neighbours. What IPv6 has room for counts, too.
func scarceNeighbours(w *world) (err error) {
	for _, s := range [][2]string{
		{"ipv6/conf/default/disable_ipv6", "1"}, {"ipv6/neigh/default/gc_thresh3", "10"}, {"ipv4/neigh/default/gc_thresh3", "100"},
		{"ipv4/neigh/default/gc_thresh2", "100"}, {"ipv4/neigh/default/gc_thresh1", "100"}, // below it, nothing is thrown out for its age
	} {
		if err := w.sysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	if w.far, err = newDevice("far0", unix.IFF_TAP); err != nil {
		return err
	}
	go forget(w.far)
	return errors.Join(raise("far0"), address("far0", farIP))
}

// seek sends a datagram to each of n neighbours.
func seek(n int) func(w *world) error {
	return func(w *world) error {
		return times(n, func(i int) error { return send(stranger(i).String()+":7000", 1, 10) })
	}
}
