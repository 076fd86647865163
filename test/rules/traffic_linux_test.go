package rules

import (
	"errors"
	"net"
	"time"
)

// healthy is what traffic is, in the words of the document.
const healthy = "Healthy is a node and a pod that talk by TCP and UDP, IPv4 and IPv6, both ways and through connection tracking: 800 connections of ten requests each, " +
	"400 of them at once, 40 MB in large pieces, 4000 datagrams with their answers, 400 datagrams that travel in fragments, and what is ordinary on top: a connection that is refused, and " +
	"a datagram that nobody waits for. Some of what the kernel counts once for a machine shows in no namespace but its first: that is looked at on a virtual machine, which talks in the same way to itself."

// track has the namespace of the calling thread track connections.
func track() error { return iptables("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT") }

// serve answers what talk asks, in the namespace of the calling thread.
func (w *world) serve() error { return errors.Join(w.accept(":7000", echo), w.answer(":7053")) }

// talk asks the other end, by its address of each IP version, from the namespace of the calling thread. Nothing goes wrong.
func (w *world) talk(ip4, ip6 string) error {
	for _, ip := range []string{ip4, ip6} {
		if err := w.converse(net.JoinHostPort(ip, "7000"), net.JoinHostPort(ip, "7053")); err != nil {
			return err
		}
	}
	return errors.Join(refused(ip4+":7999"), send(ip4+":7999", 1, 10))
}

// converse asks a server of the other end, from the namespace of the calling thread.
func (w *world) converse(tcp, udp string) error {
	for range 2 {
		made, err := w.dial(tcp, 100)
		if err != nil {
			return err
		}
		if err := times(10*len(made), func(i int) error { return ask(made[i%len(made)], 1000) }); err != nil {
			return err
		}
		if err := times(10, func(i int) error { return ask(made[i], 500_000) }); err != nil {
			return err
		}
		for _, c := range made {
			if err := c.Close(); err != nil {
				return err
			}
		}
	}
	for _, kind := range []struct{ n, bytes int }{{1000, 100}, {100, 4000}} {
		c, err := net.Dial("udp", udp)
		if err != nil {
			return err
		}
		w.keep(c)
		if err := times(kind.n, func(int) error { return query(c, kind.bytes) }); err != nil {
			return err
		}
	}
	return nil
}

// answer sends datagrams back to where they come from.
func (w *world) answer(address string) error {
	l, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	w.keep(l)
	go func() {
		for b := make([]byte, 1<<16); ; {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			l.WriteTo(b[:n], from)
		}
	}()
	return nil
}

// query sends a datagram and waits for its answer.
func query(c net.Conn, bytes int) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, bytes)); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, bytes))
	return err
}
