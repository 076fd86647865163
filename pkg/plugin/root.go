package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Main runs the plugin with the given arguments and returns its exit code. Data goes to streams.Out, everything else to
// streams.ErrOut. Cancelling ctx ends the run and deletes what it made, of which ledger keeps account.
func Main(ctx context.Context, build Build, streams genericiooptions.IOStreams, ledger *Ledger, args []string) int {
	f := &factory{flags: genericclioptions.NewConfigFlags(true), streams: streams, build: build, ledger: ledger}
	root := newRoot(f)
	root.SetArgs(args)
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	parsed := false
	root.PersistentPreRun = func(*cobra.Command, []string) { parsed = true }
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !parsed {
		err = misuse(cmd, err) // an unknown command or flag: cobra's own errors know no exit code
	}
	leftover := ledger.settle()
	report(streams.ErrOut, leftover)
	switch {
	case errors.Is(err, syscall.EPIPE):
		return exitPipe // whoever read the output has seen enough: head, less
	case leftover != nil && ExitCode(err) <= ExitFailed && cmd.Name() == "diff":
		err = &ExitError{Code: ExitUsage, Err: err} // 1 would say that they differ, 0 that all is well
	case leftover != nil && err == nil:
		err = &ExitError{Code: ExitFailed}
	}
	report(streams.ErrOut, err)
	return ExitCode(err)
}

// exitPipe is what a shell sees of a program that ends by SIGPIPE, as kubectl does.
const exitPipe = 128 + 13

// misuse is the error of a wrong command line, which says where the right one is found.
func misuse(cmd *cobra.Command, err error) error {
	return usageError(fmt.Errorf("%w\nSee '%s --help' for usage", err, cmd.CommandPath()))
}

// report words an error as kubectl does. An interrupted run is not an error: whoever interrupted it knows.
func report(w io.Writer, err error) {
	if err != nil && err.Error() != "" && !errors.Is(err, context.Canceled) {
		fmt.Fprintf(w, "error: %s\n", printableLines(strings.TrimPrefix(err.Error(), "error: ")))
	}
}

func newRoot(f *factory) *cobra.Command {
	root := &cobra.Command{
		Use:         "kubectl-cosanet",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl cosanet"},
		Short:       "Show kernel network counters for every pod",
		Long: `Show what the kernel counted inside every pod's network namespace.

Nothing has to be installed: each command runs a short-lived collector pod on the nodes it needs, reads what that prints,
and deletes it. Where the exporter is installed (kubectl cosanet serve), it is asked instead. All of kubectl's connection flags work (--context, --as, --server, ...), behind the name of the command.

Exit codes: 0 all is well, 1 something failed, be it one node of many, 2 wrong flags or arguments, 130 interrupted.
For diff: 0 both sides are the same, 1 they differ, 2 an error.`,
		Example: `  kubectl cosanet top -A
  kubectl cosanet diff web-0 web-1
  kubectl cosanet raw -n shop | promtool check metrics`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	addConnectionFlags(root, f.flags)
	root.AddCommand(newTop(f), newDiff(f), newRaw(f), newSnapshot(f), newServe(f), newCleanup(f), newImage(f), newCompletion(f), newVersion(f))
	for _, cmd := range root.Commands() {
		completeFlags(f, cmd)
	}
	return root
}

// addConnectionFlags declares kubectl's flags. All work; help shows the three that are used by hand.
func addConnectionFlags(root *cobra.Command, flags *genericclioptions.ConfigFlags) {
	fs := root.PersistentFlags()
	flags.AddFlags(fs)
	fs.VisitAll(func(flag *pflag.Flag) {
		flag.Hidden = flag.Name != "namespace" && flag.Name != "context" && flag.Name != "kubeconfig"
	})
}
