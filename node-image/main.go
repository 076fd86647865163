//go:build linux

// Cosanet-collector runs on a node, in a pod with hostPID or as root on any Linux host, and tells what the kernel counted in
// every pod's network namespace.
//
// It is a Prometheus exporter until SIGTERM, as the cosanet exporter was: it exits with 0 when its last answers are written,
// with 1 when they are not or an address cannot be listened on. With --once it writes frames of Prometheus text (see
// pkg/metrics) to its standard output instead: it exits with 0 when all are written and with 1 when they are not. A wrong
// command line is 2.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
)

// version and revision are set by the linker: -X main.version=v1.2.3.
var version, revision = "dev", ""

func main() {
	c, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintf(os.Stderr, "cosanet-collector: error: %v\n", err)
		os.Exit(2)
	}
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // a pod's log merges stderr into the frames
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := c.run(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "cosanet-collector: error: %v\n", err)
		os.Exit(1)
	}
}

// run does what the command line asks for.
func (c *command) run(ctx context.Context) error {
	if !c.serve {
		return collector.Run(ctx, &c.Config, os.Stdout)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(20) // little is allocated from scrape to scrape: to keep less costs next to nothing
	}
	c.exporter.Log = c.logger(os.Stderr)
	c.exporter.Log.Info("cosanet exporter", "version", c.Version, "revision", c.Revision, "node", c.Node)
	err := collector.Serve(ctx, &c.Config, &c.exporter)
	if err != nil {
		c.exporter.Log.Error("ended", "error", err)
	}
	return err
}
