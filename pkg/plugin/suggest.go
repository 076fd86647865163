package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// unknown is the error of a word that is none of the known: it names what was probably meant, else all there are.
func unknown(what, word string, known []string) error {
	if near := nearest(word, known); len(near) > 0 {
		return fmt.Errorf("unknown %s %q: did you mean %s?", what, word, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown %s %q: use %s", what, word, strings.Join(known, ", "))
}

// nearest are the known words that a mistyped one may stand for, in any case, three at the most: first those that differ
// the least from it, by a third of its letters at the most, then those that it begins.
func nearest(word string, known []string) []string {
	var near, longer []string
	least := max(1, len(word)/3)
	for _, k := range known {
		apart := distance(strings.ToLower(word), strings.ToLower(k))
		switch {
		case apart < least:
			near, least = []string{k}, apart
		case apart == least:
			near = append(near, k)
		case len(word) > 1 && strings.HasPrefix(strings.ToLower(k), strings.ToLower(word)):
			longer = append(longer, k)
		}
	}
	near = append(near, longer...)
	return near[:min(len(near), 3)]
}

// distance is that of Damerau and Levenshtein, restricted to one edit of a place: how many letters have to be inserted, left out,
// replaced or swapped with their neighbour to make one word of the other. It counts bytes: what is compared are flags,
// commands and metrics.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replaced := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			rows[i][j] = min(replaced, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// flagError says which flag was probably meant, or which command has it.
func flagError(cmd *cobra.Command, err error) error {
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || missing.GetSpecifiedShortnames() != "" {
		return err
	}
	name := missing.GetSpecifiedName()
	var owners []string
	if near := nearest(name, flagNames(cmd)); len(near) > 0 {
		return fmt.Errorf("%w: did you mean --%s?", err, strings.Join(near, " or --"))
	}
	for _, sub := range cmd.Root().Commands() {
		if sub.IsAvailableCommand() && sub.Flags().Lookup(name) != nil {
			owners = append(owners, sub.CommandPath())
		}
	}
	switch {
	case len(owners) > 0:
		return fmt.Errorf("%w, which is one of %s", err, strings.Join(owners, ", "))
	case slices.Contains(availableCommands(cmd.Root()), name):
		return fmt.Errorf("%w: did you mean %s %s?", err, cmd.Root().CommandPath(), name)
	}
	return err
}

// flagNames are the flags that a command takes.
func flagNames(cmd *cobra.Command) []string {
	var names []string
	for _, flags := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) {
			if !flag.Hidden {
				names = append(names, flag.Name)
			}
		})
	}
	return names
}

// noArguments refuses arguments of a command that takes none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, and was given %q", cmd.CommandPath(), args)
	}
	return nil
}
