//go:build linux

package collector

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// target is a sandbox to be read.
type target struct {
	metrics.Sandbox
	id  string // of the sandbox at the runtime; empty: known by its cgroup alone
	pid int    // of a process in its network namespace; 0: none was found
}

// owns tells whether a process with this cgroup is of the sandbox.
func (t *target) owns(m membership) bool {
	return t.id != "" && m.container == t.id || t.UID != "" && m.pod == t.UID
}

// errNoCgroup says that no process seen from here is in the cgroup of a pod: without hostPID, none would be.
var errNoCgroup = errors.New("no process is in the cgroup of a pod")

// discovery is what is known of a node before anything is read.
type discovery struct {
	targets  []target // by namespace, pod, UID and id
	filtered int      // sandboxes that the pod filter left out
	cri      error    // why the runtime's list could not be had; nil: it answered
	cgroup   error    // why the processes told of no pod; nil: some did, or the node has none
}

// discover finds the sandboxes of the node: the runtime's list gives the names, in one call, and the cgroups of all
// processes give the pids. Asking the runtime for the status of every sandbox would give the pids as well, but takes a
// call for each, CRI-O has none to give (drop_infra_ctr), and after the death of a shim containerd's is somebody else's.
func discover(ctx context.Context, c *Config) discovery {
	var d discovery
	var items []*cri.PodSandbox
	var socket string
	var wg sync.WaitGroup
	wg.Go(func() { items, socket, d.cri = listSandboxes(ctx, c.CRISocket) })
	processes, err := scanProcesses()
	wg.Wait()

	d.cgroup = err
	empty := d.cri == nil && len(items) == 0 // an empty node is no failure to find its pods
	if err == nil && len(processes.byContainer)+len(processes.byPod) == 0 && !empty {
		d.cgroup = errNoCgroup
	}
	if d.cri == nil {
		d.targets = named(items, c)
	} else {
		d.targets = unnamed(processes, c)
	}
	d.targets = slices.DeleteFunc(d.targets, func(t target) bool {
		out := c.PodFilter != nil && t.Pod != "" && !c.PodFilter.MatchString(t.Namespace+"/"+t.Pod)
		if out {
			d.filtered++
		}
		return out
	})
	locate(ctx, d.targets, processes, socket)
	return d
}

// named makes targets of the runtime's list.
func named(items []*cri.PodSandbox, c *Config) []target {
	targets := make([]target, len(items))
	for i, s := range items {
		owner := controllerOf(s.Metadata.Name, c.Node, s.Labels, s.Annotations, time.Unix(0, s.CreatedAt))
		targets[i] = target{id: s.Id, Sandbox: metrics.Sandbox{
			Node:           c.Node,
			Namespace:      s.Metadata.Namespace,
			Pod:            s.Metadata.Name,
			ControllerKind: owner.kind,
			ControllerName: owner.name,
			UID:            s.Metadata.Uid,
			Handler:        s.RuntimeHandler,
			Unsupported:    ownKernel(s.RuntimeHandler),
		}}
	}
	return targets
}

// unnamed makes targets of the pods that only their cgroups tell of: whoever may ask the API server joins the names by UID.
func unnamed(processes processes, c *Config) []target {
	targets := make([]target, 0, len(processes.byPod))
	for uid := range processes.byPod {
		targets = append(targets, target{Sandbox: metrics.Sandbox{Node: c.Node, UID: uid}})
	}
	slices.SortFunc(targets, func(a, b target) int { return cmp.Compare(a.UID, b.UID) })
	return targets
}

// ownKernel tells whether a runtime handler runs pods on a kernel of their own, whose counters the node does not see.
func ownKernel(handler string) bool {
	handler = strings.ToLower(handler)
	return slices.ContainsFunc([]string{"kata", "runsc", "gvisor", "firecracker"}, func(s string) bool { return strings.Contains(handler, s) })
}

// locate finds a process for each target: the one of the sandbox itself, else the oldest of the pod (where CRI-O makes no
// process for a sandbox), else what the runtime says.
func locate(ctx context.Context, targets []target, processes processes, socket string) {
	buf := make([]byte, 4<<10)
	var lost []string
	for i := range targets {
		t := &targets[i]
		if t.id != "" {
			t.pid = oldest(processes.byContainer[t.id], buf)
		}
		if t.pid == 0 {
			t.pid = oldest(processes.byPod[t.UID], buf)
		}
		if t.pid == 0 && t.id != "" {
			lost = append(lost, t.id)
		}
	}
	if len(lost) == 0 {
		return
	}
	pids := sandboxPIDs(ctx, socket, lost)
	for i := range targets {
		if targets[i].pid == 0 {
			targets[i].pid = pids[targets[i].id]
		}
	}
}

// processes are the pids of a node by what their cgroups name.
type processes struct {
	byContainer map[string][]int
	byPod       map[string][]int // by UID
}

// scanProcesses reads /proc/<pid>/cgroup of every process.
func scanProcesses() (processes, error) {
	found := processes{map[string][]int{}, map[string][]int{}}
	proc, err := os.Open("/proc")
	if err != nil {
		return found, err
	}
	names, err := proc.Readdirnames(-1)
	proc.Close()
	var mu sync.Mutex
	inParallel(len(names), func() func(i int) {
		buf := make([]byte, 16<<10)
		return func(i int) {
			pid, err := strconv.Atoi(names[i])
			if err != nil {
				return
			}
			m := membershipOf(pid, buf)
			if m == (membership{}) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if m.container != "" {
				found.byContainer[m.container] = append(found.byContainer[m.container], pid)
			}
			if m.pod != "" {
				found.byPod[m.pod] = append(found.byPod[m.pod], pid)
			}
		}
	})
	return found, err
}

// membershipOf reads the cgroup of a process by its pid. A process that has gone belongs nowhere.
func membershipOf(pid int, buf []byte) membership {
	cwd := process{fd: atCWD}
	file, _, err := cwd.read("/proc/"+strconv.Itoa(pid)+"/cgroup", buf)
	if err != nil {
		return membership{}
	}
	return parseCgroup(file)
}

// oldest returns the process that began first and still runs: of a pod the one that its namespaces were made for.
func oldest(pids []int, buf []byte) int {
	if len(pids) == 1 {
		return pids[0]
	}
	first, began := 0, uint64(0)
	for _, pid := range pids {
		p, err := openProcess(pid)
		if err != nil {
			continue
		}
		started, err := p.started(buf)
		_, dead := p.netInode() // a zombie has no namespaces any more
		p.close()
		if err == nil && dead == nil && (first == 0 || started < began || started == began && pid < first) {
			first, began = pid, started
		}
	}
	return first
}
