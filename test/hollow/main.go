// Command hollow makes a cluster look large: it registers nodes that have no machine, and is the kubelet of all of them.
// Their pods are objects of the real API server, bound by the real scheduler, and show every state that a kubelet reports;
// what their collectors write is a recording of real ones, rewritten to each node's own pods.
//
// It runs until SIGTERM and then leaves everything as it is; run again it goes on where it stopped. With --nodes 0 it takes
// away all that it ever made and ends.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "hollow: %v\n", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "hollow: %v\n", err)
		os.Exit(1)
	}
}

// run does what the command line asks for.
func run(ctx context.Context, o *options) error {
	client, err := connect(o.kubeconfig)
	if err != nil {
		return err
	}
	progress := newProgress(os.Stderr, o.progress)
	if o.nodes == 0 {
		return remove(ctx, client, progress)
	}
	f, err := newFleet(o, client, progress)
	if err != nil {
		return err
	}
	return f.run(ctx)
}
