package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/netip"
	"os"
	"testing"
)

// The hollow nodes' networks are the cluster's own, and nobody else's in it.
func TestHollowNetworksAreFree(t *testing.T) {
	s := &State{Name: "cosanet", Subnet: subnets("cosanet")[0], dir: t.TempDir()}
	taken := []netip.Prefix{netip.PrefixFrom(s.addr(0, 0), 24), s.serviceNet()}
	for n := 1; n <= maxNodes; n++ {
		taken = append(taken, s.podNet(n))
	}
	for _, network := range []netip.Prefix{s.hollowNodeNet(), s.hollowPodNet(), s.hollowDeadNet()} {
		if network != network.Masked() || !s.Subnet.Contains(network.Addr()) {
			t.Errorf("%s is no network of %s", network, s.Subnet)
		}
		for _, other := range taken {
			if network.Overlaps(other) {
				t.Errorf("%s overlaps %s", network, other)
			}
		}
		taken = append(taken, network)
	}
}

func TestHollowCertificateIsOfTheAuthority(t *testing.T) {
	s := &State{Name: "cosanet", Subnet: subnets("cosanet")[0], dir: t.TempDir()}
	if err := s.writePKI(); err != nil {
		t.Fatal(err)
	}
	if err := s.writeHollowCertificate(); err != nil {
		t.Fatal(err)
	}
	ca, _, err := s.authority()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.pki("hollow.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "hollow"}); err != nil {
		t.Error(err)
	}
	if err := s.writeHollowCertificate(); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(s.pki("hollow.crt")); err != nil || string(again) != string(text) {
		t.Errorf("it is made anew while it may be in use (%v)", err)
	}
}

func TestParseNodeTable(t *testing.T) {
	const table = `{"kind":"Table","columnDefinitions":[{"name":"Name"},{"name":"Status"}],
		"rows":[{"cells":["hollow-0001","Ready"]},{"cells":["hollow-0002","NotReady"]},{"cells":["hollow-0003","Ready"]}]}`
	all, ready, err := parseNodeTable([]byte(table))
	if err != nil || all != 3 || ready != 2 {
		t.Errorf("got %d nodes, %d Ready, %v; want 3, 2 and no error", all, ready, err)
	}
	if all, _, err := parseNodeTable([]byte(`{"kind":"Table"}`)); err != nil || all != 0 {
		t.Errorf("of none: got %d, %v", all, err)
	}
	if _, _, err := parseNodeTable([]byte("<html>")); err == nil {
		t.Error("what is no table is no error")
	}
}

// A cluster is whole without the process of its hollow nodes.
func TestHollowIsNoPartOfTheCluster(t *testing.T) {
	self := Process{Name: "test", PID: os.Getpid()}
	self.Start, _ = startTime(self.PID)
	s := &State{Boot: bootID(), Up: true, Processes: []Process{self}, Hollow: &Hollow{Process{hollowName, 1 << 30, 1}, 5}}
	if err := s.broken(); err != nil {
		t.Errorf("its end broke the cluster: %v", err)
	}
}
