package collector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// inhabitantEnv makes the test binary the inhabitant of a test pod instead of a test: a process that is in the pod's
// namespace as a whole, and causes there what it is told on its standard input.
const inhabitantEnv = "COSANET_TEST_INHABITANT"

// TestMain wants no goroutine left when the tests are over, too.
func TestMain(m *testing.M) {
	if os.Getenv(inhabitantEnv) != "" {
		inhabit(os.Stdin, os.Stdout)
		os.Exit(0)
	}
	goleak.VerifyTestMain(hangingUp{m})
}

// hangingUp ends the connections that the tests' HTTP client keeps for later.
type hangingUp struct{ *testing.M }

func (m hangingUp) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return m.M.Run()
}

// startInhabited starts a pod with an inhabitant, its loopback up.
func startInhabited(t testing.TB) *testPod {
	t.Helper()
	p := startPod(t, syscall.CLONE_NEWNET, "/proc/self/exe")
	p.do("up")
	return p
}

// do has the inhabitant cause something and waits until it is done.
func (p *testPod) do(command string, args ...any) {
	p.t.Helper()
	fmt.Fprintln(p.in, strings.TrimSuffix(fmt.Sprintln(append([]any{command}, args...)...), "\n"))
	if !p.out.Scan() || p.out.Text() != "ok" {
		p.t.Fatalf("%s: %s %v: %s", p, command, args, p.out.Text())
	}
}

// inhabit carries out one command a line. Everything it opens stays open until the pod ends.
func inhabit(in io.Reader, out io.Writer) {
	var kept []any // keeps sockets from the garbage collector, which would close them
	defer func() { runtime.KeepAlive(kept) }()
	for lines := bufio.NewScanner(in); lines.Scan(); {
		f := append(strings.Fields(lines.Text()), "", "")
		n, _ := strconv.Atoi(f[2])
		made, err := cause(f[0], f[1], n)
		kept = append(kept, made)
		if err != nil {
			fmt.Fprintln(out, err)
		} else {
			fmt.Fprintln(out, "ok")
		}
	}
}

// cause makes an event happen n times on the address ip, of this namespace's loopback.
func cause(event, ip string, n int) (kept []any, err error) {
	keep := func(v any, e error) {
		kept = append(kept, v)
		if err == nil {
			err = e
		}
	}
	address := net.JoinHostPort(ip, "7000")
	closed := net.JoinHostPort(ip, "7999")
	switch event {
	case "up":
		return nil, loopbackUp()
	case "tcp": // n connections, of each 1000 bytes sent and received
		l, e := net.Listen("tcp", address)
		keep(l, e)
		for range n {
			c, e := net.Dial("tcp", address)
			keep(c, e)
			s, e := l.Accept()
			keep(s, e)
			_, e = c.Write(make([]byte, 1000))
			keep(nil, e)
			_, e = io.ReadFull(s, make([]byte, 1000))
			keep(nil, e)
		}
	case "refused": // n connections to a port where nobody listens
		for range n {
			if c, e := net.Dial("tcp", closed); e == nil {
				keep(c, fmt.Errorf("connected to a closed port"))
			}
		}
	case "overflow": // n connections to a full queue of one: the kernel drops their last ACKs or their SYNs
		made, e := fullQueue(net.JoinHostPort(ip, "7001"), n)
		keep(made, e)
	case "closewait": // n connections that the peer has closed and the server has not
		l, e := net.Listen("tcp", net.JoinHostPort(ip, "7002"))
		keep(l, e)
		for range n {
			c, e := net.Dial("tcp", l.Addr().String())
			keep(nil, e)
			s, e := l.Accept()
			keep(s, e)
			keep(nil, c.Close())
		}
	case "apart": // as many, in a process of their own: one may have so many descriptors and no more
		keep(holdApart(ip, n))
	case "many": // n connections, of which nothing is kept but their descriptors
		keep(nil, manyConnections(net.JoinHostPort(ip, "7005"), n))
	case "stalled": // n connections, of which each has sent 1000 bytes that do not arrive
		made, e := stalledConnections(net.JoinHostPort(ip, "7003"), n)
		keep(made, e)
	case "exhaust": // connections until there is no local port for another; every other one is closed, which leaves TIME_WAIT
		made, e := exhaustPorts(net.JoinHostPort(ip, "7004"))
		keep(made, e)
	case "udp": // n datagrams to a socket that receives them
		l, e := net.ListenPacket("udp", address)
		keep(l, e)
		c, e := net.Dial("udp", address)
		keep(c, e)
		for range n {
			_, e = c.Write([]byte("x"))
			keep(nil, e)
			_, _, e = l.ReadFrom(make([]byte, 1))
			keep(nil, e)
		}
	case "noport": // n datagrams to a port where nobody listens, each from a socket of its own
		for range n {
			c, e := net.Dial("udp", closed)
			keep(c, e)
			_, e = c.Write([]byte("x"))
			keep(nil, e)
		}
	case "walk": // writes what a walk sees, as the user that this process runs as
		return nil, walkAndWrite(ip)
	case "nodump": // as a program that was given capabilities by its file
		return nil, unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	case "ctnetlink": // reads the connection tracking of the namespace of process n
		return nil, readByNetlink(n)
	case "socket": // one socket of the kind that ip names
		keep(nil, bareSocket(ip))
	default:
		return nil, fmt.Errorf("unknown event %q", event)
	}
	return kept, err
}

func loopbackUp() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
}

// fullQueue listens with room for one connection, accepts none and connects n times.
func fullQueue(address string, n int) (kept []any, err error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		return nil, err
	}
	shrink := func(fd uintptr) { err = unix.Listen(int(fd), 1) } // net.Listen asks for somaxconn
	if e := raw.Control(shrink); e != nil || err != nil {
		return nil, errors.Join(e, err)
	}
	kept = append(kept, l)
	for range n {
		d := net.Dialer{Timeout: 50 * time.Millisecond}
		if c, err := d.Dial("tcp", address); err == nil {
			kept = append(kept, c)
		}
	}
	return kept, nil
}

// bareSocket makes one socket of a protocol that package net does not know.
func bareSocket(kind string) error {
	var domain, typ, proto int
	switch kind {
	case "raw":
		domain, typ, proto = unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP
	case "raw6":
		domain, typ, proto = unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6
	case "icmp":
		// The file follows the namespace of the process that opens it.
		if err := os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0); err != nil {
			return err
		}
		domain, typ, proto = unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP
	case "udplite":
		domain, typ, proto = unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE
	}
	s, err := unix.Socket(domain, typ, proto)
	if err != nil {
		return err
	}
	if domain == unix.AF_INET6 {
		return unix.Bind(s, &unix.SockaddrInet6{Addr: [16]byte{15: 1}})
	}
	return unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
}

// walkAndWrite walks with the process's own rights, within a limit such as nofile=32.
func walkAndWrite(limit string) error {
	if n, ok := strings.CutPrefix(limit, "nofile="); ok {
		files, err := strconv.ParseUint(n, 10, 64)
		if err != nil {
			return err
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
			return err
		}
	}
	c := &Config{Set: metrics.All, Host: true, Conntrack: true, Snmp: true, Netstat: true, Sockstat: true, Netdev: true, Listen: true, TCPInfo: true, Ports: true, Protocols: AllProtocols(), CRISocket: "/none"}
	return metrics.Write(os.Stdout, Walk(context.Background(), c))
}

func readByNetlink(pid int) error {
	p, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer p.close()
	c := &Config{Set: metrics.All, Conntrack: true}
	samples, err := newReader(c, newFamilies(c)).ctnetlink(p, nil)
	if err == nil && len(samples) == 0 {
		return errors.New("nothing was read")
	}
	return err
}
