package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Main runs the plugin with the given arguments and returns its exit code. Data goes to streams.Out, everything else to
// streams.ErrOut. Cancelling ctx ends the run and deletes what it made, of which ledger keeps account.
func Main(ctx context.Context, build Build, streams genericiooptions.IOStreams, ledger *Ledger, args []string) int {
	streams.ErrOut = messages{streams.ErrOut}
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
	f.warnings.print(streams.ErrOut)
	report(streams.ErrOut, leftover)
	switch {
	case errors.Is(err, syscall.EPIPE):
		return ExitPipe // whoever read the output has seen enough: head, less
	case leftover != nil && ExitCode(err) <= ExitFailed && cmd.Name() == "diff":
		err = &ExitError{Code: ExitUsage, Err: err} // 1 would say that they differ, 0 that all is well
	case leftover != nil && err == nil:
		err = &ExitError{Code: ExitFailed}
	}
	report(streams.ErrOut, err)
	return ExitCode(err)
}

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
Short-lived collector pods count, or the exporter where it is installed (serve).`,
		Example:           `  kubectl cosanet top -A`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		DisableAutoGenTag: true,
	}
	flags := root.PersistentFlags()
	f.flags.AddFlags(flags)
	flags.Lookup("cache-dir").DefValue = "$HOME/.kube/cache" // as it reads in help, not whose it is
	root.AddCommand(newTop(f), newExplain(f), newReport(f), newDiff(f), newRaw(f), newSnapshot(f), newDoctor(f), newServe(f), newCleanup(f), newImage(f), newCompletion(f), newColumns(f), newOptions(f), newVersion(f))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(cmd, cmd.OutOrStdout()) })
	root.SetFlagErrorFunc(flagError)
	completeFlags(f, root)
	return root
}
