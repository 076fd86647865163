//go:build linux

// Command demo is every pod of the demo: one program that makes, by its first argument, one kind of traffic or trouble
// at a modest rate until it is told to stop.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// role is one thing the program can be. Its arguments are those after its name.
type role struct {
	name string
	args []string // what the arguments mean; their number is checked
	does string
	run  func(ctx context.Context, args []string) error
}

var roles = []role{
	{"http-server", []string{"ADDR"}, "answers on ADDR, over IPv4 and IPv6", serveHTTP},
	{"http-client", []string{"URL"}, "asks URL, over one connection kept alive and over new ones", askHTTP},
	{"full-listen-queue", nil, "lets its own clients connect to a server that never accepts", fillListenQueue},
	{"replica", []string{"NAME", "ODD"}, "does nothing, and as the replica ODD of a workload what full-listen-queue does", beReplica},
	{"slow-udp-reader", []string{"ADDR"}, "reads less from ADDR than is sent to it", readSlowly},
	{"udp-sender", []string{"ADDR"}, "sends datagrams to ADDR", sendUDP},
	{"many-sockets", []string{"N"}, "holds N established TCP sockets, both ends of its own connections", holdSockets},
	{"idle", nil, "does nothing", idle},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		for _, r := range roles {
			if r.name == args[0] && len(r.args) == len(args)-1 {
				fmt.Println("demo:", strings.Join(args, " "))
				return r.run(ctx, args[1:])
			}
		}
	}
	var usage strings.Builder
	for _, r := range roles {
		fmt.Fprintf(&usage, "\n  demo %-30s %s", strings.Join(append([]string{r.name}, r.args...), " "), r.does)
	}
	return fmt.Errorf("what to be? one of:%s", usage.String())
}

// beReplica is one of many that are alike but for one.
func beReplica(ctx context.Context, args []string) error {
	if args[0] == args[1] {
		return fillListenQueue(ctx, nil)
	}
	return idle(ctx, nil)
}

func idle(ctx context.Context, _ []string) error {
	<-ctx.Done()
	return nil
}
