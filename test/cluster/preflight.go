package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// need is a program, and the Debian package that has it.
type need struct{ program, pkg string }

// needs are the programs that every cluster runs.
var needs = []need{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"ip", "iproute2"},
	{"iptables", "iptables"},
	{"mount", "mount"},
	{"nsenter", "util-linux"},
}

// cniPlugins are those that the nodes' network configuration names, all of package containernetworking-plugins.
var cniPlugins = []string{"bridge", "host-local", "loopback", "portmap"}

// cniDirs are where distributions keep CNI plugins.
var cniDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// machine is what preflight looks at.
type machine struct {
	uid         int
	lookPath    func(string) (string, error)
	exists      func(path string) bool
	filesystems string // /proc/filesystems
	hierarchies []hierarchy
	interfaces  []string
	kubeBuilt   bool
}

func thisMachine(kubeBuilt bool) (machine, error) {
	m := machine{uid: os.Geteuid(), lookPath: exec.LookPath, kubeBuilt: kubeBuilt}
	m.exists = func(path string) bool { _, err := os.Stat(path); return err == nil }
	fs, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return m, fmt.Errorf("listing file systems: %w", err)
	}
	m.filesystems = string(fs)
	links, err := net.Interfaces()
	if err != nil {
		return m, fmt.Errorf("listing interfaces: %w", err)
	}
	for _, l := range links {
		m.interfaces = append(m.interfaces, l.Name)
	}
	m.hierarchies, err = hierarchies()
	return m, err
}

// preflight says, all at once and before anything is made, what stands in the way of a cluster of this name and its
// container runtimes.
func preflight(m machine, s *State) error {
	var problems, packages []string
	missing := func(what, pkg string) {
		problems = append(problems, what+" is missing (package "+pkg+")")
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	if m.uid != 0 {
		problems = append(problems, "not root: a node is made of namespaces, mounts and cgroups")
	}
	wanted := slices.Clone(needs)
	for _, r := range s.Runtimes {
		wanted = append(wanted, containerRuntimeOf(r.Name).needs...)
	}
	for _, n := range wanted {
		if _, err := m.lookPath(n.program); err != nil {
			missing(n.program, n.pkg)
		}
	}
	if dir := m.cniDir(); dir == "" {
		missing("a folder with the CNI plugins "+strings.Join(cniPlugins, ", "), "containernetworking-plugins")
	}
	if _, err := m.lookPath("go"); err != nil && !m.kubeBuilt {
		problems = append(problems, "go is missing: Kubernetes is built from its Go modules, see https://go.dev/dl")
	}
	if !slices.Contains(strings.Fields(m.filesystems), "overlay") {
		problems = append(problems, "the kernel has no overlay file system: try `modprobe overlay`")
	}
	if c := missingControllers(m.hierarchies); len(c) > 0 {
		problems = append(problems, "no cgroup hierarchy has the controllers "+strings.Join(c, ", ")+
			": mount them, or in a container run it privileged with its own cgroup namespace")
	}
	for _, what := range m.taken(s) {
		problems = append(problems, what+" exists, but no cluster in "+s.dir+": choose another --name or the right --dir")
	}
	if len(problems) == 0 {
		return nil
	}
	text := "this machine is not ready:\n  - " + strings.Join(problems, "\n  - ")
	if len(packages) > 0 {
		text += "\non Debian or Ubuntu: apt-get install " + strings.Join(packages, " ")
	}
	return errors.New(text)
}

// taken lists what has the cluster's name already. Who is not root cannot know what cluster that is.
func (m machine) taken(s *State) []string {
	var list []string
	for _, h := range m.hierarchies {
		if dir := filepath.Join(h.mount, s.Name); m.uid == 0 && m.exists(dir) {
			list = append(list, "cgroup "+dir)
			break // one hierarchy tells as much as all
		}
	}
	if m.uid == 0 && slices.Contains(m.interfaces, s.hostLink()) {
		list = append(list, "interface "+s.hostLink())
	}
	return list
}

// cniDir is the first folder that holds every plugin.
func (m machine) cniDir() string {
	for _, dir := range cniDirs {
		if !slices.ContainsFunc(cniPlugins, func(p string) bool { return !m.exists(filepath.Join(dir, p)) }) {
			return dir
		}
	}
	return ""
}
