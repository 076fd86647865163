// Command kubectl-cosanet shows the kernel's network counters of every pod of a cluster.
package main

import (
	"log/slog"
	"os"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/klog/v2"

	"github.com/cosanet/kubectl-cosanet/pkg/plugin"
)

// Set by the linker.
var version, image = "dev", ""

func main() {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // what client-go notes of an error comes back as the error
	var ledger plugin.Ledger
	ctx := plugin.UntilSignalled(&ledger, os.Stderr)
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	os.Exit(plugin.Main(ctx, plugin.Build{Version: version, Image: image}, streams, &ledger, plugin.Arguments(os.Args)))
}
