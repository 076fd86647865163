package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"text/tabwriter"
	"time"
)

// broken returns what keeps a cluster from ever being whole again, nil if nothing does.
func (s *State) broken() error {
	switch {
	case s.Boot != bootID():
		return errors.New("the machine has rebooted since")
	case len(s.Processes) == 0:
		return errors.New("up has failed")
	}
	for _, p := range s.Processes {
		if !p.alive() {
			return fmt.Errorf("%s has ended", p.Name)
		}
	}
	if !s.Up {
		return errors.New("up has not finished")
	}
	return nil
}

// unwell returns what keeps a cluster from being whole now, nil if nothing does.
func (s *State) unwell(ctx context.Context) error {
	if err := s.broken(); err != nil {
		return err
	}
	a, err := s.api()
	if err != nil {
		return err
	}
	if _, err := a.get(ctx, "/readyz"); err != nil {
		return err
	}
	for n := 1; n <= s.Nodes; n++ {
		if err := nodeReady(ctx, a, nodeName(n)); err != nil {
			return err
		}
	}
	return nil
}

// awaitWell is unwell with patience for a busy machine: while all of its processes live, a cluster has half a minute
// to answer and its nodes to be Ready. What runs in it is lost when it is made anew.
func (s *State) awaitWell(ctx context.Context, p *progress) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Second) {
		wrong := s.unwell(ctx)
		if wrong == nil || s.broken() != nil || ctx.Err() != nil || time.Now().After(deadline) {
			return wrong
		}
		p.tick("waiting for the cluster: %v", wrong)
	}
}

// status prints the parts of the cluster, and is an error when it is not whole.
func status(ctx context.Context, o options, w io.Writer) error {
	s, err := load(o.dir)
	if err != nil {
		_, err := loadRunning(o) // words it
		return err
	}
	fmt.Fprintf(w, "cluster %s in %s, network %s, since %s\n\n", s.Name, s.dir, s.Subnet, s.Created.Format("2006-01-02 15:04:05"))
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "PROCESS\tPID\tSTATE\tLOG")
	for _, p := range s.Processes {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", p.Name, p.PID, p.state(), s.logPath(p.Name))
	}
	if s.Hollow != nil {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", s.Hollow.Name, s.Hollow.PID, s.Hollow.state(), s.logPath(s.Hollow.Name))
	}
	fmt.Fprintln(t, "\nNODE\tVERSION\tSTATE")
	if a, err := s.api(); err == nil {
		nodes, err := a.nodes(ctx)
		for _, n := range nodes {
			state := "Ready"
			if !n.ready {
				state = "NotReady: " + n.why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", n.name, n.version, state)
		}
		if err != nil {
			fmt.Fprintf(t, "-\t-\tunknown: %v\n", err)
		}
		if all, ready, err := a.hollowNodes(ctx); err != nil || all > 0 {
			fmt.Fprintf(t, "hollow-*\t\t%s\n", hollowState(all, ready, err))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if wrong := s.unwell(ctx); wrong != nil {
		return fmt.Errorf("the cluster is not whole: %w: run `cluster up` to make it anew", wrong)
	}
	return nil
}

func hollowState(all, ready int, err error) string {
	if err != nil {
		return "unknown: " + err.Error()
	}
	return fmt.Sprintf("%d hollow nodes, %d of them Ready", all, ready)
}

// execInNode becomes a command in a node.
func execInNode(s *State, node string, argv []string) error {
	p, err := s.node(node)
	if err != nil {
		return err
	}
	path, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("entering %s: %w (package util-linux)", node, err)
	}
	args := append([]string{"nsenter"}, enter(p, argv)...)
	return fmt.Errorf("running nsenter: %w", syscall.Exec(path, args, syscall.Environ()))
}
