package collector

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "write the seccomp profile")

// allowedPaths is everything that the collector opens or asks for by name; docs/security.md has the same list. N is a number,
// SOCKET one of criSockets or the one that --cri-socket names, NAME a file in that directory, self the collector itself.
var allowedPaths = []string{
	"/proc",
	"/proc/N",
	"/proc/N/cgroup",
	"/proc/N/stat",
	"/proc/N/ns/net",
	"/proc/N/net/{snmp,snmp6,netstat,sockstat,sockstat6,dev,stat/nf_conntrack,raw,raw6,icmp,icmp6,udplite,udplite6}",
	"/proc/1/net/{softnet_stat,stat/arp_cache,stat/ndisc_cache}",
	"/proc/sys/net/netfilter/nf_conntrack_max",
	"/proc/sys/net/ipv4/{ip_local_port_range,ip_local_reserved_ports,tcp_mem,tcp_max_orphans,neigh/default/gc_thresh3}",
	"/proc/sys/net/ipv6/neigh/default/gc_thresh3",
	"/proc/thread-self/net/snmp",
	"/proc/self/ns/net",
	"/proc/thread-self/ns/net",
	"/proc/self/task/N/ns/net",
	"{/run/netns,/proc/1/root/run/netns,/proc/1/root/var/run/netns}",
	"{/run/netns,/proc/1/root/run/netns,/proc/1/root/var/run/netns}/NAME",
	"{/proc/1/root/SOCKET,SOCKET}",
	"/proc/self{,/exe,/cgroup,/mountinfo,/stat,/limits,/fd,/net/netstat}",
	"/proc/stat",
	"/proc/sys/net/core/somaxconn",
	"/sys/fs/cgroup/{cpu.max,cpu/cpu.cfs_quota_us,cpu/cpu.cfs_period_us}",
	"/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
	"/etc/localtime",
	"/cosanet-collector",
}

// allowedCalls are the system calls that the collector makes, by what for. deploy/seccomp allows these and no others.
var allowedCalls = map[string]string{
	"files":     "close faccessat fcntl fstat getdents64 newfstatat openat pread64 read readlinkat statfs write",
	"namespace": "setns",
	"sockets":   "accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmsg sendmsg setsockopt shutdown socket",
	"waiting":   "epoll_create1 epoll_ctl epoll_pwait eventfd2 futex nanosleep sched_yield",
	"memory":    "madvise mmap munmap",
	"threads":   "arch_prctl clone exit exit_group getpid gettid prctl prlimit64 sched_getaffinity sigaltstack tgkill uname",
	"signals":   "restart_syscall rt_sigaction rt_sigprocmask rt_sigreturn",
	"time":      "clock_gettime getrandom",
	starting:    "brk capget capset chdir close_range dup3 execve faccessat2 fchdir fchown fstatfs getcwd getegid geteuid getgid getppid getuid mprotect openat2 setgid setgroups setresgid setresuid setuid statx umask",
}

// starting is the group of what runc and crun do between the filter and the program; the collector itself makes none of it.
const starting = "starting"

// rarely are the calls that a trace need not have, and when they are made.
var rarely = map[string]string{
	"clock_gettime": "without a vDSO", "getrandom": "without a vDSO",
	"getpid": "a thread is preempted by a signal", "tgkill": "a thread is preempted by a signal", "rt_sigreturn": "a thread is preempted by a signal",
	"restart_syscall": "a wait that a signal interrupted", "sched_yield": "threads that contend",
	"madvise": "memory that goes back to the kernel", "munmap": "memory that goes back to the kernel",
	"shutdown": "a client that hangs up first", "exit": "a thread that could not be restored",
}

// callNames are the allowed calls but those of one group.
func callNames(but string) []string {
	var names []string
	for group, calls := range allowedCalls {
		if group != but {
			names = append(names, strings.Fields(calls)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// expanded writes out {a,b} of a pattern.
func expanded(pattern string) []string {
	before, rest, ok := strings.Cut(pattern, "{")
	if !ok {
		return []string{pattern}
	}
	choices, after, _ := strings.Cut(rest, "}")
	var all []string
	for choice := range strings.SplitSeq(choices, ",") {
		all = append(all, expanded(before+choice+after)...)
	}
	return all
}

func allowedPath(name string) bool {
	return slices.ContainsFunc(allowedPaths, func(pattern string) bool { return slices.Contains(expanded(pattern), name) })
}

// TestSecurityDocument holds docs/security.md to the lists above.
func TestSecurityDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)<!-- (paths|calls) -->\n```\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	got := map[string][]string{}
	for _, b := range blocks {
		got[b[1]] = strings.Split(strings.TrimSpace(b[2]), "\n")
	}
	var calls []string
	for _, group := range slices.Sorted(maps.Keys(allowedCalls)) {
		calls = append(calls, group+": "+allowedCalls[group])
	}
	if diff := cmp.Diff(map[string][]string{"paths": allowedPaths, "calls": calls}, got); diff != "" {
		t.Errorf("the lists of the test (-) and of docs/security.md (+):\n%s", diff)
	}
}

// seccompFile is for the kubelet's folder of seccomp profiles; containers/common and containerd read it as the runtime does.
const seccompFile = "../../deploy/seccomp/cosanet-collector.json"

// Part of the runtime specification's linux.seccomp (config-linux.md).
type seccompProfile struct {
	DefaultAction   string        `json:"defaultAction"`
	DefaultErrnoRet int           `json:"defaultErrnoRet"`
	Architectures   []string      `json:"architectures"`
	Syscalls        []seccompRule `json:"syscalls"`
}

type seccompRule struct {
	Names  []string     `json:"names"`
	Action string       `json:"action"`
	Args   []seccompArg `json:"args,omitempty"`
}

type seccompArg struct {
	Index    int    `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"`
}

// wantSeccomp makes the profile of the lists. Three calls are allowed with some arguments only: sockets of four families, no
// new namespace, and of the existing ones none but those of the network are entered.
func wantSeccomp() seccompProfile {
	const allow, equal, newNamespaces = "SCMP_ACT_ALLOW", "SCMP_CMP_EQ", 0x7e020000 // CLONE_NEW*
	narrowed := []string{"clone", "setns", "socket"}
	names := slices.DeleteFunc(callNames(""), func(name string) bool { return slices.Contains(narrowed, name) })
	p := seccompProfile{
		DefaultAction: "SCMP_ACT_ERRNO", DefaultErrnoRet: 1, // EPERM
		Architectures: []string{"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"},
		Syscalls: []seccompRule{
			{Names: names, Action: allow},
			{Names: []string{"clone"}, Action: allow, Args: []seccompArg{{Index: 0, Value: newNamespaces, Op: "SCMP_CMP_MASKED_EQ"}}},
			{Names: []string{"setns"}, Action: allow, Args: []seccompArg{{Index: 1, Value: 0x40000000, Op: equal}}}, // CLONE_NEWNET
		},
	}
	for _, family := range []uint64{1, 2, 10, 16} { // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
		p.Syscalls = append(p.Syscalls, seccompRule{Names: []string{"socket"}, Action: allow, Args: []seccompArg{{Index: 0, Value: family, Op: equal}}})
	}
	return p
}

// TestSeccompProfile holds the file that is shipped to the lists above; -update writes it.
func TestSeccompProfile(t *testing.T) {
	want, err := json.MarshalIndent(wantSeccomp(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.File(t, seccompFile, string(want)+"\n", *update)
}
