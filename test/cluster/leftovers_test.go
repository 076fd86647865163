package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// checkDownOfAll is checkDown for a whole cluster. An empty list proves something only if it was not empty before.
func (c testCluster) checkDownOfAll() {
	c.Helper()
	namespaces := c.namespaces()
	var kinds []string
	for _, found := range c.leftovers(namespaces) {
		kind, _, _ := strings.Cut(found, " ")
		if !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	for _, kind := range []string{"process", "namespace", "mount", "cgroup", "interface", "route"} {
		if !slices.Contains(kinds, kind) {
			c.Errorf("nothing of kind %q is found while the cluster is up: its absence would prove nothing", kind)
		}
	}
	c.checkDown()
}

// checkDown takes the cluster down and lists what is still there of it.
func (c testCluster) checkDown() {
	c.Helper()
	namespaces := c.namespaces()
	c.must("down")
	c.checkNothingLeft(namespaces)
	if _, err := os.Stat(c.dir); !errors.Is(err, fs.ErrNotExist) {
		c.Errorf("down left the folder: %v", err)
	}
	c.must("down") // and is no error without a cluster
}

// checkNothingLeft gives the machine's init a moment to reap what has ended: until then it is listed as a zombie.
func (c testCluster) checkNothingLeft(namespaces map[string]bool) {
	c.Helper()
	var left []string
	for range 500 {
		if left = c.leftovers(namespaces); len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.Errorf("left of the cluster:\n%s", strings.Join(left, "\n"))
}

// processes calls f for every process with its /proc folder.
func processes(f func(dir string)) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		f(dir)
	}
}

// ours says whether a process is in a cgroup of the cluster.
func (c testCluster) ours(dir string) bool {
	cgroup, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	return err == nil && (strings.Contains(string(cgroup), ":/"+c.name+"/") || strings.Contains(string(cgroup), ":/"+c.name+"\n"))
}

// namespaces returns those that processes of the cluster are in and this test is not, such as net:[4026532281].
func (c testCluster) namespaces() map[string]bool {
	found := map[string]bool{}
	processes(func(dir string) {
		if !c.ours(dir) {
			return
		}
		for _, kind := range []string{"net", "pid", "mnt", "uts", "ipc"} {
			ns, err := os.Readlink(filepath.Join(dir, "ns", kind))
			own, _ := os.Readlink("/proc/self/ns/" + kind)
			if err == nil && ns != own {
				found[ns] = true
			}
		}
	})
	return found
}

// leftovers lists everything on the machine that is of the cluster, by its cgroup, its folder, its namespaces, its
// interface and its network; not by a comparison of all there is, for other tests may run.
func (c testCluster) leftovers(namespaces map[string]bool) []string {
	var found []string
	add := func(kind, what string) { found = append(found, kind+" "+what) }
	mounts := map[string]bool{} // by line: a mount namespace is seen through many processes
	processes(func(dir string) {
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if args := strings.ReplaceAll(string(cmdline), "\x00", " "); c.ours(dir) || strings.Contains(args, c.dir) {
			add("process", dir+" "+args)
		}
		for _, kind := range []string{"net", "pid", "mnt", "uts", "ipc"} {
			if ns, err := os.Readlink(filepath.Join(dir, "ns", kind)); err == nil && namespaces[ns] {
				add("namespace", dir+" is in "+ns)
			}
		}
		mountinfo, _ := os.ReadFile(filepath.Join(dir, "mountinfo")) // of every mount namespace: another cluster's node must not hold ours
		for _, m := range parseMounts(string(mountinfo)) {
			line := fmt.Sprintf("%+v", m)
			if (strings.HasPrefix(m.path, c.dir) || namespaces[m.root]) && !mounts[line] {
				mounts[line] = true
				add("mount", line+" in "+dir)
			}
		}
	})
	list, err := hierarchies()
	if err != nil {
		c.Fatal(err)
	}
	for _, h := range list {
		if _, err := os.Stat(filepath.Join(h.mount, c.name)); err == nil {
			add("cgroup", filepath.Join(h.mount, c.name))
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		c.Fatal(err)
	}
	for _, l := range links {
		if strings.HasPrefix(l.Name, c.name) {
			add("interface", l.Name)
		}
	}
	routes, err := exec.Command("ip", "route", "show", "table", "all").Output()
	if err != nil {
		c.Fatal(err)
	}
	for line := range strings.Lines(string(routes)) {
		if strings.Contains(line, " dev "+c.name) {
			add("route", strings.TrimSpace(line))
		}
	}
	return found
}
