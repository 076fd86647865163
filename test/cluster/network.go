package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// The network: a bridge in the control plane's network namespace, a veth from it to the machine and to each node.
// No node has a default route, so nothing in the cluster reaches further than the cluster and this machine.
//
//	machine NAME-host .0.1 ── br0 .0.2 (control plane; also .255.1, the apiserver's ClusterIP)
//	                           ├── eth0 .0.11 node-1 ── cni0, pods .1.0/24
//	                           └── eth0 .0.12 node-2 ── cni0, pods .2.0/24
func (s *State) buildNetwork(ctx context.Context) error {
	namespaces := []string{s.controlPlaneNetns()}
	for n := 1; n <= s.Nodes; n++ {
		namespaces = append(namespaces, s.nodeNetns(n))
	}
	s.Mounts, s.Link = namespaces, s.hostLink()
	if err := s.save(); err != nil {
		return err
	}
	for _, path := range namespaces {
		if err := makeNetns(path); err != nil {
			return err
		}
	}
	for _, step := range s.networkPlan() {
		if err := ip(ctx, step.netns, step.commands); err != nil {
			return err
		}
	}
	return nil
}

// ipCommands are lines of `ip -batch`, to be run in a network namespace ("": the machine's own).
type ipCommands struct {
	netns    string
	commands []string
}

func (s *State) networkPlan() []ipCommands {
	line := fmt.Sprintf
	cp, cp6 := s.controlPlaneAddr(), s.addr6(0, 2)
	bridge := []string{
		"link set lo up",
		"link add br0 type bridge",
		line("addr add %s/24 dev br0", cp),
		line("addr add %s/64 dev br0 nodad", cp6),
		line("addr add %s/32 dev lo", s.apiServiceAddr()),
		"link set br0 up",
	}
	host := []string{
		line("link add %s type veth peer name host netns %s", s.hostLink(), s.controlPlaneNetns()),
		line("addr add %s/24 dev %s", s.hostAddr(), s.hostLink()),
		line("link set %s up", s.hostLink()),
		line("route add %s via %s", s.serviceNet(), cp),
	}
	ports := []string{"link set host master br0 up"}
	var nodes []ipCommands
	for n := 1; n <= s.Nodes; n++ {
		ports = append(ports,
			line("link add %s type veth peer name eth0 netns %s", nodeName(n), s.nodeNetns(n)),
			line("link set %s master br0 up", nodeName(n)),
			line("route add %s via %s", s.podNet(n), s.nodeAddr(n)),
			line("route add %s via %s", s.podNet6(n), s.nodeAddr6(n)))
		host = append(host, line("route add %s via %s", s.podNet(n), s.nodeAddr(n)))
		node := []string{
			"link set lo up",
			line("addr add %s/24 dev eth0", s.nodeAddr(n)),
			line("addr add %s/64 dev eth0 nodad", s.nodeAddr6(n)),
			"link set eth0 up",
			line("route add %s via %s", s.serviceNet(), cp),
		}
		for other := 1; other <= s.Nodes; other++ {
			if other != n {
				node = append(node, line("route add %s via %s", s.podNet(other), s.nodeAddr(other)),
					line("route add %s via %s", s.podNet6(other), s.nodeAddr6(other)))
			}
		}
		nodes = append(nodes, ipCommands{s.nodeNetns(n), node})
	}
	plan := []ipCommands{{s.controlPlaneNetns(), bridge}, {"", host}, {s.controlPlaneNetns(), ports}}
	return append(plan, nodes...)
}

// ip runs commands of iproute2 in a network namespace. Not by `ip netns exec`, which mounts /sys anew and so hides
// the cgroups; and with the namespaces in the cluster's own folder rather than under /run/netns, which `ip netns add`
// would turn into a mount that stays.
func ip(ctx context.Context, netns string, commands []string) error {
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := inNetns(netns, cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("setting up the network: ip: %w: %s", err, strings.TrimSpace(output.String()))
	}
	return nil
}

// makeNetns makes a network namespace and keeps it by a bind mount on path.
func makeNetns(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("making a network namespace: %w", err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is in the wrong namespace and ends here
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("making a network namespace: %w", err)
			return
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			done <- fmt.Errorf("mounting a network namespace on %s: %w", path, err)
			return
		}
		done <- nil
	}()
	return <-done
}

// inNetns calls f on a thread in the network namespace kept at path; a process that f starts is born there.
func inNetns(path string, f func() error) error {
	if path == "" {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // as in makeNetns
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			done <- fmt.Errorf("opening network namespace %s: %w", path, err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering network namespace %s: %w", path, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// usedNetworks lists the destinations of the machine's IPv4 routes, of every table.
func usedNetworks(ctx context.Context) ([]netip.Prefix, error) {
	out, err := exec.CommandContext(ctx, "ip", "-json", "-4", "route", "show", "table", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("listing routes: ip: %w", err)
	}
	return parseRoutes(out)
}

func parseRoutes(data []byte) ([]netip.Prefix, error) {
	var routes []struct{ Dst string }
	if err := json.Unmarshal(data, &routes); err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var list []netip.Prefix
	for _, r := range routes {
		dst := r.Dst
		if dst == "default" {
			continue
		}
		if !strings.Contains(dst, "/") {
			dst += "/32"
		}
		p, err := netip.ParsePrefix(dst)
		if err != nil {
			return nil, fmt.Errorf("listing routes: %w", err)
		}
		list = append(list, p)
	}
	return list, nil
}
