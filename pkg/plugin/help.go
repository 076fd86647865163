package plugin

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Help fits a terminal of 80 columns and 24 lines, the prompt below it included: of the flags it shows those that are
// used by hand, and `kubectl cosanet options COMMAND` has all of them.
const screenWidth = 80

// shownFlags is the annotation of a command that names the flags its help shows.
const shownFlags = "cosanet.io/shown-flags"

// showFlags chooses the flags that the help of a command shows, in this order. A name that is no flag is a mistake in the
// command's file.
func showFlags(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if cmd.Flags().Lookup(name) == nil {
			panic(fmt.Sprintf("%s has no flag --%s", cmd.Name(), name))
		}
	}
	if cmd.Annotations == nil {
		cmd.Annotations = map[string]string{}
	}
	cmd.Annotations[shownFlags] = strings.Join(names, " ")
}

// help writes what `COMMAND --help` shows: what it does, examples, the flags in use, and where the others are.
func help(cmd *cobra.Command, w io.Writer) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintln(w, text)
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nCommands:\n%s", commandList(cmd))
	}
	if shown := flagsShown(cmd); shown.HasFlags() {
		fmt.Fprintf(w, "\nFlags (all, -n, --context, ...: kubectl cosanet options %s):\n%s", typed(cmd), flagLines(shown))
	}
	if cmd.Runnable() {
		fmt.Fprintf(w, "\nUsage: %s\n", cmd.UseLine())
	} else {
		fmt.Fprintf(w, "\nMore: %s COMMAND --help", cmd.CommandPath())
		if !cmd.HasParent() {
			fmt.Fprint(w, "; kubectl's flags: kubectl cosanet options")
		}
		fmt.Fprintln(w)
	}
}

// commandList is one line a subcommand, in the order in which they were added.
func commandList(cmd *cobra.Command) string {
	var b strings.Builder
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			fmt.Fprintf(&b, "  %-*s %s\n", cmd.NamePadding(), sub.Name(), sub.Short)
		}
	}
	return b.String()
}

// typed is the command as it is typed behind kubectl cosanet.
func typed(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().CommandPath()), " ")
}

// flagsShown are the flags that the help of a command shows: those it names, else all of its own. The root's are in options.
func flagsShown(cmd *cobra.Command) *pflag.FlagSet {
	shown := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	shown.SortFlags = false
	if names, ok := cmd.Annotations[shownFlags]; ok {
		for _, name := range strings.Fields(names) {
			shown.AddFlag(cmd.Flags().Lookup(name))
		}
		return shown
	}
	if !cmd.HasParent() {
		return shown
	}
	return ownFlags(cmd)
}

// flagLines is one line a flag: the first sentence that its usage text says, and its default where that fits.
func flagLines(flags *pflag.FlagSet) string {
	var b strings.Builder
	width := 0
	flags.VisitAll(func(flag *pflag.Flag) { width = max(width, len(flagTitle(flag))) })
	flags.VisitAll(func(flag *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(flag)
		first, _, _ := strings.Cut(usage, ". ")
		line := fmt.Sprintf("%-*s  %s", width, flagTitle(flag), first)
		if long := line + flagDefault(flag); len(long) <= screenWidth {
			line = long
		}
		fmt.Fprintln(&b, line)
	})
	return b.String()
}

// flagParagraphs is all that there is to say of each flag.
func flagParagraphs(flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(flag *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(flag)
		fmt.Fprintf(&b, "%s\n%s\n", flagTitle(flag), wrapped(usage+flagDefault(flag), 10))
	})
	return b.String()
}

// flagTitle is a flag as it is typed: "  -l, --selector LABELS".
func flagTitle(flag *pflag.Flag) string {
	title := "      --" + flag.Name
	if flag.Shorthand != "" {
		title = "  -" + flag.Shorthand + ", --" + flag.Name
	}
	value, _ := pflag.UnquoteUsage(flag)
	switch {
	case value == "":
		return title
	case flag.NoOptDefVal != "":
		return title + "[=" + value + "]"
	}
	return title + " " + value
}

// flagDefault is the default of a flag, if it has one that says something.
func flagDefault(flag *pflag.Flag) string {
	if slices.Contains([]string{"", "0", "0s", "0%", "false", "[]"}, flag.DefValue) {
		return ""
	}
	return " (default " + flag.DefValue + ")"
}

// wrapped is a text in lines that fit a screen of the usual width, all of them indented.
func wrapped(text string, indent int) string { return wrappedAt(screenWidth, text, indent) }

func wrappedAt(width int, text string, indent int) string {
	var b strings.Builder
	at := 0
	for _, word := range strings.Fields(text) {
		switch {
		case at == 0:
			b.WriteString(strings.Repeat(" ", indent))
			at = indent
		case at+1+len(word) > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}

// ownFlags are the flags that a command declares itself, without --help.
func ownFlags(cmd *cobra.Command) *pflag.FlagSet {
	own := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	own.SortFlags = false
	inherited := cmd.InheritedFlags()
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		if flag.Name != "help" && !flag.Hidden && inherited.Lookup(flag.Name) == nil {
			own.AddFlag(flag)
		}
	})
	return own
}

// newOptions is the verb that lists the flags which help leaves out, as `kubectl options` does.
func newOptions(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:                   "options [COMMAND]",
		DisableFlagsInUseLine: true,
		Short:                 "List the flags that all commands take, or all those of one",
		Example: `  kubectl cosanet options
  kubectl cosanet options top`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			of, rest, err := cmd.Root().Find(args)
			var names []cobra.Completion
			if err == nil && len(rest) == 0 {
				for _, sub := range of.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return misuse(cmd, unknown("command", strings.Join(args, " "), availableCommands(cmd.Root())))
			}
			options(of, f.streams.Out)
			return nil
		},
	}
}

// options writes all flags of a command, and those of every command.
func options(cmd *cobra.Command, w io.Writer) {
	if own := ownFlags(cmd); cmd.HasParent() && own.HasFlags() {
		fmt.Fprintf(w, "Flags of %s:\n%s\n", cmd.CommandPath(), flagParagraphs(own))
	}
	fmt.Fprintf(w, "Flags of all commands, as kubectl has them:\n%s", flagParagraphs(cmd.Root().PersistentFlags()))
}

// availableCommands are the names of the subcommands that help lists.
func availableCommands(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return slices.Sorted(slices.Values(names))
}
