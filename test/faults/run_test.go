package faults

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// run is a kubectl cosanet on its way, with a proxy of its own between it and the API server.
type run struct {
	*proxy
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	done           chan struct{} // closed when it has ended
}

// start runs kubectl cosanet through a proxy that does faults.
func (c *cluster) start(t testing.TB, faults []*fault, args ...string) *run {
	t.Helper()
	r := &run{proxy: c.between(t, faults...), done: make(chan struct{})}
	r.cmd = c.Command(append(append([]string{"cosanet"}, args...), "--kubeconfig", r.kubeconfig)...)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() { // of a test that did not wait for it
		r.cmd.Process.Kill()
		<-r.done
	})
	return r
}

// end waits for the run's end, for two minutes, and returns what it left behind; the code is -1 where a signal ended it.
func (r *run) end() embedded.Result {
	timer := time.AfterFunc(2*time.Minute, func() { r.cmd.Process.Kill() })
	defer timer.Stop()
	<-r.done
	return embedded.Result{Stdout: r.stdout.String(), Stderr: r.stderr.String(), Code: r.cmd.ProcessState.ExitCode()}
}

// at returns when the run has come to a gate.
func (r *run) at(t testing.TB, g *gate) {
	t.Helper()
	select {
	case <-g.reached:
	case <-r.done:
		t.Fatalf("it was over before its moment came: %+v", r.end())
	case <-time.After(2 * time.Minute):
		t.Fatal("its moment did not come")
	}
}

// registry is one for images that takes connections and says nothing, until the gate is lifted.
func (c *cluster) registry(t testing.TB, g *gate) (image string) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(c.ourAddress(t).String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.lift(); listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			g.arrives()
			go func() {
				<-g.open
				conn.Close()
			}()
		}
	}()
	return listener.Addr().String() + "/cosanet:v1"
}

// process is the collector of a pod on its node, by pid.
func (c *cluster) process(t testing.TB, pod corev1.Pod) string {
	t.Helper()
	if len(pod.Status.ContainerStatuses) == 0 {
		t.Fatalf("no container of %s is known", pod.Name)
	}
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	pid := strings.TrimSpace(c.Exec(t, pod.Spec.NodeName, "sh", "-c", "grep -ls "+id+" /proc/[0-9]*/cgroup | cut -d/ -f3"))
	if pid == "" {
		t.Fatalf("the container of %s has no process any more", pod.Name)
	}
	return pid
}
