package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// State is what a cluster's folder remembers: every process, mount, cgroup and interface that up made is written
// down before it is made (a process: before it is let go), so that down finds it even after up was killed.
type State struct {
	Name      string            `json:"name"`
	Boot      string            `json:"boot"` // the kernel's boot id: nothing of another boot can still run
	Created   time.Time         `json:"created"`
	Nodes     int               `json:"nodes"`
	Subnet    netip.Prefix      `json:"subnet"`
	Kube      string            `json:"kube"`               // the multi-call binary
	Runtimes  []NodeRuntime     `json:"runtimes,omitempty"` // of the last nodes; the others have the machine's
	Tokens    map[string]string `json:"tokens"`
	Up        bool              `json:"up"` // up has finished
	Processes []Process         `json:"processes"`
	Hollow    *Hollow           `json:"hollow,omitempty"`
	Mounts    []string          `json:"mounts"`
	Cgroup    string            `json:"cgroup"` // this folder, in every hierarchy
	Link      string            `json:"link"`   // the interface in the machine's own network namespace

	dir string
}

const stateFile = "state.json"

// save replaces the state file as a whole.
func (s *State) save() error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the cluster's state: %w", err)
	}
	path := filepath.Join(s.dir, stateFile)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the cluster's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the cluster's state: %w", err)
	}
	return nil
}

// load reads the state of the cluster in dir; an error that is fs.ErrNotExist means that there is none.
func load(dir string) (*State, error) {
	path := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's state: %w", err)
	}
	s := &State{dir: dir}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading %s: %w: end its processes by hand and remove %s", path, err, dir)
	}
	return s, nil
}

// loadRunning is load for the verbs that need a finished cluster.
func loadRunning(o options) (*State, error) {
	s, err := load(o.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no cluster in %s: run `cluster up` first", o.dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%w: run as root", err)
	case err != nil:
		return nil, err
	case !s.Up || s.Boot != bootID():
		return nil, fmt.Errorf("the cluster in %s is not whole: run `cluster up` again", o.dir)
	}
	return s, nil
}

func (s *State) processIndex(name string) int {
	for i, p := range s.Processes {
		if p.Name == name {
			return i
		}
	}
	return -1
}

// node returns the init process of a node by its name.
func (s *State) node(name string) (Process, error) {
	i := s.processIndex(name)
	if i < 0 || !strings.HasPrefix(name, "node-") {
		var names []string
		for n := range s.Nodes {
			names = append(names, nodeName(n+1))
		}
		return Process{}, fmt.Errorf("no node %q: there are %s", name, strings.Join(names, ", "))
	}
	if !s.Processes[i].alive() {
		return Process{}, fmt.Errorf("node %s has ended: see %s, then run `cluster up` again", name, s.logPath(name))
	}
	return s.Processes[i], nil
}

// claim makes the cluster's folder and locks it against another up or down; release unlocks it.
func claim(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the cluster's folder: %w", err)
	}
	release, err = lock(dir)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("another cluster command works on %s: wait for it to end", dir)
	}
	return release, err
}

// errLocked says that another process has the lock.
var errLocked = errors.New("it is locked")

// lock locks a folder, unless another process has; release unlocks it, as does the end of this process.
func lock(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errLocked
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// foreign reports a folder that holds something, but no cluster: nothing in it may be removed.
func foreign(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the cluster's folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder %s is not empty and holds no cluster: choose another --dir", dir)
	}
	return nil
}

func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(id))
}
