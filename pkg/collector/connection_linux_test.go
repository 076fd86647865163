package collector

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// What inhabitants do with connections that stay.

// connected listens at an address and connects n times.
func connected(address string, n int) (kept []any, clients []net.Conn, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	kept = append(kept, l)
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return kept, clients, err
		}
		s, err := l.Accept()
		if err != nil {
			return kept, clients, err
		}
		kept, clients = append(kept, c, s), append(clients, c)
	}
	return kept, clients, nil
}

// stalledConnections connects n times, cuts the way there, and sends.
func stalledConnections(address string, n int) ([]any, error) {
	kept, clients, err := connected(address, n)
	if err != nil {
		return kept, err
	}
	_, port, _ := net.SplitHostPort(address)
	if out, err := exec.Command("iptables", "-w", "-A", "INPUT", "-p", "tcp", "--dport", port, "-j", "DROP").CombinedOutput(); err != nil {
		return kept, fmt.Errorf("%w: %s", err, out)
	}
	for _, c := range clients {
		if _, err := c.Write(make([]byte, 1000)); err != nil {
			return kept, err
		}
	}
	for _, c := range clients {
		if err := retransmitted(c.(*net.TCPConn)); err != nil {
			return kept, err
		}
	}
	return kept, nil
}

// retransmitted waits until a retransmission timeout of a connection has passed.
func retransmitted(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	for range 600 {
		var info *unix.TCPInfo
		if e := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); e != nil || err != nil {
			return errors.Join(e, err)
		}
		if info.Backoff > 0 { // and not a tail loss probe alone
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("nothing is sent again")
}

// exhaustPorts connects until the kernel has no local port left.
func exhaustPorts(address string) (kept []any, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	kept = append(kept, l)
	for i := range 1 << 16 {
		c, err := net.Dial("tcp", address)
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return kept, nil
		}
		if err != nil {
			return kept, err
		}
		s, err := l.Accept()
		if err != nil {
			return kept, err
		}
		if i%2 == 0 {
			c.Close()
			s.Close()
			continue
		}
		kept = append(kept, c, s)
	}
	return kept, errors.New("ports do not run out")
}

// holdApart has another inhabitant of the same namespace make n connections. It ends with this one, whose end of the pipe is kept.
func holdApart(ip string, n int) (kept io.Closer, err error) {
	cmd := exec.Command("/proc/self/exe")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	fmt.Fprintln(in, "many", ip, n)
	if answer, err := bufio.NewReader(out).ReadString('\n'); answer != "ok\n" {
		return in, errors.Join(fmt.Errorf("%d connections apart: %s", n, answer), err)
	}
	return in, nil
}

// manyConnections connects n times with bare descriptors, which stay open.
func manyConnections(address string, n int) error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	files.Cur = files.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	at, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	there := &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(at.IP.To4())}
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		err = errors.Join(unix.Bind(l, there), unix.Listen(l, 128))
	}
	for range n {
		if err != nil {
			return err
		}
		var c int
		if c, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
			if err = unix.Connect(c, there); err == nil {
				_, _, err = unix.Accept(l)
			}
		}
	}
	return err
}
