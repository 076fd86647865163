package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// nodeOrder is what a node's init process needs to know.
type nodeOrder struct {
	Name       string      `json:"name"`
	Address    string      `json:"address"`
	Var        string      `json:"var"` // the folder that becomes the node's /var
	Kube       string      `json:"kube"`
	Runtime    NodeRuntime `json:"runtime"`
	RuntimeLog string      `json:"runtimeLog"`
	KubeletLog string      `json:"kubeletLog"`
}

// runNode is pid 1 of a node. It makes the node's mounts, runs a container runtime and the kubelet, and reaps the orphans
// of its pid namespace (the shims of containerd are such). When either of the two ends, without a test having wanted it, so
// does it, and with it, by the kernel, every process of the node.
func runNode() error {
	o, err := awaitOrder()
	if err != nil {
		return err
	}
	node := *o.Node
	if err := os.WriteFile("/proc/self/comm", []byte("node"), 0); err != nil {
		return fmt.Errorf("naming the process: %w", err)
	}
	// Opened here: the mounts hide them.
	kube, err := os.OpenFile(node.Kube, unix.O_PATH, 0)
	if err != nil {
		return fmt.Errorf("opening kube: %w", err)
	}
	own, err := node.Runtime.open()
	if err != nil {
		return err
	}
	var logs [2]*os.File
	for i, path := range []string{node.RuntimeLog, node.KubeletLog} {
		if logs[i], err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return fmt.Errorf("opening a log: %w", err)
		}
	}
	if err := node.mount(); err != nil {
		return err
	}
	if err := node.setUp(); err != nil {
		return err
	}
	if err := own.install(); err != nil {
		return err
	}
	cri := containerRuntimeOf(node.Runtime.Name)
	if cri.prepare != nil {
		if err := cri.prepare(); err != nil {
			return err
		}
	}
	path, err := exec.LookPath(cri.program)
	if err != nil {
		return fmt.Errorf("starting the container runtime: %w", err)
	}
	all := services{runtime: cri, running: map[int]*service{}, failed: make(chan error, 2)}
	pid, err := all.start(service{path, append([]string{cri.program}, cri.args...), logs[0]})
	if err != nil {
		return err
	}
	if err := cri.awaitSocket(pid); err != nil {
		return err
	}
	if err := bindFile(kube, "/run/kubelet"); err != nil {
		return err
	}
	if _, err := all.start(service{"/run/kubelet", []string{"kubelet",
		"--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/var/lib/kubelet/kubeconfig",
		"--hostname-override=" + node.Name, "--node-ip=" + node.Address}, logs[1]}); err != nil {
		return err
	}
	return all.reap(node.Name)
}

// mount gives the node its own /proc, /var and /run, invisible to the machine. Within the node mounts are shared, as
// systemd makes them and as pods with mountPropagation: Bidirectional want.
func (n nodeOrder) mount() error {
	mounts := []struct {
		what           string
		source, target string
		fstype         string
		flags          uintptr
		data           string
	}{
		{"sharing mounts within the node", "", "/", "", unix.MS_REC | unix.MS_SHARED, ""},
		{"mounting /proc", "proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"mounting /var", n.Var, "/var", "", unix.MS_BIND, ""},
		{"mounting /run", "tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cutting mounts off from the machine: %w", err)
	}
	if err := letGoOfNamespaces(); err != nil {
		return err
	}
	for _, m := range mounts {
		if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.data); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
	}
	return nil
}

// letGoOfNamespaces unmounts the namespaces that the machine keeps by mounts, those of other clusters among them:
// a copy of such a mount in this node would keep the namespace alive after the machine has let go of it.
func letGoOfNamespaces() error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("listing mounts: %w", err)
	}
	for _, m := range parseMounts(string(mountinfo)) {
		if m.fstype != "nsfs" {
			continue
		}
		if err := unmount(m.path); err != nil {
			return err
		}
	}
	return nil
}

// bindFile makes an open file appear at path.
func bindFile(f *os.File, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	return bind(f, path)
}

// bind mounts an open file or folder on a path, and closes it.
func bind(f *os.File, path string) error {
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", path, err)
	}
	return f.Close()
}

// setUp fills /var and /run, and sets the node's host name and sysctls.
func (n nodeOrder) setUp() error {
	for _, dir := range []string{"/var/log", "/var/cache", "/run/lock", "/run/sysctl"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll("/var/tmp", 0o777|os.ModeSticky); err != nil {
		return err
	}
	for link, target := range map[string]string{"/var/run": "/run", "/var/lock": "/run/lock"} {
		if err := os.Symlink(target, link); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	if err := unix.Sethostname([]byte(n.Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	for _, file := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net", file), []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("setting a sysctl: %w", err)
		}
	}
	if err := wholeProc(); err != nil {
		return err
	}
	return shadowSysctls()
}

// wholeProc mounts /proc once more, where nothing is mounted over any of it: in a user namespace of its own a pod (hostUsers: false)
// may have a /proc only while one can be seen whole (mount_too_revealing in the kernel's fs/namespace.c).
func wholeProc() error {
	const path = "/run/proc"
	if err := os.Mkdir(path, 0o555); err != nil {
		return err
	}
	if err := unix.Mount("proc", path, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mounting /proc whole: %w", err)
	}
	return nil
}

// shadowSysctls keeps the kubelet from changing the machine: it sets these sysctls, which no namespace contains
// (kernel.panic reboots on an oops), unless they have the value it wants (kubernetes: pkg/util/sysctl). So within
// the node they are plain files that do.
func shadowSysctls() error {
	for name, value := range map[string]string{
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/keys/root_maxbytes": "25000000",
	} {
		file := filepath.Join("/run/sysctl", filepath.Base(filepath.Dir(name))+"."+filepath.Base(name))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return fmt.Errorf("shadowing sysctl %s: %w", name, err)
		}
		if err := unix.Mount(file, filepath.Join("/proc/sys", name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("shadowing sysctl %s: %w", name, err)
		}
	}
	return nil
}

// spawn starts a child without package os's bookkeeping: services waits for every child itself.
func spawn(path string, argv []string, log *os.File) (pid int, err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return 0, err
	}
	defer null.Close()
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(),
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	return pid, nil
}

// served tells whether something accepts connections on a unix socket.
func served(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// awaitSocket waits until the runtime accepts connections, as long as its process lives.
func (r containerRuntime) awaitSocket(pid int) error {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if served(r.socket) {
			return nil
		}
		var status syscall.WaitStatus
		if ended, _ := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); ended == pid {
			return fmt.Errorf("%s has ended (%s) before it served %s", r.program, describe(status), r.socket)
		}
	}
	return fmt.Errorf("nothing serves %s after a minute", r.socket)
}
