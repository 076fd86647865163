package rules

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The two ends of the wire between a node and its pod, and the network behind the pod's other device (see tun).
const (
	nodeIP, podIP   = "10.77.0.1", "10.77.0.2"
	nodeIP6, podIP6 = "fd77::1", "fd77::2"
	farIP           = "10.99.0.1" // the pod's own address there; everybody else's packets are made by the test
)

// patience bounds each wait for the kernel to count something; the longest takes some two seconds on an idle machine.
const patience = 40 * time.Second

// world is a node from within.
type world struct {
	podPID int // of the pod, or pid 1 where there is none: causes happen in its network namespace
	walker *collector.Walker
	far    *os.File // the test's end of the pod's other device, see tunnel
	kept   []any    // sockets and devices, which live until the node ends
	mu     sync.Mutex
}

// live is the life of a node: one that was made carries out one command a line.
func live(w *world, err error, in io.Reader, out io.Writer) {
	reply := func(err error) {
		if err != nil {
			fmt.Fprintln(out, strings.ReplaceAll(err.Error(), "\n", "; "))
		} else {
			fmt.Fprintln(out, "ok")
		}
	}
	reply(err)
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		reply(w.obey(strings.Fields(lines.Text())))
	}
}

func newWorld(cgroup string) (*world, error) {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("mounting /proc: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	pod := exec.Command(self)
	pod.Env = append(os.Environ(), podEnv+"=1")
	pod.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	stdin, err := pod.StdinPipe()
	if err == nil {
		err = pod.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting the pod: %w", err)
	}
	w := &world{podPID: pod.Process.Pid, kept: []any{stdin}}
	if err := os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte(strconv.Itoa(w.podPID)), 0); err != nil {
		return nil, err
	}
	w.walker = everything()
	return w, w.wire()
}

// newMachine is a node without a pod: what happens there is the node's own.
func newMachine() *world { return &world{podPID: 1, walker: everything()} }

// everything walks with all that the collector can read.
func everything() *collector.Walker {
	return collector.NewWalker(&collector.Config{
		Node: "node-1", Set: metrics.All, Host: true, Conntrack: true, Snmp: true, Netstat: true, Sockstat: true, Netdev: true, Listen: true,
		TCPInfo: true, Ports: true, ConntrackOwners: true, Protocols: collector.AllProtocols(), CRISocket: "/none",
	})
}

// wire lays it between the node and its pod. Addresses are there at once: IPv6 would look for doubles for a second.
func (w *world) wire() error {
	up := func(device, ip, ip6 string) string {
		return fmt.Sprintf("link set lo up\nlink set %[1]s up\naddr add %[2]s/24 dev %[1]s\naddr add %[3]s/64 dev %[1]s nodad\n", device, ip, ip6)
	}
	if err := ip(fmt.Sprintf("link add node0 type veth peer name eth0 netns %d\n", w.podPID)); err != nil {
		return err
	}
	if err := errors.Join(ip(up("node0", nodeIP, nodeIP6)), w.inPod(func() error { return ip(up("eth0", podIP, podIP6)) })); err != nil {
		return err
	}
	// Both ends learn who the other is: while they ask, only a hundred packets wait.
	return errors.Join(refused(podIP+":7999"), refused("["+podIP6+"]:7999"))
}

func (w *world) obey(command []string) error {
	verb, name := command[0], command[1]
	switch verb + " " + name {
	case "walk " + name:
		return w.walk(name)
	case "serve both":
		return errors.Join(track(), w.serve(), w.inPod(track), w.inPod(w.serve))
	case "talk both":
		return errors.Join(w.talk(podIP, podIP6), w.inPod(func() error { return w.talk(nodeIP, nodeIP6) }))
	case "serve itself":
		return w.serve()
	case "talk itself":
		return w.talk("127.0.0.1", "::1")
	case "compare files":
		return w.compare()
	}
	for _, p := range proofs() {
		switch {
		case p.name() != name:
		case verb == "prepare":
			return p.prepare(w)
		case verb == "provoke":
			return p.provoke(w)
		}
	}
	return fmt.Errorf("no such cause: %s", name)
}

// walk adds a frame to a file.
func (w *world) walk(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	return metrics.WriteFrame(f, metrics.Text, "", w.walker.Walk(context.Background()))
}

// keep holds on to a socket, which the garbage collector would close.
func (w *world) keep(v any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kept = append(w.kept, v)
}

// inPod calls f in the network namespace of the pod: sockets that f makes itself, and programs that it starts, are the pod's.
func (w *world) inPod(f func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		failed <- w.entered(f) // and never unlocked: the thread ends with this function
	}()
	return <-failed
}

// entered moves the calling thread into the pod for good, and calls f.
func (w *world) entered(f func() error) error {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", w.podPID))
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the pod: %w", err)
	}
	return f()
}

// sysctl sets one of the pod; the files below /proc/sys/net are those of who opens them.
func (w *world) sysctl(name, value string) error {
	return w.inPod(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
}

// counted is a counter of the pod such as "TcpExt ListenDrops", of its file such as netstat.
func (w *world) counted(file, counter string) (uint64, error) {
	counters, err := w.counters(file)
	if err != nil {
		return 0, err
	}
	value, ok := counters[strings.Replace(counter, " ", "", 1)]
	if !ok {
		return 0, fmt.Errorf("the kernel counts no %s", counter)
	}
	return strconv.ParseUint(value, 10, 64)
}

// until waits until the pod's counter has grown by n since the call, in which act makes it grow.
func (w *world) until(file, counter string, n uint64, act func() error) error {
	before, err := w.counted(file, counter)
	if err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		now, err := w.counted(file, counter)
		switch {
		case err != nil || now >= before+n:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("%s grew by %d, want %d", counter, now-before, n)
		}
	}
}

// ip runs commands of ip(8), a line each, in the namespace of the calling thread.
func ip(lines string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(lines)
	return finish(cmd)
}

// iptables adds a rule in the namespace of the calling thread.
func iptables(args string) error {
	return finish(exec.Command("iptables", strings.Fields("-w "+args)...))
}

func finish(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
