package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hierarchy is a mounted cgroup hierarchy.
type hierarchy struct {
	mount       string
	unified     bool     // cgroup v2
	controllers []string // v1: of its mount options. v2: of cgroup.controllers
}

// hierarchies lists the machine's cgroup hierarchies: one on a v2 machine, one a controller on a v1 machine, and
// both kinds on a hybrid one, where v2 has no controllers.
func hierarchies() ([]hierarchy, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("listing cgroup hierarchies: %w", err)
	}
	list := parseHierarchies(string(mountinfo))
	for i, h := range list {
		if h.unified {
			controllers, err := os.ReadFile(filepath.Join(h.mount, "cgroup.controllers"))
			if err != nil {
				return nil, fmt.Errorf("listing cgroup controllers: %w", err)
			}
			list[i].controllers = strings.Fields(string(controllers))
		}
	}
	return list, nil
}

func parseHierarchies(mountinfo string) []hierarchy {
	var list []hierarchy
	for _, m := range parseMounts(mountinfo) {
		same := func(h hierarchy) bool { return h.mount == m.path }
		switch {
		case slices.ContainsFunc(list, same): // mounted twice over
		case m.fstype == "cgroup2":
			list = append(list, hierarchy{mount: m.path, unified: true})
		case m.fstype == "cgroup":
			list = append(list, hierarchy{mount: m.path, controllers: strings.Split(m.super, ",")})
		}
	}
	return list
}

// missingControllers returns those that the kubelet cannot do without and that no hierarchy has.
func missingControllers(list []hierarchy) []string {
	var missing []string
	for _, want := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !slices.ContainsFunc(list, func(h hierarchy) bool { return slices.Contains(h.controllers, want) }) {
			missing = append(missing, want)
		}
	}
	return missing
}

// makeCgroup makes the cgroup path (such as /cosanet/node-1/system) in every hierarchy and returns its folders.
func makeCgroup(list []hierarchy, path string) ([]string, error) {
	var folders []string
	for _, h := range list {
		dir := h.mount
		for part := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
			if err := h.delegate(dir); err != nil {
				return nil, err
			}
			dir = filepath.Join(dir, part)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, fmt.Errorf("making a cgroup: %w", err)
			}
			if err := h.inherit(dir); err != nil {
				return nil, err
			}
		}
		folders = append(folders, dir)
	}
	return folders, nil
}

// delegate lets the children of dir have every controller of it: on v2 a parent grants them.
func (h hierarchy) delegate(dir string) error {
	if !h.unified {
		return nil
	}
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("reading cgroup controllers: %w", err)
	}
	for _, controller := range strings.Fields(string(available)) {
		// One by one: a controller the kernel does not let go of (cpu with real-time processes) spoils no other.
		err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0)
		if err != nil && slices.Contains([]string{"cpu", "cpuset", "memory", "pids"}, controller) {
			return fmt.Errorf("granting cgroup controller %s in %s: %w (in a container: move its processes out of the root cgroup first)", controller, dir, err)
		}
	}
	return nil
}

// inherit gives a new v1 cpuset the processors and memory of its parent: it starts without, and takes no process.
func (h hierarchy) inherit(dir string) error {
	if h.unified || !slices.Contains(h.controllers, "cpuset") {
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), value, 0)
		}
		if err != nil {
			return fmt.Errorf("preparing the cpuset cgroup: %w", err)
		}
	}
	return nil
}

// thaw lets what is frozen below the cgroup path run again. runc freezes a container while it sets its devices; killed in
// that moment it leaves it so, and the v1 freezer lets not even SIGKILL through
// (https://docs.kernel.org/admin-guide/cgroup-v1/freezer-subsystem.html). That of v2 does.
func thaw(list []hierarchy, path string) error {
	for _, h := range list {
		if !slices.Contains(h.controllers, "freezer") {
			continue
		}
		err := filepath.WalkDir(filepath.Join(h.mount, path), func(name string, _ fs.DirEntry, err error) error {
			if err == nil && filepath.Base(name) == "freezer.state" {
				err = os.WriteFile(name, []byte("THAWED"), 0)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("thawing %s: %w", path, err)
		}
	}
	return nil
}

// removeCgroup ends what still runs below the cgroup path and removes it from every hierarchy.
func removeCgroup(list []hierarchy, path string) error {
	if err := thaw(list, path); err != nil {
		return err
	}
	for _, h := range list {
		top := filepath.Join(h.mount, path)
		// A cgroup stays busy for a moment after its last process has gone.
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			err := removeCgroupTree(top)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("removing cgroup %s: %w", top, err)
			}
		}
	}
	return nil
}

func removeCgroupTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeCgroupTree(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for field := range strings.FieldsSeq(string(procs)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			p := Process{Name: "in " + dir, PID: pid}
			p.Start, _ = startTime(pid)
			if err := p.kill(); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}
