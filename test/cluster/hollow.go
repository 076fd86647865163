package main

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// Hollow is the process that is the kubelet of all hollow nodes (test/hollow). It is no part of the cluster: when it ends,
// the cluster is whole all the same.
type Hollow struct {
	Process
	Nodes int `json:"nodes"`
}

const hollowName = "hollow"

// The networks of the hollow nodes, of those of their pods that serve something, and of the nodes that nobody reaches: parts
// of the cluster's /16 that neither its nodes (up to .100) nor its services (.255) are in.
func (s *State) hollowNodeNet() netip.Prefix { return netip.PrefixFrom(s.addr(128, 0), 19) }
func (s *State) hollowPodNet() netip.Prefix  { return netip.PrefixFrom(s.addr(160, 0), 19) }
func (s *State) hollowDeadNet() netip.Prefix { return netip.PrefixFrom(s.addr(224, 0), 20) }

func (s *State) hollowProgress() string { return filepath.Join(s.dir, "hollow.json") }

// hollowRoutes make every address of the first two networks one of the control plane's own, where the process listens. On
// the third nobody answers: whoever connects waits for an answer to ARP, as with a machine that is off.
func (s *State) hollowRoutes() []string {
	return []string{
		fmt.Sprintf("route replace local %s dev lo", s.hollowNodeNet()),
		fmt.Sprintf("route replace local %s dev lo", s.hollowPodNet()),
		fmt.Sprintf("route replace %s dev br0", s.hollowDeadNet()),
	}
}

// hollow sets the number of hollow nodes: it ends the process that there is, and starts one for that many nodes, which takes
// over what is there, or, for none, has all of it taken away.
func hollow(ctx context.Context, s *State, args []string, p *progress) error {
	nodes, err := strconv.Atoi(args[0])
	if err != nil || nodes < 0 {
		return usageError(fmt.Sprintf("hollow %s: want a number of nodes", args[0]))
	}
	program, err := hollowProgram()
	if err != nil {
		return err
	}
	release, err := claim(s.dir)
	if err != nil {
		return err
	}
	defer release()
	if err := s.endHollow(); err != nil {
		return err
	}
	if nodes == 0 {
		cmd := exec.CommandContext(ctx, program, "--nodes", "0", "--kubeconfig", s.kubeconfigPath())
		cmd.Stderr = os.Stderr
		cmd.Env = []string{"HOME=/root"} // and no proxy
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("removing the hollow nodes: %w", err)
		}
		return nil
	}
	d, err := s.startHollow(ctx, program, nodes, args[1:])
	if err != nil {
		return err
	}
	return s.awaitHollow(ctx, d, p)
}

// hollowProgram is the program of that name beside this one.
func hollowProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the program of the hollow nodes: %w", err)
	}
	program := filepath.Join(filepath.Dir(self), hollowName)
	if _, err := os.Stat(program); err != nil {
		return "", fmt.Errorf("finding the program of the hollow nodes: %w: run `make bin/hollow`", err)
	}
	return program, nil
}

// endHollow ends the process; what it made stays.
func (s *State) endHollow() error {
	if s.Hollow == nil {
		return nil
	}
	if err := s.Hollow.kill(); err != nil {
		return err
	}
	s.Hollow = nil
	return s.save()
}

func (s *State) startHollow(ctx context.Context, program string, nodes int, args []string) (*daemon, error) {
	if err := s.writeHollowCertificate(); err != nil {
		return nil, err
	}
	if err := ip(ctx, s.controlPlaneNetns(), s.hollowRoutes()); err != nil {
		return nil, err
	}
	if err := os.Remove(s.hollowProgress()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("starting the hollow nodes: %w", err)
	}
	list, err := hierarchies()
	if err != nil {
		return nil, err
	}
	cgroups, err := makeCgroup(list, filepath.Join("/", s.Name, hollowName))
	if err != nil {
		return nil, err
	}
	argv := []string{hollowName, "--kubeconfig=" + s.kubeconfigPath(), "--progress=" + s.hollowProgress(), "--nodes=" + strconv.Itoa(nodes),
		"--node-addresses=" + s.hollowNodeNet().String(), "--pod-addresses=" + s.hollowPodNet().String(), "--dead-addresses=" + s.hollowDeadNet().String(),
		"--tls-cert-file=" + s.pki("hollow.crt"), "--tls-private-key-file=" + s.pki("hollow.key")}
	return s.launch(hollowName, componentVerb, s.controlPlaneNetns(), 0, order{Cgroups: cgroups, Path: program, Argv: append(argv, args...)},
		func(p Process) { s.Hollow = &Hollow{p, nodes} })
}

// awaitHollow waits until all nodes and pods are made. An interruption leaves the process at it.
func (s *State) awaitHollow(ctx context.Context, d *daemon, p *progress) error {
	for {
		var now struct {
			Nodes, Pods, Warm int
			Ready             bool
		}
		text, err := os.ReadFile(s.hollowProgress())
		if err == nil {
			err = json.Unmarshal(text, &now)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("waiting for the hollow nodes: %w", err)
		}
		if now.Ready {
			p.step("%d hollow nodes with %d pods", now.Nodes, now.Pods)
			return nil
		}
		p.tick("%d hollow nodes, %d pods, the logs of %d", now.Nodes, now.Pods, now.Warm)
		select {
		case <-d.exited:
			return fmt.Errorf("the process of the hollow nodes has ended:\n%s", tail(d.log))
		case <-ctx.Done():
			return fmt.Errorf("waiting for the hollow nodes: %w: they are still being made, see %s", context.Cause(ctx), d.log)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// writeHollowCertificate makes the serving certificate of the hollow nodes' kubelets, once.
func (s *State) writeHollowCertificate() error {
	if _, err := os.Stat(s.pki("hollow.crt")); err == nil {
		return nil
	}
	ca, signer, err := s.authority()
	if err != nil {
		return err
	}
	key, err := s.writeKey("hollow.key")
	if err != nil {
		return err
	}
	return s.writeCertificate("hollow.crt", &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "system:node:hollow", Organization: []string{"system:nodes"}},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"hollow"},
	}, ca, &key.PublicKey, signer)
}
