//go:build linux

// Forbidden makes system calls that no filter for the collector may let through. Each argument names one; what came of it is
// a line of the output.
package main

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	for _, what := range os.Args[1:] {
		fmt.Println(forbidden(what))
	}
}

// forbidden makes one system call to which a process with all capabilities is entitled.
func forbidden(what string) error {
	var errno unix.Errno
	switch what {
	case "ptrace":
		_, _, errno = unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, 1, 0, 0, 0, 0)
	case "unshare":
		_, _, errno = unix.RawSyscall(unix.SYS_UNSHARE, unix.CLONE_NEWUTS, 0, 0)
	case "mount":
		none := []byte("none\x00")
		_, _, errno = unix.RawSyscall6(unix.SYS_MOUNT, uintptr(unsafe.Pointer(&none[0])), uintptr(unsafe.Pointer(&none[0])), uintptr(unsafe.Pointer(&none[0])), 0, 0, 0)
	case "bpf":
		_, _, errno = unix.RawSyscall(unix.SYS_BPF, 99, 0, 0)
	case "setns-mount": // on its own descriptor 0, which is no namespace: the filter comes first
		_, _, errno = unix.RawSyscall(unix.SYS_SETNS, 0, unix.CLONE_NEWNS, 0)
	case "clone-user":
		// CLONE_THREAD without CLONE_SIGHAND is invalid: were the filter to let it through, no child would be made.
		_, _, errno = unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_THREAD, 0, 0, 0, 0, 0)
	case "packet-socket":
		_, _, errno = unix.RawSyscall(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW, 0)
	case "kill":
		_, _, errno = unix.RawSyscall(unix.SYS_KILL, uintptr(unix.Getpid()), 0, 0)
	default:
		return fmt.Errorf("unknown call %q", what)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
