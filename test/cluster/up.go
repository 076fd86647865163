package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// up brings the cluster up; if one is up and well it only imports the images.
func up(ctx context.Context, o options, p *progress) error {
	b, built, err := kubeBinaries()
	if err != nil {
		return err
	}
	old, err := load(o.dir)
	switch {
	case errors.Is(err, fs.ErrPermission): // not root: preflight says so, with all that is missing besides
	case errors.Is(err, fs.ErrNotExist):
		if err := foreign(o.dir); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if old != nil {
		wrong := old.awaitWell(ctx, p)
		if wrong == nil {
			if o.nodes != 0 && o.nodes != old.Nodes {
				return fmt.Errorf("the cluster has %d nodes, not %d: run `cluster down` first", old.Nodes, o.nodes)
			}
			if !old.hasRuntimes(o.runtimes) {
				return errors.New("the cluster has other container runtimes: run `cluster down` first")
			}
			p.step("the cluster is up, every node (%d) is Ready", old.Nodes)
			return importImages(ctx, old, o.images, p)
		}
		if err := clean(o.dir, wrong, p); err != nil {
			return err
		}
	}
	if o.nodes == 0 {
		o.nodes = max(defaultNodes, 1+len(o.runtimes))
	}
	s := &State{Name: o.name, Boot: bootID(), Created: time.Now(), Nodes: o.nodes, Kube: b.kube, dir: o.dir}
	for _, name := range o.runtimes {
		s.Runtimes = append(s.Runtimes, NodeRuntime{Name: name})
	}
	m, err := thisMachine(built)
	if err != nil {
		return err
	}
	if err := preflight(m, s); err != nil {
		return err
	}
	used, err := usedNetworks(ctx)
	if err != nil {
		return err
	}
	if s.Subnet, err = pickSubnet(o.name, used); err != nil {
		return err
	}
	for _, archive := range o.images {
		if _, err := os.Stat(archive); err != nil {
			return fmt.Errorf("reading the image archive: %w", err)
		}
	}
	kube, err := kubernetes()
	if err != nil {
		return err
	}
	if err := kube.build(ctx, p); err != nil {
		return err
	}
	if err := s.buildRuntimes(ctx, p); err != nil {
		return err
	}
	return s.create(ctx, o, m, b.pause, p)
}

// clean removes what is left of a cluster that is not whole.
func clean(dir string, wrong error, p *progress) error {
	release, err := claim(dir)
	if err != nil {
		return err
	}
	defer release()
	s, err := load(dir) // as it is now that nobody else works on it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	p.step("cleaning up an earlier cluster: %v", wrong)
	return s.remove(false)
}

// create makes the cluster. When that fails, everything but the logs is removed again.
func (s *State) create(ctx context.Context, o options, m machine, pause string, p *progress) (err error) {
	release, err := claim(s.dir)
	if err != nil {
		return err
	}
	defer release()
	s.makeTokens()
	if err := s.save(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	if err := s.boot(ctx, m, pause, p); err != nil {
		if err := s.remove(true); err != nil {
			p.step("cleaning up: %v", err)
		}
		return err
	}
	if err := importImages(ctx, s, o.images, p); err != nil {
		return fmt.Errorf("%w (the cluster is up, but without this image)", err)
	}
	version, err := kubeVersion()
	if err != nil {
		return err
	}
	p.step("up: Kubernetes %s, every node (%d) is Ready; use it by eval \"$(%s env%s)\"", version, s.Nodes, os.Args[0], o.flags())
	return nil
}

// boot starts everything in order and waits until pods can run.
func (s *State) boot(ctx context.Context, m machine, pause string, p *progress) error {
	if err := s.prepare(pause); err != nil {
		return err
	}
	p.step("network %s", s.Subnet)
	if err := s.buildNetwork(ctx); err != nil {
		return err
	}
	s.Cgroup = filepath.Join("/", s.Name)
	if err := s.save(); err != nil {
		return err
	}
	cgroups, err := makeCgroup(m.hierarchies, s.controlPlaneCgroup())
	if err != nil {
		return err
	}
	a, err := s.api()
	if err != nil {
		return err
	}
	w := waiter{progress: p}
	p.step("control plane")
	for _, c := range []component{s.storage(), s.apiserver()} {
		if err := w.add(s.startComponent(c, cgroups)); err != nil {
			return err
		}
	}
	err = w.wait(ctx, "the apiserver", s.logPath("kube-apiserver"), func() error {
		_, err := a.get(ctx, "/readyz")
		return err
	})
	if err != nil {
		return err
	}
	for _, c := range s.controllers() {
		if err := w.add(s.startComponent(c, cgroups)); err != nil {
			return err
		}
	}
	p.step("nodes")
	if err := s.startNodes(m, &w); err != nil {
		return err
	}
	if err := s.awaitNodes(ctx, a, &w); err != nil {
		return err
	}
	s.Up = true
	return s.save()
}

// prepare fills the cluster's folder.
func (s *State) prepare(pause string) error {
	for _, dir := range []string{s.binDir(), filepath.Dir(s.logPath("")), s.controlPlaneDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the cluster's folder: %w", err)
		}
	}
	if err := os.Symlink(s.Kube, filepath.Join(s.binDir(), "kubectl")); err != nil {
		return fmt.Errorf("putting kubectl in place: %w", err)
	}
	if err := s.writePKI(); err != nil {
		return err
	}
	if err := s.writeAccess(); err != nil {
		return err
	}
	return s.makePauseArchive(pause)
}

func (s *State) startNodes(m machine, w *waiter) error {
	for n := 1; n <= s.Nodes; n++ {
		cgroups, err := makeCgroup(m.hierarchies, s.systemCgroup(n))
		if err != nil {
			return err
		}
		if err := w.add(s.startNode(n, cgroups, m.cniDir())); err != nil {
			return err
		}
	}
	return nil
}

// awaitNodes imports the pause image into every node and waits until each takes pods.
func (s *State) awaitNodes(ctx context.Context, a *api, w *waiter) error {
	for n := 1; n <= s.Nodes; n++ {
		store := s.imageStore(n)
		if err := w.wait(ctx, nodeName(n), s.runtimeLog(n), func() error { return store.ready(ctx) }); err != nil {
			return err
		}
	}
	quiet := newProgress(io.Discard)
	if err := importImages(ctx, s, []string{s.pauseArchive()}, quiet); err != nil {
		if err := w.ended(); err != nil { // the reason rather than the consequence
			return err
		}
		return err
	}
	for n := 1; n <= s.Nodes; n++ {
		err := w.wait(ctx, nodeName(n), s.logPath(nodeName(n)+"-kubelet"), func() error { return nodeReady(ctx, a, nodeName(n)) })
		if err != nil {
			return err
		}
	}
	return w.wait(ctx, "the default service account", s.logPath("kube-controller-manager"), func() error {
		_, err := a.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err
	})
}

func nodeReady(ctx context.Context, a *api, name string) error {
	nodes, err := a.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.name == name && n.ready {
			return nil
		}
		if n.name == name {
			return fmt.Errorf("node %s is not Ready: %s", name, n.why)
		}
	}
	return fmt.Errorf("node %s has not registered", name)
}
