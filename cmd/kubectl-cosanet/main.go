// Command kubectl-cosanet shows the kernel's network counters of every pod of a cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/pkg/plugin"
)

// Set by the linker.
var version, image = "dev", ""

func main() {
	// The first signal ends the run in order, with its pods deleted; the second one ends it at once.
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // a closed pipe must not end the run before its pods are deleted
	var ledger plugin.Ledger
	go func() {
		<-signals
		cancel()
		<-signals
		fmt.Fprint(os.Stderr, ledger.Farewell())
		os.Exit(plugin.ExitInterrupted)
	}()
	args := os.Args[1:]
	if filepath.Base(os.Args[0]) == "kubectl_complete-cosanet" { // how kubectl asks a plugin for completions
		args = append([]string{"__complete"}, args...)
	}
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(plugin.Main(ctx, plugin.Build{Version: version, Image: image}, streams, &ledger, args))
}
