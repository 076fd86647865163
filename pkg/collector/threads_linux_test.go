package collector

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// threadNamespaces are the network namespaces of this process's threads, by thread id.
func threadNamespaces(t *testing.T) map[string]string {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(links) == 0 {
		t.Fatalf("%d threads, %v", len(links), err)
	}
	threads := map[string]string{}
	for _, link := range links {
		if ns, err := os.Readlink(link); err == nil { // else it has just ended
			threads[strings.Split(link, "/")[4]] = ns
		}
	}
	return threads
}

// TestThreadsReturn enters namespaces again and again from several goroutines, and wants every thread back where it began, and
// no more of them than a few.
func TestThreadsReturn(t *testing.T) {
	needsRoot(t)
	pods := startSleepers(t, 3)
	rounds := trial.Rounds(2000, 100_000)
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	threads := len(threadNamespaces(t))
	entered := make([]uint64, 4)
	var wg sync.WaitGroup
	for worker := range entered {
		wg.Go(func() {
			for i := range rounds / len(entered) {
				p, err := openProcess(pods[(i+worker)%len(pods)].pid)
				if err != nil {
					t.Error(err)
					return
				}
				err = p.dial(func(c *netlink.Config) error {
					if c == nil {
						t.Error("the pod is in the namespace of the test")
					}
					conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, c)
					if err != nil {
						return err
					}
					return conn.Close()
				})
				p.close()
				if err != nil {
					t.Error(err)
					return
				}
				entered[worker]++
			}
		})
	}
	wg.Wait()
	lost, total := 0, 0
	for _, n := range entered {
		total += int(n)
	}
	after := threadNamespaces(t)
	for id, ns := range after {
		if ns != home {
			lost++
			t.Errorf("thread %s stayed in %s, not %s", id, ns, home)
		}
	}
	if len(after) > threads+32 {
		t.Errorf("%d threads, %d before", len(after), threads)
	}
	trial.Record(t, trial.Result{Group: trial.Privilege, Claim: "every thread is back in its network namespace after the collector has entered those of pods",
		Runs: total, Survived: total - lost, Lost: lost})
}

// TestFailedRestoreEndsTheThread makes every return to the own namespace fail, by strace in the place of the kernel, and wants
// the thread to end at once, without having done anything in the pod's namespace, and the counters of others untouched by it.
func TestFailedRestoreEndsTheThread(t *testing.T) {
	needsRoot(t, "strace", "setpriv", "go")
	program := program(t)
	pods := startSleepers(t, 5)
	log := openDir(t) + "/strace"
	cmd := profiles[0].command(t.Context(), program, "--once", "--node", "node-a", "--run", "r", "--metrics", "all", "--cri-socket", "/none", "--samples", "2")
	cmd.Args = append([]string{"strace", "-f", "-qq", "-o", log, "-e", "inject=setns:error=EPERM:when=2+2"}, cmd.Args...) // counted by thread: enter, return
	cmd.Path = "/usr/bin/strace"
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s := decodeFrame(t, out)
	for _, pod := range pods {
		r := recordOf(t, s, pod.uid)
		wantValue(t, r, 0, "cosanet_read_success", "sockets")
		wantValue(t, r, 1, "cosanet_read_success", "snmp")
		if seenOf(r).Sockets {
			t.Errorf("%s: sockets, of a namespace that nobody could be sure of", pod)
		}
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// What a goroutine does that returns an error, and the runtime to a thread that stays locked.
	ending := []string{"setns", "close", "futex", "epoll_ctl", "sigaltstack", "rt_sigprocmask", "rt_sigreturn", "getpid", "tgkill", "munmap", "madvise", "clone", "exit", "exit_group", "nanosleep", "fcntl", "mmap", "sched_yield", "gettid", "write"}
	failed, ended, parked := map[string]bool{}, map[string]bool{}, map[string]int{} // since so many calls
	calls := 0
	call := regexp.MustCompile(`^(\d+) +([a-z0-9_]+)\(`)
	for l := range strings.Lines(string(text)) {
		m := call.FindStringSubmatch(l)
		thread, _, _ := strings.Cut(l, " ")
		calls++
		switch {
		case strings.Contains(l, "(INJECTED)"):
			failed[thread] = true
		case m == nil || !failed[thread]:
		case m[2] == "exit":
			ended[thread] = true
		case strings.Contains(l, "FUTEX_WAIT"):
			parked[thread] = calls
		case !slices.Contains(ending, m[2]):
			t.Errorf("a thread in a pod's namespace does %s", l)
		}
	}
	lost := 0
	for thread := range failed {
		if since, waits := parked[thread]; waits && !ended[thread] && calls-since > 500 { // else the process ended first
			lost++
			t.Errorf("thread %s lives on in a pod's namespace", thread)
		}
	}
	if len(failed) < 2*len(pods) {
		t.Errorf("%d threads could not return, want one for each pod and sample at least", len(failed))
	}
	trial.Record(t, trial.Result{Group: trial.Privilege, Claim: "a thread that cannot return to its namespace ends, and nothing is read by it",
		Runs: len(failed), Faults: len(failed), Survived: len(failed) - lost, Lost: lost})
}
