package collector

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"structs"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// place is where a pod could live: a network namespace whose counters tell it from every other, and a cgroup. It costs a
// millisecond or two, a hundredth of a testPod, and its processes come and go without it.
type place struct {
	uid, id string // of the pod and of its container
	cgroup  string // as a runtime makes it; empty: that of a test
	dirs    []string
	ns      int // descriptor of the namespace
	pid     int // of the process that occupies it; 0: none
	octets  int // that its IPv4 has sent, in one datagram: no other place has the same
}

// newPlace makes one. octets are between 28 and 65,000; 0 leaves the namespace without a mark.
func newPlace(octets int) (*place, error) {
	p := &place{uid: randomUID(), id: randomHex(64), ns: -1, octets: octets}
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		if p.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil || octets == 0 {
			return err
		}
		return sendToItself(octets - 28) // less the headers of IP and UDP
	})
	return p, err
}

// sendToItself brings loopback up and sends a datagram of n bytes over it.
func sendToItself(n int) error {
	if err := loopbackUp(); err != nil {
		return err
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	if err := unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	self, err := unix.Getsockname(s)
	if err != nil {
		return err
	}
	return unix.Sendto(s, make([]byte, n), 0, self)
}

// elsewhere has a thread go into a namespace, do something there and come back.
func elsewhere(enter, do func() error) error {
	runtime.LockOSThread()
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(home)
	if err := enter(); err != nil {
		return err
	}
	err = do()
	if back := unix.Setns(home, unix.CLONE_NEWNET); back != nil {
		return back // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// inside does something in the namespace of the place.
func (p *place) inside(do func() error) error {
	return elsewhere(func() error { return unix.Setns(p.ns, unix.CLONE_NEWNET) }, do)
}

// start starts a process in the namespace and the cgroup, under the pid given, or any if it is zero.
func (p *place) start(pid int) (started int, err error) {
	err = p.inside(func() (err error) {
		started, err = startIdler(pid, 0)
		return err
	})
	if err != nil {
		return 0, err
	}
	return started, p.join(started)
}

// occupyAsUser is occupy in a user namespace that owns the network namespace, as those of a pod with hostUsers: false.
func (p *place) occupyAsUser(t testing.TB) {
	t.Helper()
	var err error
	if p.pid, err = startIdler(0, unix.CLONE_NEWUSER|unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	p.leave()
	if p.ns, err = unix.Open(fmt.Sprintf("/proc/%d/ns/net", p.pid), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	if err := p.inside(func() error { return sendToItself(p.octets - 28) }); err != nil {
		t.Fatal(err)
	}
	if err := p.join(p.pid); err != nil {
		t.Fatal(err)
	}
}

// join moves a process into the cgroup of the place.
func (p *place) join(pid int) error {
	if p.dirs == nil {
		root, err := cgroupMount()
		if err != nil {
			return err
		}
		dir := filepath.Join(root, "kubepods-test-"+p.uid[:8], cmp.Or(p.cgroup, filepath.Join("pod"+p.uid, p.id)))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		for ; dir != root; dir = filepath.Dir(dir) {
			p.dirs = append(p.dirs, dir)
		}
	}
	return os.WriteFile(filepath.Join(p.dirs[0], "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
}

// leave gives up the namespace, which ends with its last process.
func (p *place) leave() {
	if p.ns >= 0 {
		unix.Close(p.ns)
	}
	p.ns = -1
}

// remove takes the place away. Nothing may run there any more.
func (p *place) remove() error {
	p.leave()
	for _, dir := range p.dirs {
		if err := os.Remove(dir); err != nil {
			return fmt.Errorf("removing a cgroup: %w", err)
		}
	}
	p.dirs = nil
	return nil
}

// mark reads what a record says of the place: its IPv4 octets, and by another file those of its loopback.
func mark(samples []metrics.Sample) (octets, loopback float64, ok bool) {
	r := metrics.Record{Samples: samples}
	octets, ok = r.Value("cosanet_proc_net_netstat_IpExt_OutOctets")
	loopback, also := r.Value("cosanet_netdev_transmit_bytes_total", "lo")
	return octets, loopback, ok && also
}

// of tells whether counters are those of the place, as far as there are any.
func (p *place) of(samples []metrics.Sample) bool {
	octets, loopback, ok := mark(samples)
	return ok && int(octets) == p.octets && int(loopback) == p.octets
}

// cloneArgs is struct clone_args of Linux 5.5 (include/uapi/linux/sched.h).
type cloneArgs struct {
	_ structs.HostLayout

	flags, pidfd, childTID, parentTID, exitSignal, stack, stackSize, tls uint64
	setTID                                                               unsafe.Pointer
	setTIDSize                                                           uint64
}

// startIdler starts a process that waits to be killed, in the namespaces of the calling thread but for those that flags make
// anew. A pid that is taken is EEXIST.
func startIdler(pid int, flags uint64) (int, error) {
	var pin runtime.Pinner // the kernel reads what args points to
	defer pin.Unpin()
	args := &cloneArgs{flags: flags, exitSignal: uint64(syscall.SIGCHLD)}
	if pid != 0 {
		tid := new(int32)
		*tid = int32(pid)
		pin.Pin(tid)
		args.setTID, args.setTIDSize = unsafe.Pointer(tid), 1
	}
	pin.Pin(args)
	started, errno := clone(args)
	if errno != 0 {
		return 0, fmt.Errorf("clone3: %w", errno)
	}
	return int(started), nil
}

// clone makes a copy of this process with one thread, which has no Go runtime to rely on: it makes system calls from here
// and returns to nobody, as syscall.forkAndExecInChild does until it has another program.
//
//go:noinline
//go:norace
//go:nosplit
func clone(args *cloneArgs) (pid uintptr, errno syscall.Errno) {
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(args)), unsafe.Sizeof(*args), 0)
	if errno != 0 || pid != 0 {
		return pid, errno
	}
	syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0, 0)
	syscall.RawSyscall(unix.SYS_CLOSE_RANGE, 0, 1<<31, 0)
	for {
		syscall.RawSyscall6(unix.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// end kills a process that startIdler started, and waits until its pid is free.
func end(pid int) error {
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		return err
	}
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return err
		}
	}
}

// makePlace makes a place for as long as the test lasts.
func makePlace(t testing.TB, octets int) *place {
	t.Helper()
	p, err := newPlace(octets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.end(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// occupy starts a process in the place that stays until vacate, or until the test ends.
func (p *place) occupy(t testing.TB) (pid int) {
	t.Helper()
	var err error
	if p.pid, err = p.start(0); err != nil {
		t.Fatal(err)
	}
	return p.pid
}

// end takes the place away with the process that occupies it.
func (p *place) end() error {
	var err error
	if p.pid != 0 {
		err = p.vacate()
	}
	return errors.Join(err, p.remove())
}

// vacate ends that process.
func (p *place) vacate() error {
	pid := p.pid
	p.pid = 0
	return end(pid)
}
