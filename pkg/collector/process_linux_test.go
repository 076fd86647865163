package collector

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// visitOne has a walk visit one target whose pid was found earlier.
func visitOne(t *testing.T, it target) outcome {
	t.Helper()
	w := NewWalker(noRuntime(t))
	w.visit(newReader(w.config, w.families), &it)
	return it.outcome
}

// TestAnotherProcessIsNotRead gives a walk a pid that belongs to another pod, or to none: what a reused pid looks like
// between the discovery and the read.
func TestAnotherProcessIsNotRead(t *testing.T) {
	needsRoot(t)
	pod, other := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity"), startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	named := func(uid, id string, pid int) target {
		return target{Sandbox: metrics.Sandbox{UID: uid}, id: id, pid: pid}
	}
	for _, test := range []struct {
		name   string
		target target
		want   string
	}{
		{"by container", named("", pod.id, pod.pid), "read"},
		{"by UID", named(pod.uid, "", pod.pid), "read"},
		{"another pod's", named(pod.uid, pod.id, other.pid), "gone"},
		{"a process of the host", named(pod.uid, pod.id, os.Getpid()), "gone"},
		{"nobody's", named(pod.uid, pod.id, 1<<22), "gone"},
		{"not found", named(pod.uid, pod.id, 0), "failed"},
		{"without any name", named("", "", pod.pid), "gone"},
	} {
		o := visitOne(t, test.target)
		if o.result != test.want {
			t.Errorf("%s: %s, want %s", test.name, o.result, test.want)
		}
		if o.result == "gone" && o.samples != nil {
			t.Errorf("%s: %d samples of somebody else", test.name, len(o.samples))
		}
	}
}

// TestReusedPid makes a new process under the pid of one that has ended: a descriptor of the old one leads nowhere.
func TestReusedPid(t *testing.T) {
	needsRoot(t)
	const last = "/proc/sys/kernel/ns_last_pid"
	if _, err := os.Stat(last); err != nil {
		t.Skip("the kernel has no CONFIG_CHECKPOINT_RESTORE: pids cannot be chosen")
	}
	for range 200 { // until no other process of the machine takes the pid in between
		old := exec.Command("sleep", "infinity")
		old.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := old.Start(); err != nil {
			t.Fatal(err)
		}
		pid := old.Process.Pid
		p, err := openProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		old.Process.Kill()
		old.Wait()

		if err := os.WriteFile(last, []byte(strconv.Itoa(pid-1)), 0); err != nil {
			t.Fatal(err)
		}
		next := exec.Command("sleep", "infinity")
		if err := next.Start(); err != nil {
			t.Fatal(err)
		}
		defer next.Wait()
		defer next.Process.Kill()
		if next.Process.Pid != pid {
			continue
		}
		if _, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/snmp"); err != nil {
			t.Fatalf("by path the new process answers: %v", err)
		}
		for _, name := range []string{"cgroup", "net/snmp", "stat"} {
			if _, _, err := p.read(name, make([]byte, 4096)); !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.ENOENT) {
				t.Errorf("%s below the descriptor of the old process: %v", name, err)
			}
		}
		if _, err := p.netInode(); err == nil {
			t.Error("the descriptor of the old process leads to a namespace")
		}
		return
	}
	t.Error("never got the pid")
}

// TestOldestProcess wants the process that the namespaces were made for, where none is the sandbox's own.
func TestOldestProcess(t *testing.T) {
	needsRoot(t)
	a := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	zombie := startPod(t, syscall.CLONE_NEWNET, "true")
	b := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	buf := make([]byte, 4096)
	if got := oldest([]int{b.pid, a.pid, 1 << 22}, 0, buf); got != a.pid {
		t.Errorf("oldest = %d, want %d of %d and %d", got, a.pid, a.pid, b.pid)
	}
	waitZombie(t, zombie.pid)
	if got := oldest([]int{zombie.pid, b.pid}, 0, buf); got != b.pid {
		t.Errorf("oldest = %d, want %d and not the zombie %d", got, b.pid, zombie.pid)
	}
	if got := oldest([]int{zombie.pid}, zombie.pid, buf); got != 0 {
		t.Errorf("oldest = %d, which is dead", got)
	}
	if got := oldest(nil, 0, buf); got != 0 {
		t.Errorf("oldest of none = %d", got)
	}
}

// TestZombieIsGone walks over a pod whose only process has ended and was not waited for.
func TestZombieIsGone(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "true")
	waitZombie(t, pod.pid)
	s := Walk(context.Background(), noRuntime(t))
	for _, r := range s.Records {
		if r.Sandbox.UID == pod.uid {
			t.Errorf("a record of %d samples for a zombie", len(r.Samples))
		}
	}
}

func waitZombie(t *testing.T, pid int) {
	t.Helper()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
}

func TestBoundedRead(t *testing.T) {
	whole := process{fd: atCWD}
	file := t.TempDir() + "/file"
	for _, test := range []struct {
		text string
		want string
		more int
		err  error
	}{
		{"", "", 0, errMalformed},
		{"one\n", "one\n", 0, nil},
		{"1234567\n", "1234567\n", 0, nil}, // to the byte
		{"one\ntwo\nthree\n", "one\ntwo\n", 1, errTooLarge},
		{"one\nmuchtoolong\nthree\n", "one\n", 2, errTooLarge},
	} {
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, more, err := whole.read(file, make([]byte, 8))
		if string(got) != test.want || more != test.more || !errors.Is(err, test.err) {
			t.Errorf("%q: %q, %d, %v; want %q, %d, %v", test.text, got, more, err, test.want, test.more, test.err)
		}
	}
}
