package rules

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// listen makes a listening socket with room for backlog connections in the namespace of the calling thread, at any address.
func (w *world) listen(port uint16, backlog int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}), unix.Listen(fd, backlog))
}

// begin sends a SYN and does not wait for what comes of it.
func begin(ip string, port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(port), Addr: netip.MustParseAddr(ip).As4()})
	if errors.Is(err, unix.EINPROGRESS) {
		return nil
	}
	return err
}

// times calls f n times, until the first error.
func times(n int, f func(i int) error) error {
	for i := range n {
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// refused connects to a port where nobody listens.
func refused(address string) error {
	c, err := net.DialTimeout("tcp", address, patience)
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	if err == nil {
		c.Close()
		return fmt.Errorf("somebody listens at %s", address)
	}
	return err
}

// accept serves at an address in the namespace of the calling thread, each connection by handle.
func (w *world) accept(address string, handle func(c *net.TCPConn)) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	w.keep(l)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.keep(c)
			go handle(c.(*net.TCPConn))
		}
	}()
	return nil
}

// echo sends back what it gets, and closes when the peer does.
func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.Close()
}

// dial makes n connections from the namespace of the calling thread, which live on.
func (w *world) dial(address string, n int) (made []net.Conn, err error) {
	err = times(n, func(int) error {
		c, err := net.DialTimeout("tcp", address, patience)
		if err == nil {
			w.keep(c)
			made = append(made, c)
		}
		return err
	})
	return made, err
}

// hangUp makes n connections to port 7002 of the pod, and closes them.
func (w *world) hangUp(n int) error {
	made, err := w.dial(podIP+":7002", n)
	if err != nil {
		return err
	}
	return times(len(made), func(i int) error { return made[i].Close() })
}

// dialFromPod makes n connections of the pod to port 7000 of the node.
func (w *world) dialFromPod(n int) (made []net.Conn, err error) {
	err = w.inPod(func() (err error) {
		made, err = w.dial(nodeIP+":7000", n)
		return err
	})
	return made, err
}

// ask sends a request of that many bytes, and reads as many.
func ask(c net.Conn, bytes int) error {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(make([]byte, bytes)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, bytes))
	return err
}

// send sends n datagrams from one socket of the calling thread's namespace, without a care for what comes back.
func send(address string, n, bytes int, options ...func(fd int) error) error {
	to := netip.MustParseAddrPort(address)
	var name unix.Sockaddr = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()}
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family, name = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, option := range options {
		if err := option(fd); err != nil {
			return err
		}
	}
	return times(n, func(int) error { return unix.Sendto(fd, make([]byte, bytes), 0, name) })
}

// ping sends n echo requests of one identifier, and waits for no answer.
func ping(ip string, n int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	echo := []byte{8, 0, 0, 0, 0, 7, 0, 1}
	binary.BigEndian.PutUint16(echo[2:], checksum(echo))
	return times(n, func(int) error {
		return unix.Sendto(fd, echo, 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(ip).As4()})
	})
}

// swallow takes all datagrams for a port and forgets them, in the namespace of the calling thread: a filter lets none of
// them into the socket, where they would have to be read.
func (w *world) swallow(port uint16) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	none := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	return errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none[0]}),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}))
}
