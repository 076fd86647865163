package plugin

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// newColumns is the verb that lists the columns of top.
func newColumns(f *factory) *cobra.Command {
	return &cobra.Command{
		Use:                   "columns",
		DisableFlagsInUseLine: true,
		Short:                 "List the columns of top and what they mean",
		Long: `List the columns of top, what they mean, and the values from which on they are
marked with ! and !!. --columns and --sort-by also take metrics, by their short
or full name, of a family with labels by their values: proc_net_tcp{LISTEN}.`,
		Example: `  kubectl cosanet columns
  kubectl cosanet top --columns 'IN,OUT,Tcp_InSegs,proc_net_tcp{LISTEN}'`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return listColumns(f.streams.Out) },
	}
}

// listColumns writes the columns by the tables that they are in.
func listColumns(w io.Writer) error {
	var b strings.Builder
	for shown, title := range [...]string{inDefault: "In every table:", inWide: "With -o wide:", inSockets: "With --sockets:", inTCP: "With --tcp:", inOwners: "With --conntrack-owners:"} {
		fmt.Fprintln(&b, title)
		for _, c := range builtin() {
			if int(c.shown) == shown {
				const indent = 14
				text := strings.TrimLeft(wrapped(c.meaning+c.marks(), indent), " ")
				fmt.Fprintf(&b, "  %-*s%s\n", indent-2, c.name, text)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// marks says from where on a column is marked.
func (c *column) marks() string {
	if c.mark.warn == 0 {
		return ""
	}
	return fmt.Sprintf(" (! %s, !! %s)", c.bound(c.mark.warn), c.bound(c.mark.bad))
}

// bound is a threshold with its unit.
func (c *column) bound(at float64) string {
	switch {
	case at == 0:
		return ""
	case c.share():
		return strconv.FormatFloat(at, 'g', -1, 64) + "%"
	}
	return strconv.FormatFloat(at, 'g', -1, 64) + "/s"
}
