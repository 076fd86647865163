package collector

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// The tests of this file are about what a walk takes from the machine: rights, descriptors, files.

// TestNothingIsKept checks that a walk leaves neither descriptors nor, through one, a namespace behind.
func TestNothingIsKept(t *testing.T) {
	needsRoot(t, "nsenter", "ip")
	pod := startInhabited(t)
	peer := "cosatest" + randomHex(4)
	pod.inside("ip", "link", "add", "name", "eth0", "type", "veth", "peer", "name", peer, "netns", fmt.Sprint(os.Getpid()))
	hostHas := func() bool { return exec.Command("ip", "link", "show", "dev", peer).Run() == nil }
	if !hostHas() {
		t.Fatalf("%s has not been made", peer)
	}
	c := noRuntime(t)
	Walk(context.Background(), c)
	open := descriptors(t)
	for range 5 {
		Walk(context.Background(), c)
	}
	if now := descriptors(t); now > open {
		t.Errorf("%d descriptors open, before the walks %d", now, open)
	}
	syscall.Kill(pod.pid, syscall.SIGKILL)
	for deadline := time.Now().Add(10 * time.Second); hostHas(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			exec.Command("ip", "link", "del", "dev", peer).Run()
			t.Fatal("the namespace of a dead pod lives on")
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestFewDescriptors walks with room for 32 open files, as a hardened runtime may give.
func TestFewDescriptors(t *testing.T) {
	needsRoot(t)
	pods := startSleepers(t, 60)
	text := walkAs(t, nil, "nofile=32")
	for _, p := range pods {
		if got := text[p.uid]; got["snmp"] != 1 || got["sockets"] != 1 {
			t.Fatalf("%s: sources %v", p, got)
		}
	}
}

// TestWithoutPrivilege walks as the restricted profile does: an ordinary user without capabilities reads all counters,
// and says that it could neither count the sockets of other namespaces nor see their accept queues.
func TestWithoutPrivilege(t *testing.T) {
	needsRoot(t)
	pod := startPod(t, syscall.CLONE_NEWNET, "sleep", "infinity")
	got := walkAs(t, &syscall.Credential{Uid: 65534, Gid: 65534}, "")[pod.uid]
	want := map[string]float64{"snmp": 1, "snmp6": 1, "netstat": 1, "sockstat": 1, "sockstat6": 1, "netdev": 1, "conntrack": 1, "sockets": 0, "listen": 0, "tcp": 0, "ports": 0}
	if _, err := os.Stat("/proc/net/stat/nf_conntrack"); err != nil {
		delete(want, "conntrack")
		delete(got, "conntrack")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

// walkAs walks in another process and returns cosanet_read_success by pod UID and source.
func walkAs(t *testing.T, as *syscall.Credential, limit string) map[string]map[string]float64 {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), inhabitantEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL}
	cmd.Stdin = strings.NewReader("walk " + limit + "\n")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s, err := metrics.Parse(bytes.NewReader(out[:bytes.LastIndex(out, []byte("ok\n"))]))
	if err != nil {
		t.Fatal(err)
	}
	success := map[string]map[string]float64{}
	for _, r := range s.Records {
		success[r.Sandbox.UID] = map[string]float64{}
		for _, sample := range r.Samples {
			if sample.Metric.Name == "cosanet_read_success" {
				success[r.Sandbox.UID][sample.Labels[0].Value] = sample.Value
			}
		}
	}
	return success
}
