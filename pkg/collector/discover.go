//go:build linux

package collector

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// target is a sandbox to be read, from the first walk that sees it to the last.
type target struct {
	metrics.Sandbox        // what is known without reading it
	id              string // of the sandbox at the runtime; empty: known by its cgroup alone
	attempt         uint32 // at the pod
	created         int64
	filtered        bool // the pod filter leaves it out
	listed          int  // the last walk in which the runtime had it

	pid    int       // of a process in its network namespace; 0: none was found
	cgroup []byte    // of the process, as it proved itself; nil: it has not yet
	member string    // the pod in there
	netns  uint64    // where the process was then, zero where it may not be asked for
	inode  uint64    // the same, of net/snmp; 0: it has not proved itself
	asked  time.Time // when the runtime was asked for its process in vain
	size   int       // samples of the last read

	outcome                 // of the present walk
	shown   metrics.Sandbox // of the last Record
	info    []metrics.Label // of the same
}

// outcome is what became of a target.
type outcome struct {
	result    string // a value of cosanet_walk_sandboxes' label; empty: not visited
	samples   []metrics.Sample
	addresses []netip.Addr // of the namespace, where they are asked for; nil: not known
	reader    *target      // of a shared namespace: whose counters are its; nil: the host's
}

// owns tells whether a process with this cgroup is of the sandbox.
func (t *target) owns(m membership) bool {
	return t.id != "" && m.container == t.id || t.UID != "" && m.pod == t.UID
}

// forget drops what was known of the process.
func (t *target) forget() { t.pid, t.cgroup, t.member, t.netns, t.inode = 0, nil, "", 0, 0 }

// errNoCgroup says that no process seen from here is in the cgroup of a pod: without hostPID, none would be.
var errNoCgroup = errors.New("no process is in the cgroup of a pod")

// takeList makes the runtime's list the sandboxes, and those that can be told apart the targets. What was known of a
// sandbox stays with it. Of two attempts at a pod the older is about to be stopped.
func (w *Walker) takeList() error {
	known := len(w.sandboxes)
	err := w.runtime.answer.sandboxes(func(id, message []byte) error {
		t := w.byID[string(id)]
		if t == nil {
			var err error
			if t, err = w.decode(message); t == nil || err != nil {
				return err
			}
			w.sandboxes = append(w.sandboxes, t)
			w.byID[t.id] = t
		}
		t.listed = w.walks
		return nil
	})
	if err != nil {
		return err
	}
	fresh := len(w.sandboxes) > known
	w.sandboxes = slices.DeleteFunc(w.sandboxes, func(t *target) bool {
		gone := t.listed != w.walks
		if gone {
			delete(w.byID, t.id)
		}
		return gone
	})
	if fresh {
		slices.SortFunc(w.sandboxes, inOrder)
	}
	clear(w.targets)
	w.targets = w.targets[:0]
	for i, t := range w.sandboxes {
		switch {
		case i > 0 && t.samePod(w.sandboxes[i-1]):
		case t.filtered:
			w.filtered++
		default:
			w.targets = append(w.targets, t)
		}
	}
	return nil
}

func inOrder(a, b *target) int {
	return cmp.Or(
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.UID, b.UID),
		-cmp.Compare(a.attempt, b.attempt), -cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

func (t *target) samePod(other *target) bool {
	return t.Namespace == other.Namespace && t.Pod == other.Pod && t.UID == other.UID
}

// decode makes a target of an item of the runtime's list, nil of one that names no pod.
func (w *Walker) decode(message []byte) (*target, error) {
	s, err := decodeSandbox(message)
	if err != nil || s.Metadata == nil {
		return nil, err
	}
	m, c := s.Metadata, w.config
	owner := controllerOf(m.Name, c.Node, s.Labels, s.Annotations, time.Unix(0, s.CreatedAt))
	t := &target{
		id: s.Id, attempt: m.Attempt, created: s.CreatedAt,
		Sandbox: metrics.Sandbox{
			Node:           c.Node,
			Namespace:      m.Namespace,
			Pod:            m.Name,
			ControllerKind: owner.kind,
			ControllerName: owner.name,
			UID:            m.Uid,
			Handler:        s.RuntimeHandler,
			Unsupported:    ownKernel(s.RuntimeHandler),
		},
	}
	t.filtered = c.PodFilter != nil && t.Pod != "" && !c.PodFilter.MatchString(t.Namespace+"/"+t.Pod)
	return t, nil
}

// ownKernel tells whether a runtime handler runs pods on a kernel of their own, whose counters the node does not see.
func ownKernel(handler string) bool {
	handler = strings.ToLower(handler)
	return slices.ContainsFunc([]string{"kata", "runsc", "gvisor", "firecracker"}, func(s string) bool { return strings.Contains(handler, s) })
}

// addByCgroup makes targets of the pods that the cgroups tell of, while the runtime does not. A UID belongs to one pod for
// ever: one that an earlier list named keeps its name, of the others whoever may ask the API server joins it. What was
// read in this walk stays; what has gone is no target.
func (w *Walker) addByCgroup(found processes) {
	w.targets = slices.DeleteFunc(w.targets, func(t *target) bool { return t.result == "" || t.result == "gone" })
	seen := map[string]bool{}
	for _, t := range w.targets {
		seen[t.UID], seen[t.member] = true, true
	}
	named := map[string]*target{}
	for _, t := range slices.Backward(w.sandboxes) { // so that the newest of a pod wins
		named[t.UID] = t
	}
	for uid := range found.byPod {
		t := named[uid]
		switch {
		case seen[uid]:
			continue
		case t == nil:
			t = &target{Sandbox: metrics.Sandbox{Node: w.config.Node, UID: uid}}
		case t.filtered:
			w.filtered++
			continue
		default:
			t.outcome = outcome{}
		}
		w.targets = append(w.targets, t)
	}
	slices.SortFunc(w.targets, inOrder)
}

// toldByCgroups returns why the cgroups told of no pod. A node without pods is no failure to find them.
func (w *Walker) toldByCgroups(found processes) error {
	empty := w.criFailed == nil && len(w.sandboxes) == 0
	if found.byPod == nil || found.err != nil {
		return found.err
	}
	if len(found.byContainer)+len(found.byPod) == 0 && !empty {
		return errNoCgroup
	}
	return nil
}

// What the runtime is asked about one sandbox at a time: in a walk, and how soon again.
const (
	maxStatuses = 64
	askAgain    = time.Minute
)

// locate finds a process for each target: the one of the sandbox itself, else the oldest of the pod (where CRI-O makes no
// process for a sandbox), else what the runtime says. Asking the runtime for the status of every sandbox would give the
// pids as well, but takes a call for each, CRI-O has none to give (drop_infra_ctr), and after the death of a shim
// containerd's is somebody else's.
func (w *Walker) locate(ctx context.Context, targets []*target, found processes) {
	buf := make([]byte, 4<<10)
	var lost []string
	for _, t := range targets {
		dead := 0
		if t.result == "gone" {
			dead = t.pid
		}
		t.forget()
		if t.id != "" {
			t.pid = oldest(found.byContainer[t.id], dead, buf)
		}
		if t.pid == 0 {
			t.pid = oldest(found.byPod[t.UID], dead, buf)
		}
		if t.pid == 0 && (slices.Contains(found.byContainer[t.id], dead) || slices.Contains(found.byPod[t.UID], dead)) {
			t.pid = dead // a zombie: it is about to go
		}
		if t.pid == 0 && t.id != "" && len(lost) < maxStatuses && time.Since(t.asked) > askAgain {
			t.asked = time.Now()
			lost = append(lost, t.id)
		}
	}
	if len(lost) == 0 {
		return
	}
	ctx, cancel := halfOf(ctx)
	defer cancel()
	pids := w.runtime.pids(ctx, lost)
	for _, t := range targets {
		if t.pid == 0 {
			t.pid = pids[t.id]
		}
	}
}

// others finds another process for each target whose process has gone, as the pause process of a pod may that lives on.
func (w *Walker) others(found processes) []*target {
	buf := make([]byte, 4<<10)
	var targets []*target
	for _, t := range w.targets {
		if t.result != "gone" {
			continue
		}
		if pid := oldest(found.byPod[t.UID], t.pid, buf); pid != 0 && pid != t.pid {
			t.forget()
			t.pid = pid
			targets = append(targets, t)
		}
	}
	return targets
}
