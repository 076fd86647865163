package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// containerRuntime is what runs the containers of a node.
type containerRuntime struct {
	program  string           // that serves CRI, and the name of its service
	args     []string         // of it
	socket   string           // where a node's serves
	prepare  func() error     // what a node needs before it starts; nil: nothing
	products func() []product // to build, which asks the go tool for its version; nil: the machine has it
	needs    []need           // besides those of every cluster
}

// machineRuntime is the containerd of the distribution, which every node has unless up is told otherwise.
const machineRuntime = "containerd"

// runtimeNames are the others, for --runtime.
var runtimeNames = []string{"containerd-2", "cri-o"}

const containerdSocket = "/run/containerd/containerd.sock"

func containerRuntimeOf(name string) containerRuntime {
	containerd := containerRuntime{program: "containerd", args: []string{"--config", "/var/lib/containerd.toml"}, socket: containerdSocket}
	switch name {
	case "containerd-2":
		containerd.products = func() []product { return []product{containerd2(), runc()} }
		containerd.needs = []need{{"gcc", "gcc"}, {"pkg-config", "pkgconf"}}
		return containerd
	case "cri-o":
		return containerRuntime{
			program: "crio", args: []string{"--config", "/var/lib/crio/crio.conf", "--config-dir", "/var/lib/crio/crio.conf.d"}, socket: crioSocket,
			prepare:  hideControllers,
			products: func() []product { return []product{crio(), runc()} },
			needs:    []need{{"gcc", "gcc"}, {"pkg-config", "pkgconf"}, {"conmon", "conmon"}, {"skopeo", "skopeo"}},
		}
	}
	return containerd
}

// containerd2 is years younger than what distributions have; ctr is theirs.
func containerd2() product {
	const version = "v2.4.2"
	return product{
		name: "containerd " + version, patience: "2 to 3 minutes", folder: versioned("containerd", version),
		programs: []string{"containerd", "containerd-shim-runc-v2"},
		source:   module("github.com/containerd/containerd/v2", version),
		args: []string{"-ldflags", "-s -w -X github.com/containerd/containerd/v2/version.Version=" + version,
			"-tags", "no_btrfs no_devmapper no_zfs", "./cmd/containerd", "./cmd/containerd-shim-runc-v2"},
	}
}

// runc is one that maps the ids of a mount, as pods with a user namespace of their own (hostUsers: false) want it. Its first
// steps in a container are C.
func runc() product {
	const version = "v1.4.0"
	return product{
		name: "runc " + version, patience: "half a minute", folder: versioned("runc", version), programs: []string{"runc"},
		source: module("github.com/opencontainers/runc", version), cgo: true,
		args: []string{"-ldflags", "-s -w -X main.version=" + strings.TrimPrefix(version, "v"), "-tags", "seccomp", "."},
	}
}

func versioned(name, version string) string {
	return strings.Join([]string{name, version, goVersion(), runtime.GOARCH}, "-")
}

// NodeRuntime is the container runtime of a node that has another than the machine's.
type NodeRuntime struct {
	Name    string   `json:"name"`
	Folders []string `json:"folders,omitempty"` // of its own programs, before all others on PATH
}

// buildRuntimes builds the container runtimes of the nodes, those that are not there yet.
func (s *State) buildRuntimes(ctx context.Context, p *progress) error {
	for i, r := range s.Runtimes {
		for _, b := range containerRuntimeOf(r.Name).products() {
			if err := b.build(ctx, p); err != nil {
				return err
			}
			paths, _, err := b.paths()
			if err != nil {
				return err
			}
			s.Runtimes[i].Folders = append(s.Runtimes[i].Folders, filepath.Dir(paths[0]))
		}
	}
	return nil
}

// runtimeOf is a node's container runtime: the last nodes have those that up was told of, in that order.
func (s *State) runtimeOf(node int) NodeRuntime {
	if i := node - 1 - s.Nodes + len(s.Runtimes); i >= 0 {
		return s.Runtimes[i]
	}
	return NodeRuntime{Name: machineRuntime}
}

// hasRuntimes tells whether the cluster's runtimes are those that up is told of, or up is told of none.
func (s *State) hasRuntimes(names []string) bool {
	return len(names) == 0 || slices.EqualFunc(s.Runtimes, names, func(r NodeRuntime, name string) bool { return r.Name == name })
}

// runtimeFolder is where a node has the programs of its own container runtime.
const runtimeFolder = "/run/runtime"

// folders are open: the mounts of a node hide where they are.
type folders []*os.File

// open opens the folders with the node's own programs; none where the runtime is the machine's.
func (r NodeRuntime) open() (folders, error) {
	var open folders
	for _, path := range r.Folders {
		f, err := os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil, fmt.Errorf("opening the container runtime: %w", err)
		}
		open = append(open, f)
	}
	return open, nil
}

// install puts the folders before all others on PATH, where container runtimes look for their shims and others too. Not file by
// file: runc makes an overlay of the folder that it is in, which has no mounts below.
func (f folders) install() error {
	path := os.Getenv("PATH")
	for i, folder := range slices.Backward(f) {
		target := filepath.Join(runtimeFolder, fmt.Sprint(i))
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := bind(folder, target); err != nil {
			return err
		}
		path = target + ":" + path
	}
	return os.Setenv("PATH", path)
}
