//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	readEvery    = time.Second
	sendEvery    = 20 * time.Millisecond
	datagramSize = 512
)

// readSlowly has the smallest receive buffer the kernel gives (SOCK_MIN_RCVBUF, a few datagrams) and takes one datagram
// a second out of it: the rest is counted as Udp RcvbufErrors.
func readSlowly(ctx context.Context, args []string) error {
	address, err := net.ResolveUDPAddr("udp", args[0])
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(1); err != nil {
		return fmt.Errorf("shortening the receive buffer of %s: %w", args[0], err)
	}
	buf := make([]byte, datagramSize)
	every(ctx, readEvery, func() {
		_ = conn.SetReadDeadline(time.Now().Add(readEvery / 10)) // fails only on a closed socket
		_, _, err := conn.ReadFromUDP(buf)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) { // nothing there: the sender may come later
			fmt.Fprintf(os.Stderr, "demo: reading from %s: %v\n", args[0], err)
		}
	})
	return nil
}

func sendUDP(ctx context.Context, args []string) error {
	conn, err := net.Dial("udp", args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	datagram := make([]byte, datagramSize)
	every(ctx, sendEvery, func() {
		// Refused means that nobody reads there yet (an ICMP answer to the datagram before).
		if _, err := conn.Write(datagram); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			fmt.Fprintf(os.Stderr, "demo: sending to %s: %v\n", args[0], err)
		}
	})
	return nil
}
