//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	connectEvery   = 250 * time.Millisecond
	connectTimeout = 200 * time.Millisecond // below the first retransmission of a SYN (1 s): one try, one drop
)

// loopback has an address of each IP version, which count into the same TcpExt.
var loopback = []string{"127.0.0.1:0", "[::1]:0"}

// fillListenQueue is a server that hangs: its listen queue holds one connection and nobody accepts. Its clients live in
// the same pod, so all that the kernel counts (TcpExt ListenOverflows and ListenDrops) is counted in this pod.
func fillListenQueue(ctx context.Context, _ []string) error {
	var wg sync.WaitGroup
	var failed []error
	for _, address := range loopback {
		listener, err := listenNoQueue(address)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		defer listener.Close()
		wg.Go(func() { knock(ctx, listener.Addr().String()) })
	}
	err := errors.Join(failed...)
	if len(failed) < len(loopback) && err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err) // a node without IPv6 still shows the IPv4 half
		err = nil
	}
	wg.Wait()
	return err
}

// listenNoQueue listens with the shortest queue there is. The net package asks for somaxconn; a second listen(2) on a
// listening socket only changes the backlog (inet_listen in net/ipv4/af_inet.c), and 0 still lets one connection in.
func listenNoQueue(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err == nil {
		var listenErr error
		err = raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), 0) })
		if err == nil {
			err = listenErr
		}
	}
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("shortening the listen queue of %s: %w", address, err)
	}
	return listener, nil
}

// knock keeps trying to connect. The few connections that get in are held until the end.
func knock(ctx context.Context, address string) {
	dialer := net.Dialer{Timeout: connectTimeout}
	every(ctx, connectEvery, func() {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			context.AfterFunc(ctx, func() { conn.Close() })
		}
	})
}
