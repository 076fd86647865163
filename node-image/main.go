//go:build linux

// Cosanet-collector runs on a node and writes what the kernel counted in every pod's network namespace to its standard
// output: frames of Prometheus text (see pkg/metrics). Inside a pod with hostPID, or as root on any Linux host.
//
// It exits with 0 when all frames are written, with 1 when they are not, and with 2 for a wrong command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"google.golang.org/grpc/grpclog"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
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
	if err := collector.Run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "cosanet-collector: error: %v\n", err)
		os.Exit(1)
	}
}

// parse reads the command line. Asked for help or the version it prints that and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (*collector.Config, error) {
	c := &collector.Config{Version: version, Revision: revision, Set: metrics.Default}
	f := flag.NewFlagSet("cosanet-collector", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Bool("once", true, "walk, write and end")
	showVersion := f.Bool("version", false, "print the version and end")
	f.StringVar(&c.Run, "run", "", "id of this run, repeated in the trailer")
	f.Func("encoding", "of the frames: text or gzip (default text)", into(&c.Encoding, metrics.ParseEncoding))
	f.IntVar(&c.Samples, "samples", 1, "frames to write")
	f.DurationVar(&c.Interval, "interval", 0, "between the frames")
	f.DurationVar(&c.Deadline, "deadline", 0, "for all of it (default 1m and an interval for each frame)")
	f.Func("metrics", "set of metrics: default, errors or all (default default)", into(&c.Set, metrics.ParseSet))
	f.StringVar(&c.Node, "node", os.Getenv("NODE_NAME"), "name of the node in the labels (default $NODE_NAME, else the host's name)")
	f.StringVar(&c.CRISocket, "cri-socket", os.Getenv("CRI_SOCKET"), "path of the container runtime's socket on the node (default $CRI_SOCKET, else the known ones)")
	f.Func("collector.pod-filter", "only pods whose namespace/name matches this `expression`", into(&c.PodFilter, regexp.Compile))
	f.BoolVar(&c.Host, "collector.host-metrics.enabled", true, "the node's own row")
	f.BoolVar(&c.Conntrack, "collector.conntrack.enabled", true, "connection tracking")
	f.BoolVar(&c.Conntrack, "collector.connstrack.enabled", true, "the same, as the original exporter spelled it")
	f.BoolVar(&c.Snmp, "collector.snmp.enabled", true, "/proc/net/snmp and snmp6")
	f.Func("collector.snmp.metric-include", "counters of snmp and snmp6 whose Proto_Counter matches this `expression`, instead of the set's", into(&c.SnmpInclude, regexp.Compile))
	f.BoolVar(&c.Netstat, "collector.netstat.enabled", true, "/proc/net/netstat")
	f.Func("collector.netstat.metric-include", "counters of netstat whose Proto_Counter matches this `expression`, instead of the set's", into(&c.NetstatInclude, regexp.Compile))
	sockets := f.Bool("collector.sockproto.enabled", false, "sockets by state (always with --metrics=all)")
	f.Func("collector.sockproto.protos", "of these `protocols`: tcp, udp, icmp, udplite, raw (default tcp,udp, and all with --metrics=all)", into(&c.Protocols, collector.ParseProtocols))

	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Usage: cosanet-collector [flags]")
		f.SetOutput(stdout)
		f.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case *showVersion:
		fmt.Fprintln(stdout, version)
		return nil, flag.ErrHelp
	case c.Samples < 1:
		return nil, fmt.Errorf("--samples %d: at least 1", c.Samples)
	case c.Interval < 0 || c.Deadline < 0:
		return nil, errors.New("--interval and --deadline may not be negative")
	}
	switch all := c.Set == metrics.All; {
	case !all && !*sockets:
		c.Protocols = nil
	case c.Protocols == nil && all:
		c.Protocols = collector.AllProtocols()
	case c.Protocols == nil:
		c.Protocols = []collector.Protocol{collector.TCP, collector.UDP}
	}
	if c.Node == "" {
		c.Node, err = os.Hostname()
	}
	return c, err
}

// into makes the setter of a flag whose value is parsed.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}
