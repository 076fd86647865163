package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// framesLine is the serial line of a virtual machine that takes the collector's frames.
const framesLine = "/dev/ttyS1"

// bootMachine makes of a kernel that has just started what the collector and the causes need.
func bootMachine() error {
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) { // /dev may be there
			return fmt.Errorf("mounting %s: %w", m.dir, err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	return errors.Join(raise("lo"), plain("/dev/console"), plain(framesLine))
}

// loadModules loads all there are. One that needs another fails until that is there.
func loadModules() error {
	left, err := filepath.Glob("/modules/*.ko")
	for before := 0; err == nil && len(left) != before; {
		before = len(left)
		var failed []string
		var failures error
		for _, m := range left {
			if e := loadModule(m); e != nil {
				failed, failures = append(failed, m), errors.Join(failures, e)
			}
		}
		if left = failed; len(left) == 0 {
			return nil
		}
		if len(left) == before {
			err = failures
		}
	}
	return err
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil {
		return fmt.Errorf("loading %s: %w", path, err)
	}
	return nil
}

// plain has a serial line carry bytes as they are, without an echo. It is so until the machine ends.
func plain(line string) error {
	fd, err := unix.Open(line, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", line, err)
	}
	mode, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("the mode of %s: %w", line, err)
	}
	mode.Iflag, mode.Oflag, mode.Lflag = 0, 0, 0
	mode.Cc[unix.VMIN], mode.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, mode)
}

// raise sets a device of the calling thread's namespace up.
func raise(name string) error {
	return configure(name, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error {
		r.SetUint16(unix.IFF_UP)
		return nil
	})
}

// address gives a device an address of a /16.
func address(name, ip string) error {
	for _, a := range []struct {
		what  uint
		value netip.Addr
	}{{unix.SIOCSIFADDR, netip.MustParseAddr(ip)}, {unix.SIOCSIFNETMASK, netip.MustParseAddr("255.255.0.0")}} {
		if err := configure(name, a.what, func(r *unix.Ifreq) error { return r.SetInet4Addr(a.value.AsSlice()) }); err != nil {
			return err
		}
	}
	return nil
}

// configure does what ip(8) would, which a machine does not have.
func configure(name string, what uint, fill func(r *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = fill(r)
	}
	if err == nil {
		err = unix.IoctlIfreq(fd, what, r)
	}
	if err != nil {
		return fmt.Errorf("configuring %s: %w", name, err)
	}
	return nil
}
