package collector

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// linkEvents hears of every device that leaves the namespace of the test.
type linkEvents struct {
	t    *testing.T
	conn *netlink.Conn
	gone map[int]bool
}

func listenForLinks(t *testing.T) *linkEvents {
	t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: unix.RTMGRP_LINK})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetReadBuffer(4 << 20) // of a machine on which others make and end hundreds of pods
	return &linkEvents{t: t, conn: conn, gone: map[int]bool{}}
}

// wait waits until the device has gone, which a namespace that somebody holds would never let it.
func (e *linkEvents) wait(index int) {
	e.t.Helper()
	e.conn.SetReadDeadline(time.Now().Add(2 * time.Minute))
	for !e.gone[index] {
		messages, err := e.conn.Receive()
		if err != nil {
			e.t.Fatalf("device %d does not go: %v", index, err)
		}
		for _, m := range messages {
			if m.Header.Type == unix.RTM_DELLINK && len(m.Data) >= unix.SizeofIfInfomsg {
				e.gone[int(int32(binary.NativeEndian.Uint32(m.Data[4:])))] = true
			}
		}
	}
}

// withVeth is a pod whose veth has its other end here.
func withVeth(t *testing.T, octets int) (pod *place, index int) {
	t.Helper()
	pod = makePlace(t, octets)
	pid := pod.occupy(t)
	pod.leave()
	name := "cosatest" + randomHex(6)
	if out, err := exec.Command("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(pid)).CombinedOutput(); err != nil {
		t.Fatalf("making a veth: %v: %s", err, out)
	}
	here, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return pod, here.Index
}

// TestDeadPodsVethGoes ends pods right after a walk over them and in the middle of one: nothing that the collector has opened
// may hold the namespace, and with it the host's end of its veth.
func TestDeadPodsVethGoes(t *testing.T) {
	needsRoot(t, "ip")
	events := listenForLinks(t)
	w := NewWalker(noRuntime(t))
	defer w.Close()
	rounds := trial.Rounds(6, 300)
	var slowest time.Duration
	for round := range rounds {
		pod, index := withVeth(t, 1000+round)
		s := w.Walk(t.Context())
		if r := recordOf(t, s, pod.uid); !pod.of(r.Samples) {
			t.Fatalf("the pod was not read: %v", r.FailedSources())
		}
		w.Recycle(s)
		walked := make(chan struct{})
		if round%2 == 1 {
			go func() {
				defer close(walked)
				w.Recycle(w.Walk(t.Context()))
			}()
		} else {
			close(walked)
		}
		begin := time.Now()
		if err := pod.vacate(); err != nil {
			t.Fatal(err)
		}
		<-walked
		events.wait(index)
		slowest = max(slowest, time.Since(begin))
	}
	t.Logf("of %d pods the veth was gone after at most %s", rounds, slowest.Round(time.Millisecond))
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "the veth of a pod that ends, after a walk or in the middle of one, goes with it: no namespace is held",
		Runs: rounds, Faults: rounds, Survived: rounds})
}

// TestHeldNamespaceStays shows that the test above can fail: an open file of the namespace keeps it, and its veth.
func TestHeldNamespaceStays(t *testing.T) {
	needsRoot(t, "ip")
	events := listenForLinks(t)
	held, index := withVeth(t, 1000)
	file, err := os.Open(fmt.Sprintf("/proc/%d/net/snmp", held.pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := held.vacate(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the kernel takes down namespaces in the order of their ends, several at once
		later, other := withVeth(t, 1000)
		if err := later.vacate(); err != nil {
			t.Fatal(err)
		}
		events.wait(other)
	}
	if _, err := net.InterfaceByIndex(index); err != nil || events.gone[index] {
		t.Fatalf("it did not stay (%v): what is shown by those that go?", err)
	}
	file.Close()
	events.wait(index)
}
