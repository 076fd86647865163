//go:build linux

package collector

import (
	"os"
	"strconv"
	"sync"
)

// processes are the pids of a node by what their cgroups name.
type processes struct {
	byContainer map[string][]int
	byPod       map[string][]int // by UID; nil: nobody has looked
	err         error            // why the processes could not be listed
}

// scanProcesses reads /proc/<pid>/cgroup of every process.
func scanProcesses() processes {
	found := processes{byContainer: map[string][]int{}, byPod: map[string][]int{}}
	proc, err := os.Open("/proc")
	if err != nil {
		found.err = err
		return found
	}
	names, err := proc.Readdirnames(-1)
	found.err = err
	proc.Close()
	var mu sync.Mutex
	inParallel(len(names), func(int) func(i int) {
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
	return found
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

// oldest returns the process that began first and still runs: of a pod the one that its namespaces were made for. One that
// is known to be dead is not considered.
func oldest(pids []int, dead int, buf []byte) int {
	if len(pids) == 1 && pids[0] != dead {
		return pids[0]
	}
	first, began := 0, uint64(0)
	for _, pid := range pids {
		p, err := openProcess(pid)
		if err != nil {
			continue
		}
		started, err := p.started(buf)
		_, gone := p.netInode() // a zombie has no namespaces any more
		p.close()
		if err == nil && gone == nil && (first == 0 || started < began || started == began && pid < first) {
			first, began = pid, started
		}
	}
	return first
}
