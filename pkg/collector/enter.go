//go:build linux

package collector

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// enter calls do on a thread that is in the network namespace of the process, for what follows the thread that asks:
// /proc/sys/net. It needs CAP_SYS_ADMIN and CAP_SYS_PTRACE, as dial does, unless the namespace is the collector's own.
func (p process) enter(do func() error) error {
	if p.inOwnNetNS() {
		return do()
	}
	fd, err := openat(p.fd, "ns/net", unix.O_RDONLY)
	if err != nil {
		return err
	}
	there := netns.NsHandle(fd)
	defer there.Close()
	done := make(chan error)
	go func() { done <- onThreadIn(there, do) }()
	return <-done
}

// onThreadIn enters a namespace with the thread of this goroutine. One that could not be restored stays locked, so that it
// dies with the goroutine.
func onThreadIn(there netns.NsHandle, do func() error) error {
	runtime.LockOSThread()
	fd, err := openat(atCWD, "/proc/thread-self/ns/net", unix.O_RDONLY)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	home := netns.NsHandle(fd)
	defer home.Close()
	if err := netns.Set(there); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = do()
	if back := netns.Set(home); back != nil {
		return fmt.Errorf("returning from a network namespace: %w", back)
	}
	runtime.UnlockOSThread()
	return err
}
