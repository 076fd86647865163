//go:build linux

package collector

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxFileBytes bounds what is read of one file. A pod of the usual size has 4 KiB in the largest (netstat).
const maxFileBytes = 256 << 10

var errTooLarge = errors.New("larger than 256 KiB")

// process is a directory descriptor on /proc/<pid>. A path that begins with the pid silently leads to another process
// once the pid is reused, perhaps to one of the host; a name below the descriptor of a dead process is ESRCH.
type process struct{ fd int }

func openProcess(pid int) (process, error) {
	var name [32]byte
	path := append(strconv.AppendInt(append(name[:0], "/proc/"...), int64(pid), 10), 0)
	fd, err := openat(unix.AT_FDCWD, unsafe.String(&path[0], len(path)), unix.O_PATH|unix.O_DIRECTORY)
	return process{fd}, err
}

func (p process) close() { unix.Close(p.fd) }

// netInode identifies the network namespace of the process by the inode of its net/snmp, which each namespace has of its
// own and which may be asked for without any right over the process (that of ns/net needs PTRACE_MODE_READ).
func (p process) netInode() (uint64, error) {
	var st unix.Stat_t
	err := unix.Fstatat(p.fd, "net/snmp", &st, 0)
	return st.Ino, err
}

// openSnmp opens net/snmp and tells its inode, as netInode does.
func (p process) openSnmp() (fd int, inode uint64, err error) {
	if fd, err = openat(p.fd, "net/snmp\x00", unix.O_RDONLY); err != nil {
		return fd, 0, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
	}
	return fd, st.Ino, err
}

// netNS returns the inode of the network namespace in nsfs, which ns/net and a bind mount below /run/netns have in common;
// zero where it may not be asked for.
func (p process) netNS() uint64 {
	inode := readNS(p.fd, "ns/net\x00")
	if inode == 0 && p.inOwnNetNS() {
		inode = readNS(atCWD, "/proc/thread-self/ns/net\x00")
	}
	return inode
}

// readNS reads a link such as net:[4026531840].
func readNS(dir int, name string) uint64 {
	var buf [32]byte
	link := buf[:max(0, readlinkat(dir, name, buf[:]))]
	link, ok := bytes.CutSuffix(link, []byte("]"))
	if _, number, found := bytes.Cut(link, []byte(":[")); ok && found {
		if inode, rest, err := integer(number); err == nil && len(rest) == 0 {
			return inode
		}
	}
	return 0
}

// stillIn tells whether the process is in the network namespace that netNS and netInode told of.
func (p process) stillIn(netns, inode uint64) bool {
	if netns != 0 {
		return p.netNS() == netns
	}
	now, err := p.netInode()
	return err == nil && now == inode
}

// inOwnNetNS tells whether the process is in the collector's own network namespace, which need not be entered: the node's,
// in a pod with hostNetwork. It asks by the calling thread: /proc/self/net follows the thread group leader, which may be in a
// pod's namespace at this moment.
func (p process) inOwnNetNS() bool {
	var own unix.Stat_t
	inode, err := p.netInode()
	return err == nil && unix.Stat("/proc/thread-self/net/snmp", &own) == nil && own.Ino == inode
}

// has tells whether a file is there.
func (p process) has(name string) bool { return unix.Faccessat(p.fd, name, unix.F_OK, 0) == nil }

// started returns when the process began, in clock ticks since boot.
func (p process) started(buf []byte) (uint64, error) {
	file, _, err := p.read("stat", buf)
	if err != nil {
		return 0, err
	}
	return parseStarted(file)
}

// read reads a file below /proc/<pid> into buf, which it shares with the result. Of a file larger than buf it returns the
// whole lines that fit and the number of those that do not, with errTooLarge.
func (p process) read(name string, buf []byte) (file []byte, more int, err error) {
	fd, err := openat(p.fd, name, unix.O_RDONLY)
	if err != nil {
		return nil, 0, err
	}
	defer unix.Close(fd)
	return readWhole(fd, buf)
}

// readWhole reads an open file as read does. All that are read of /proc begin with a heading or hold a value: an empty one would
// pass for a file without counters, and is none of the kernel's.
func readWhole(fd int, buf []byte) (file []byte, more int, err error) {
	n := 0
	for n < len(buf) {
		k, err := readRetry(fd, buf[n:])
		if err != nil {
			return nil, 0, err
		}
		if k == 0 && n == 0 {
			return nil, 0, errMalformed
		}
		if k == 0 {
			return buf[:n], 0, nil
		}
		n += k
	}
	return overflow(fd, buf)
}

// overflow counts the lines that did not fit into buf. What can grow without bound, a list of devices, is counted up to
// 16 MiB.
func overflow(fd int, buf []byte) (file []byte, more int, err error) {
	whole := bytes.LastIndexByte(buf, '\n') + 1
	var rest [8 << 10]byte
	for range 16 << 20 / len(rest) {
		k, err := readRetry(fd, rest[:])
		if err != nil {
			return nil, 0, err
		}
		if k == 0 {
			break
		}
		more += bytes.Count(rest[:k], []byte("\n"))
	}
	if more == 0 && whole == len(buf) {
		return buf, 0, nil // it fitted to the byte
	}
	return buf[:whole], more, errTooLarge
}

// openat and readlinkat make no copy of a name that ends in a zero byte: there are a dozen a namespace.

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := 0, error(nil)
		if terminated(name) {
			r, _, errno := unix.Syscall6(unix.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.StringData(name))), uintptr(flags|unix.O_CLOEXEC|unix.O_LARGEFILE), 0, 0, 0)
			if fd = int(r); errno != 0 {
				fd, err = -1, errno
			}
		} else {
			fd, err = unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
		}
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// readlinkat returns how many bytes of the link's text are in buf; less than 1: it could not be read.
func readlinkat(dir int, name string, buf []byte) int {
	if !terminated(name) || len(buf) == 0 {
		return -1
	}
	n, _, errno := unix.Syscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.StringData(name))), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

func terminated(name string) bool { return strings.HasSuffix(name, "\x00") }

func readRetry(fd int, buf []byte) (int, error) {
	for {
		n, err := unix.Read(fd, buf)
		if err != unix.EINTR {
			return n, err
		}
	}
}
