//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// socketsPerProcess is below what a process may usually have open: 20,000 descriptors.
const socketsPerProcess = 18_000

// holdSockets has N established TCP sockets, both ends of N/2 connections over loopback, until it is told to stop. More
// than one process may have open are shared with processes of its own kind. It says "demo: ready" when all are there.
func holdSockets(ctx context.Context, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 2 {
		return fmt.Errorf("%q: how many sockets?", args[0])
	}
	var children sync.WaitGroup
	defer children.Wait()
	for n > socketsPerProcess {
		child, err := holdElsewhere(ctx, socketsPerProcess)
		switch {
		case ctx.Err() != nil:
			return nil // told to stop meanwhile
		case err != nil:
			return err
		}
		children.Go(func() { child.Wait() }) // killed with ctx, as its state then says: no news
		n -= socketsPerProcess
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var ends []net.Conn // referred to below, so that none is closed as garbage
	for len(ends) < n-1 {
		client, err := net.Dial("tcp4", listener.Addr().String())
		if err != nil {
			return fmt.Errorf("after %d sockets: %w", len(ends), err)
		}
		server, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("after %d sockets: %w", len(ends), err)
		}
		ends = append(ends, client, server)
	}
	fmt.Println("demo: ready")
	<-ctx.Done()
	for _, end := range ends {
		end.Close()
	}
	return listener.Close()
}

// holdElsewhere starts another process that holds n sockets, and returns when it does.
func holdElsewhere(ctx context.Context, n int) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "many-sockets", strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if lines.Text() == "demo: ready" {
			return cmd, nil
		}
	}
	return nil, fmt.Errorf("a process for %d sockets: %w", n, cmd.Wait())
}
