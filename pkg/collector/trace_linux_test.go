package collector

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// trace is what a process did, by strace.
type trace struct {
	calls map[string]string // by name: one line of each
	paths map[string]string // as allowedPaths spells them: one line of each
	lines []string
}

var (
	calledName = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(`)
	calledPath = regexp.MustCompile(`^\d+ +[a-z0-9_]+\((?:(?:AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"`)
	calledUnix = regexp.MustCompile(`sun_path="([^"]*)"`)
	digits     = regexp.MustCompile(`/\d+(/|$)`)
)

// byName are the system calls whose first path is a file's.
var byName = []string{"open", "openat", "openat2", "newfstatat", "statx", "stat", "lstat", "statfs", "readlink", "readlinkat", "access", "faccessat", "faccessat2", "chdir", "mkdirat", "unlinkat", "renameat2"}

// readTrace reads a log of strace -f -y from the first line on that has the text given.
func readTrace(t *testing.T, log, first, program, socket string) *trace {
	t.Helper()
	file, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tr := &trace{calls: map[string]string{}, paths: map[string]string{}}
	self := "" // the program's pid
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20) // strace writes out every socket of a dump, all on one line
	for lines.Scan() {
		l := lines.Text()
		if self == "" && strings.Contains(l, first) {
			self = strings.Fields(l)[0]
		}
		m := calledName.FindStringSubmatch(l)
		if self == "" || m == nil {
			continue
		}
		tr.lines = append(tr.lines, l)
		tr.calls[m[1]] = l
		name := ""
		if at := calledPath.FindStringSubmatch(l); at != nil && slices.Contains(byName, m[1]) {
			if name = at[2]; !path.IsAbs(name) {
				name = path.Join(strings.TrimSuffix(at[1], " (deleted)"), name)
			}
		} else if at := calledUnix.FindStringSubmatch(l); at != nil {
			name = at[1]
		}
		if name != "" {
			tr.paths[spelled(name, program, socket, self)] = l
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("reading %s: %v", log, err)
	}
	if self == "" {
		t.Fatalf("no %s in %s", first, log)
	}
	return tr
}

// spelled writes a path as allowedPaths does.
func spelled(name, program, socket, self string) string {
	for _, root := range []string{"/proc/1/root/", "/"} {
		if rest, ok := strings.CutPrefix(name, root); ok && (slices.Contains(criSockets, "/"+rest) || socket == "/"+rest) {
			if root == "/" {
				return "SOCKET"
			}
			return root + "SOCKET"
		}
	}
	if name == program {
		return "/cosanet-collector"
	}
	if dir := path.Dir(name); path.Base(dir) == "netns" {
		return dir + "/NAME"
	}
	if allowedPath(name) && strings.HasPrefix(name, "/proc/1/net/") || strings.HasPrefix(name, "/proc/1/root/") {
		return name
	}
	if rest, ok := strings.CutPrefix(name, "/proc/"+self); ok && (rest == "" || rest[0] == '/') && !allowedPath("/proc/N"+rest) {
		return "/proc/self" + rest
	}
	return digits.ReplaceAllString(name, "/N$1")
}

// straced runs the program under strace as a process of the profile, and what do does with it meanwhile.
func (p profile) straced(t *testing.T, program, socket string, do func(log string, pid func() int, stderr *bufio.Reader), args ...string) *trace {
	t.Helper()
	log := openDir(t) + "/strace"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := p.command(ctx, append([]string{program, "--node", "node-a", "--metrics", "all", "--cri-socket", socket}, args...)...)
	cmd.Args = append([]string{"strace", "-f", "-y", "-qq", "-s", "256", "-o", log}, cmd.Args...)
	cmd.Path = "/usr/bin/strace"
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := func() int {
		text, _ := os.ReadFile(log)
		for l := range strings.Lines(string(text)) {
			if strings.Contains(l, `execve("`+program) {
				pid, _ := strconv.Atoi(strings.Fields(l)[0])
				return pid
			}
		}
		t.Fatal("it has not begun")
		return 0
	}
	if do != nil {
		do(log, pid, bufio.NewReader(stderr))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return readTrace(t, log, `execve("`+program, program, socket)
}

// mutating finds what would change a file, by the flags with which it is opened.
var mutating = regexp.MustCompile(`^\d+ +open(at2?)?\(.*\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND)\b`)

// TestTouchesOnlyWhatIsAllowed traces whole walks of every profile, once and as an exporter, and wants every path and every
// system call of them in the lists, and every entry of the lists used.
func TestTouchesOnlyWhatIsAllowed(t *testing.T) {
	needsRoot(t, "strace", "setpriv", "go")
	program := program(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	startSleepers(t, 2)
	socket := rootsRuntime(t, pod)
	calls, lost, lines := map[string]bool{}, 0, 0
	check := func(what string, tr *trace) {
		allowed := append(callNames(starting), "execve")
		wrong := func(format, l string) {
			lost++
			t.Errorf("%s: "+format+": %s", what, l)
		}
		for name, l := range tr.calls {
			if calls[name] = true; !slices.Contains(allowed, name) {
				wrong("a system call that is not allowed", l)
			}
		}
		for name, l := range tr.paths {
			if !allowedPath(name) {
				wrong("a path that is not allowed ("+name+")", l)
			}
		}
		for _, l := range tr.lines {
			if mutating.MatchString(l) {
				wrong("opened to be changed", l)
			}
			if strings.HasPrefix(what, "once") && strings.Contains(l, "socket(AF_INET") {
				wrong("a socket of the network", l)
			}
		}
		lines += len(tr.lines)
	}
	for _, p := range profiles {
		check("once as "+p.name, p.straced(t, program, socket, nil, "--once", "--samples", "2", "--interval", "10ms"))
		check("serve as "+p.name, p.straced(t, program, socket, func(_ string, pid func() int, stderr *bufio.Reader) {
			url := "http://" + listeningAt(t, stderr)
			for _, page := range []string{"/metrics", "/metrics", "/", "/healthz", "/readyz"} {
				scrape(t, url+page, "text/plain")
			}
			if err := syscall.Kill(pid(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}, "--serve", "--listen", "127.0.0.1:0", "--cache-duration", "0s"))
	}
	check("ctnetlink", stracedConntrack(t, pod))
	for _, name := range callNames(starting) {
		if !calls[name] && rarely[name] == "" {
			t.Errorf("%s is allowed, and nobody has made that call", name)
		}
	}
	if lines < 2000 {
		t.Errorf("%d system calls seen, want those of seven runs", lines)
	}
	trial.Record(t, trial.Result{Group: trial.Privilege, Claim: "every path and system call of a walk is on the list of docs/security.md, for each profile, once and as an exporter",
		Runs: lines, Survived: lines - lost, Lost: lost})
}

// stracedConntrack traces how connection tracking is read where the kernel has no file for it. No switch of a kernel that has
// one takes it away, so here the inhabitant of a pod reads another's.
func stracedConntrack(t *testing.T, pod *testPod) *trace {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := openDir(t) + "/strace"
	cmd := exec.CommandContext(t.Context(), "strace", "-f", "-y", "-qq", "-s", "256", "-o", log, exe)
	cmd.Env = append(os.Environ(), inhabitantEnv+"=1")
	cmd.Stdin = strings.NewReader("ctnetlink - " + strconv.Itoa(pod.pid) + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "ok\n") {
		t.Fatalf("%v: %s", err, out)
	}
	tr := readTrace(t, log, `"ctnetlink - `, exe, "")
	for _, name := range threadsOfC { // under the race detector this test is linked with C, and threads may be made at any moment
		delete(tr.calls, name)
	}
	return tr
}

// threadsOfC are the system calls by which glibc makes a thread, which the collector, linked without it, does not make.
var threadsOfC = []string{"clone3", "mprotect", "rseq", "set_robust_list"}
