package rules

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// machineEnv is on the command line of a virtual machine's kernel, which gives what it does not know to pid 1.
const machineEnv = "COSANET_TEST_MACHINE"

// linux is where tools/deps has put a kernel and the modules of it that the tests need.
const linux = "../../bin/tools/linux"

// machineLife is how long a machine runs at most. It takes ten seconds until it is up on a computer that is busy.
const machineLife = 5 * time.Minute

// startMachine starts a node that is a machine of its own, with a kernel and all that it has once: this program is its pid 1.
// It is connected to nothing but two serial lines: by the first it is told what to do, and the second takes the frames.
func startMachine(t *testing.T) *node {
	t.Helper()
	needsMachine(t)
	n := &node{t: t, walks: filepath.Join(t.TempDir(), "frames"), frames: framesLine}
	var messages bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), machineLife)
	t.Cleanup(cancel)
	// Its time is counted by what it executes: while others have this computer's CPUs, none passes, and no timer of TCP's expires.
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-icount", "shift=1",
		"-m", "512", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-nic", "none",
		"-serial", "stdio", "-serial", "file:"+n.walks,
		"-kernel", filepath.Join(linux, "vmlinuz"), "-initrd", machineFiles(t),
		"-append", "console=ttyS0 loglevel=1 panic=-1 "+machineEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = &messages
	n.begin(cmd, "starting a machine", func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd, &messages)
		}
	})
	return n
}

// machineFiles writes the machine's files: this program and the modules of its kernel.
func machineFiles(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob(filepath.Join(linux, "*.ko"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("no modules in %s: %v", linux, err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "initramfs"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := initramfs(f, self, modules); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// needsMachine skips a test where no virtual machine can be had. In CI nothing is left out silently.
func needsMachine(t *testing.T) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skipf("its virtual machine is an amd64 and starts this program, which is for %s", runtime.GOARCH)
	}
	missing := ""
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		missing = "qemu-system-x86_64 (tools/deps test installs it)"
	}
	if _, err := os.Stat(filepath.Join(linux, "vmlinuz")); err != nil {
		missing = fmt.Sprintf("a kernel (tools/deps test gets one): %v", err)
	}
	if !static() {
		missing = "a program without libraries, of which the machine has none: CGO_ENABLED=0"
	}
	switch {
	case missing == "":
	case os.Getenv("CI") == "true":
		t.Fatalf("needs %s", missing)
	default:
		t.Skipf("needs %s", missing)
	}
}

// static tells whether this program needs no libraries.
func static() bool {
	self, err := elf.Open("/proc/self/exe")
	if err != nil {
		return false
	}
	defer self.Close()
	libraries, err := self.ImportedLibraries()
	return err == nil && len(libraries) == 0
}
