package main

import (
	"net/netip"
	"testing"
)

func TestPodAddresses(t *testing.T) {
	f, n := testNode(t, 0)
	f.podAddresses, f.byIP = netip.MustParsePrefix("10.0.160.0/29"), map[netip.Addr]*life{}
	for range 7 { // all but the network's own, round and round
		address := f.freeAddress(n)
		if !f.podAddresses.Contains(address) || address == f.podAddresses.Addr() || f.byIP[address] != nil {
			t.Fatalf("%s is taken, or none of %s", address, f.podAddresses)
		}
		f.byIP[address] = &life{}
	}
	freed := netip.MustParseAddr("10.0.160.3")
	delete(f.byIP, freed)
	if got := f.freeAddress(n); got != freed {
		t.Errorf("got %s, want the only one that is free, %s", got, freed)
	}
	n.trouble, n.address = unreachable, netip.MustParseAddr("10.0.224.1")
	if got := f.freeAddress(n); got != n.address {
		t.Errorf("a pod of a node that nobody reaches is at %s", got)
	}
}
