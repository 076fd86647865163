package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// service is a program that the init process of a node runs: the container runtime or the kubelet.
type service struct {
	path string
	argv []string
	log  *os.File
}

func (s *service) name() string { return s.argv[0] }

// heldFile is, on a node, what tells that a service is meant to be down: while it is there, the end of a service is not the
// node's, and when it is gone, what ended is started again, as systemctl stop and start do. Tests make and remove it.
func heldFile(name string) string { return filepath.Join("/run", name+".held") }

// held tells whether a service of this node is meant to be down. The other one may end of it: a kubelet that just starts
// does without its runtime.
func (s *services) held() bool {
	for _, name := range []string{s.runtime.program, "kubelet"} {
		if _, err := os.Lstat(heldFile(name)); err == nil {
			return true
		}
	}
	return false
}

// services are those of a node that run, by pid.
type services struct {
	runtime containerRuntime
	mutex   sync.Mutex // held while one starts, so that none ends before its pid is known
	running map[int]*service
	failed  chan error // one could not be started again
}

// start runs a service. Only reap learns of its end.
func (s *services) start(what service) (pid int, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	pid, err = spawn(what.path, what.argv, what.log)
	if err == nil {
		s.running[pid] = &what
	}
	return pid, err
}

// ended takes the service of that pid from those that run; nil when the pid was none.
func (s *services) ended(pid int) *service {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	what := s.running[pid]
	delete(s.running, pid)
	return what
}

// reap waits for children, the orphans of the pid namespace among them, until a service ends while none is held.
func (s *services) reap(node string) error {
	for {
		// Whether it is held is asked before anybody can see that it is gone: who sees that may take the file away.
		_ = unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil) // Wait4 has its error, too
		isHeld := s.held()
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil && !errors.Is(err, syscall.ECHILD) { // none is left while all are held
			return fmt.Errorf("waiting for children: %w", err)
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
		}
		select {
		case err := <-s.failed:
			return err
		default:
		}
		switch what := s.ended(pid); {
		case what == nil:
		case isHeld:
			go s.restart(*what)
		default:
			return fmt.Errorf("%s of %s has ended (%s): the node ends with it", what.name(), node, describe(status))
		}
	}
}

// restart starts a service once none is held any more, the kubelet after the runtime.
func (s *services) restart(what service) {
	for s.held() || what.name() == "kubelet" && !served(s.runtime.socket) {
		time.Sleep(100 * time.Millisecond)
	}
	if _, err := s.start(what); err != nil {
		s.failed <- err
	}
}

func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return "by signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit code %d", status.ExitStatus())
}
