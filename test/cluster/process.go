package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a process that up started. A pid alone does not name one: the kernel hands it out again. The pid with
// the time the process started does (field 22 of /proc/PID/stat, in clock ticks since boot).
type Process struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// startTime returns when the process with this pid started, and whether it still runs (a zombie does not).
func startTime(pid int) (ticks uint64, running bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	return parseStat(string(stat))
}

// parseStat reads a line of /proc/PID/stat (man 5 proc_pid_stat). The command name in parentheses may itself hold
// spaces and parentheses, so the fields are counted from the last one.
func parseStat(stat string) (ticks uint64, running bool) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, false
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil && fields[0] != "Z" && fields[0] != "X"
}

func (p Process) alive() bool {
	ticks, running := startTime(p.PID)
	return running && ticks == p.Start
}

func (p Process) state() string {
	if p.alive() {
		return "running"
	}
	return "ended"
}

// kill ends the process and waits until it is gone. It does nothing to a process that merely has its pid.
func (p Process) kill() error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening process %d (%s): %w", p.PID, p.Name, err)
	}
	defer unix.Close(fd)
	if !p.alive() { // asked after the open: from here on fd is this process or none
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("killing process %d (%s): %w", p.PID, p.Name, err)
	}
	const patience = 20 * time.Second // the end of a node waits for all of its pods
	for deadline := time.Now().Add(patience); ; {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, max(0, int(time.Until(deadline).Milliseconds())))
		switch {
		case n > 0:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("waiting for process %d (%s): %w", p.PID, p.Name, err)
		case time.Now().After(deadline):
			return fmt.Errorf("process %d (%s) did not end within %s of SIGKILL", p.PID, p.Name, patience)
		}
	}
}

// order is what a started process is told once it is written down: before that it does nothing, and when up dies
// first, it ends. It reads it as JSON from file descriptor 3.
type order struct {
	Cgroups []string   `json:"cgroups"` // folders to enter
	Argv    []string   `json:"argv,omitempty"`
	Node    *nodeOrder `json:"node,omitempty"`
	Path    string     `json:"path,omitempty"`
}

const (
	componentVerb = "component"
	nodeVerb      = "node"
	orderFD       = 3
)

// daemon is a running child of up.
type daemon struct {
	Process
	log    string
	exited chan struct{} // closed when it has ended
}

// start runs this program again as verb, in the network namespace netns and in new namespaces of its own (cloneflags),
// writes it down, and lets it go. It outlives up: its own session, its own log, nothing inherited.
func (s *State) start(name, verb, netns string, cloneflags uintptr, o order) (*daemon, error) {
	return s.launch(name, verb, netns, cloneflags, o, func(p Process) { s.Processes = append(s.Processes, p) })
}

// launch is start for a process that record writes down in its own place.
func (s *State) launch(name, verb, netns string, cloneflags uintptr, o order, record func(Process)) (*daemon, error) {
	log, err := os.OpenFile(s.logPath(name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close()
	orders, tell, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer orders.Close()
	defer tell.Close()

	cmd := exec.Command("/proc/self/exe", verb)
	cmd.Args[0] = s.Name + "-" + name
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{orders}
	cmd.Dir = "/"
	// A proxy set in the shell must not come between the parts of the cluster.
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: cloneflags}
	if err := inNetns(netns, cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	d := &daemon{Process: Process{Name: name, PID: cmd.Process.Pid}, log: s.logPath(name), exited: make(chan struct{})}
	go func() {
		cmd.Wait() // its exit status is in its log's last words
		close(d.exited)
	}()
	d.Start, _ = startTime(d.PID)
	record(d.Process)
	if err := s.save(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(tell).Encode(o); err != nil {
		return nil, fmt.Errorf("starting %s: %w\n%s", name, err, tail(d.log))
	}
	return d, nil
}

// awaitOrder is the other side of start.
func awaitOrder() (order, error) {
	var o order
	pipe := os.NewFile(orderFD, "order")
	defer pipe.Close()
	if err := json.NewDecoder(pipe).Decode(&o); err != nil {
		return o, fmt.Errorf("waiting for the order to start: %w", err)
	}
	for _, dir := range o.Cgroups {
		if err := os.WriteFile(dir+"/cgroup.procs", []byte("0"), 0); err != nil { // 0: the writer
			return o, fmt.Errorf("entering the cgroup: %w", err)
		}
	}
	return o, nil
}

// runComponent becomes a component of the control plane. A thousand hollow nodes are a large heap in the API server, and to collect
// it was a quarter of its time (perf): it is let grow to three times what is in use instead of twice. On two nodes it is nothing.
func runComponent() error {
	o, err := awaitOrder()
	if err != nil {
		return err
	}
	return fmt.Errorf("running %s: %w", o.Path, syscall.Exec(o.Path, o.Argv, append(os.Environ(), "GOGC=200")))
}

// tail returns the last lines of a log, indented, for an error message.
func tail(path string) string {
	const lines, bytes = 20, 16 << 10
	f, err := os.Open(path)
	if err != nil {
		return "  (no log: " + err.Error() + ")"
	}
	defer f.Close()
	if end, err := f.Seek(0, 2); err == nil && end > bytes {
		f.Seek(end-bytes, 0)
	} else {
		f.Seek(0, 0)
	}
	buf := make([]byte, bytes)
	n, _ := f.Read(buf)
	last := strings.Split(strings.TrimRight(string(buf[:n]), "\n"), "\n")
	last = last[max(0, len(last)-lines):]
	return fmt.Sprintf("  the end of %s:\n  | %s", path, strings.Join(last, "\n  | "))
}
