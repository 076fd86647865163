package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// component is a process of the control plane: its name and the flags it is started with.
type component struct {
	name string
	args []string
}

// storage and apiserver start together: the apiserver waits for etcd.
func (s *State) storage() component {
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380" // loopback of the control plane's own namespace
	return component{"etcd", []string{
		"--data-dir=" + filepath.Join(s.controlPlaneDir(), "data"),
		"--name=" + s.Name,
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=" + s.Name + "=" + peer,
		"--unsafe-no-fsync",                // the data need not outlive the machine
		"--quota-backend-bytes=8589934592", // a hundred thousand hollow pods, made twice before etcd tidies up
		"--log-level=warn",
	}}
}

func (s *State) apiserver() component {
	return component{"kube-apiserver", []string{
		"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0",
		// 443, so that the Service "kubernetes" works by an address and a route alone: there is no kube-proxy.
		"--secure-port=443",
		"--advertise-address=" + s.controlPlaneAddr().String(),
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + s.serviceNet().String(),
		"--tls-cert-file=" + s.pki("apiserver.crt"),
		"--tls-private-key-file=" + s.pki("apiserver.key"),
		"--token-auth-file=" + s.pki("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction", // on top of the default ones, PodSecurity among them
		"--allow-privileged",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.pki("service-account.key"),
		"--service-account-signing-key-file=" + s.pki("service-account.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--profiling=false",
	}}
}

// controllers need a ready apiserver: they give up after ten seconds without one.
func (s *State) controllers() []component {
	config := func(file string) string { return filepath.Join(s.controlPlaneDir(), file) }
	return []component{
		{"kube-controller-manager", []string{
			"--kubeconfig=" + config("controller-manager.kubeconfig"),
			"--use-service-account-credentials",
			"--service-account-private-key-file=" + s.pki("service-account.key"),
			"--root-ca-file=" + s.pki("ca.crt"),
			// Each controller may ask 20 times a second by default: it would take the first taint off a thousand new nodes in 50 s.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
			"--leader-elect=false",
			"--secure-port=0",
			"--profiling=false",
		}},
		{"kube-scheduler", []string{
			"--kubeconfig=" + config("scheduler.kubeconfig"),
			"--leader-elect=false",
			"--secure-port=0",
			"--profiling=false",
		}},
	}
}

// startComponent starts a component in the control plane's network namespace and cgroup.
func (s *State) startComponent(c component, cgroups []string) (*daemon, error) {
	// By a link of its name: that is what ps and top show, and what kube picks the component by.
	link := filepath.Join(s.controlPlaneDir(), c.name)
	if err := os.Symlink(s.Kube, link); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.name, err)
	}
	return s.start(c.name, componentVerb, s.controlPlaneNetns(), 0, order{
		Cgroups: cgroups,
		Path:    link,
		Argv:    append([]string{c.name}, c.args...),
	})
}
