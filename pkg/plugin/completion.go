package plugin

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// completerName is the program that kubectl, from 1.26 on, looks for on PATH and runs when the rest of `kubectl cosanet` is
// to be completed: pluginCompletion in k8s.io/kubectl/pkg/cmd/plugin. This program is it when called by that name.
const (
	pluginName    = "kubectl-cosanet"
	completerName = "kubectl_complete-cosanet"
)

// Arguments are those that Main is to run with: those behind the program's name, and before them cobra's own verb for
// completions if that name is the one by which kubectl asks for them.
func Arguments(argv []string) []string {
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(argv[0])), ".exe")
	if name != completerName {
		return argv[1:]
	}
	return append([]string{cobra.ShellCompRequestCmd}, argv[1:]...)
}

func newCompletion(f *factory) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion COMMAND",
		Short: "Complete kubectl cosanet with the tab key, or no longer",
		Long: `Complete kubectl cosanet with the tab key, wherever kubectl itself is completed
("kubectl completion --help" says how a shell is told to).

kubectl, from 1.26 on, asks a program on the PATH that is called
` + completerName + `. It is a link to the plugin; on Windows a copy, which
has to be installed again after each upgrade of the plugin.`,
		Example: `  kubectl cosanet completion install
  kubectl cosanet completion uninstall`,
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			if slices.Contains([]string{"bash", "fish", "powershell", "zsh"}, args[0]) { // what other programs have here
				return misuse(cmd, fmt.Errorf("unknown command %q: kubectl's own script (kubectl completion %[1]s) completes the plugin too, after %s install", args[0], cmd.CommandPath()))
			}
			return misuse(cmd, unknown("command", args[0], availableCommands(cmd)))
		},
	}
	cmd.AddCommand(newCompletionInstall(f), newCompletionUninstall(f))
	return cmd
}

func newCompletionInstall(f *factory) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Let kubectl complete the plugin's verbs, flags, pods, columns, ...",
		Long: `Let kubectl complete what follows "kubectl cosanet": verbs, flags, namespaces,
pods, nodes, columns and metrics, by putting ` + completerName + ` beside the
plugin or, if that folder is not yours, into the first one of PATH in your home
that is.`,
		Example: `  kubectl cosanet completion install
  kubectl cosanet completion install --dir ~/.local/bin`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := thisSite()
			if err != nil {
				return err
			}
			path, err := site.install(dir)
			if err != nil {
				return err
			}
			switch found := site.find(completerName); found {
			case path:
			case "":
				fmt.Fprintf(f.streams.ErrOut, "%s is not on PATH: nothing is completed until it is\n", filepath.Dir(path))
			default:
				fmt.Fprintf(f.streams.ErrOut, "%s comes first on PATH: that is what completes\n", found)
			}
			if site.copies() {
				fmt.Fprintln(f.streams.ErrOut, "it is a copy of the plugin: install it again after each upgrade")
			}
			_, err = fmt.Fprintf(f.streams.Out, "%s installed\n", path)
			return err
		},
	}
	addDirFlag(cmd, &dir, "the `FOLDER` of PATH to put it into. Default: beside the plugin")
	return cmd
}

func newCompletionUninstall(f *factory) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove what install made",
		Long: `Remove ` + completerName + ` from the folders of PATH. Nothing else is
touched, and no program of that name which is not this plugin.`,
		Example: "  kubectl cosanet completion uninstall",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			site, err := thisSite()
			if err != nil {
				return err
			}
			removed, err := site.uninstall(dir)
			for _, path := range removed {
				fmt.Fprintf(f.streams.Out, "%s removed\n", path)
			}
			if len(removed) == 0 && err == nil {
				fmt.Fprintf(f.streams.ErrOut, "No %s found\n", completerName)
			}
			return err
		},
	}
	addDirFlag(cmd, &dir, "the `FOLDER` to look into. Default: those of PATH")
	return cmd
}

func addDirFlag(cmd *cobra.Command, dir *string, usage string) {
	cmd.Flags().StringVar(dir, "dir", "", usage)
	if err := cmd.MarkFlagDirname("dir"); err != nil {
		panic(err) // no such flag: a mistake in the line above
	}
}
