package main

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"path/filepath"
	"regexp"
)

const (
	defaultName  = "cosanet"
	defaultNodes = 2
	maxNodes     = 100
)

// validName keeps NAME-host within the 15 bytes of an interface name.
func validName(name string) bool {
	return regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`).MatchString(name)
}

// subnets lists the /16 networks a cluster may take, best first: a corner of 10/8 that Kubernetes installers
// do not default to. Clusters of different names start at different places.
func subnets(name string) []netip.Prefix {
	const first, count = 176, 64
	h := fnv.New32a()
	h.Write([]byte(name))
	var list []netip.Prefix
	for i := range uint32(count) {
		second := byte(first + (h.Sum32()+i)%count)
		list = append(list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, second}), 16))
	}
	return list
}

// pickSubnet returns the first candidate that overlaps nothing in use.
func pickSubnet(name string, used []netip.Prefix) (netip.Prefix, error) {
candidates:
	for _, p := range subnets(name) {
		for _, u := range used {
			if u.Bits() > 0 && p.Overlaps(u) { // a default route is in nobody's way
				continue candidates
			}
		}
		return p, nil
	}
	return netip.Prefix{}, fmt.Errorf("every network of 10.176.0.0/12 and 10.192.0.0/11 is in use on this machine: see `ip route`")
}

// addr is host number host in the /24 number net of the cluster's /16. Network 0 holds the machines,
// network i the pods of node i, network 255 the services.
func (s *State) addr(net, host int) netip.Addr {
	a := s.Subnet.Addr().As4()
	a[2], a[3] = byte(net), byte(host)
	return netip.AddrFrom4(a)
}

// addr6 is addr's counterpart in a unique local /48 (RFC 4193).
func (s *State) addr6(net, host int) netip.Addr {
	second := s.Subnet.Addr().As4()[1]
	return netip.AddrFrom16([16]byte{0xfd, 0xc0, 0x5a, 0x4e, 0x00, second, 0x00, byte(net), 15: byte(host)})
}

func (s *State) hostAddr() netip.Addr          { return s.addr(0, 1) }
func (s *State) controlPlaneAddr() netip.Addr  { return s.addr(0, 2) }
func (s *State) nodeAddr(node int) netip.Addr  { return s.addr(0, 10+node) }
func (s *State) nodeAddr6(node int) netip.Addr { return s.addr6(0, 10+node) }
func (s *State) podNet(node int) netip.Prefix  { return netip.PrefixFrom(s.addr(node, 0), 24) }
func (s *State) podNet6(node int) netip.Prefix { return netip.PrefixFrom(s.addr6(node, 0), 64) }
func (s *State) serviceNet() netip.Prefix      { return netip.PrefixFrom(s.addr(255, 0), 24) }

// apiServiceAddr is what the apiserver takes for its own Service: the first address of the service network.
func (s *State) apiServiceAddr() netip.Addr { return s.addr(255, 1) }

func (s *State) serverURL() string { return "https://" + s.controlPlaneAddr().String() }

func nodeName(node int) string { return fmt.Sprintf("node-%d", node) }

func (s *State) hostLink() string           { return s.Name + "-host" }
func (s *State) controlPlaneNetns() string  { return filepath.Join(s.dir, "netns", "control-plane") }
func (s *State) nodeNetns(node int) string  { return filepath.Join(s.dir, "netns", nodeName(node)) }
func (s *State) nodeDir(node int) string    { return filepath.Join(s.dir, "nodes", nodeName(node)) }
func (s *State) controlPlaneDir() string    { return filepath.Join(s.dir, "control-plane") }
func (s *State) logPath(name string) string { return filepath.Join(s.dir, "logs", name+".log") }
func (s *State) runtimeLog(node int) string {
	return s.logPath(nodeName(node) + "-" + containerRuntimeOf(s.runtimeOf(node).Name).program)
}
func (s *State) binDir() string             { return filepath.Join(s.dir, "bin") }
func (s *State) kubeconfigPath() string     { return filepath.Join(s.dir, "kubeconfig") }
func (s *State) nodeCgroup(node int) string { return filepath.Join("/", s.Name, nodeName(node)) }
func (s *State) controlPlaneCgroup() string { return filepath.Join("/", s.Name, "control-plane") }
func (s *State) pki(file string) string     { return filepath.Join(s.dir, "pki", file) }
func (s *State) systemCgroup(n int) string  { return filepath.Join(s.nodeCgroup(n), "system") }
