package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// top is the verb's flags as they were given.
type top struct {
	source  source
	selects selectFlags
	ask     askFlags
	output  outputFlags
	columns string
	sortBy  string
	limit   int
	watch   bool
	groupBy grouping
}

func newTop(f *factory) *cobra.Command {
	t := &top{source: newSource(f), output: outputFlags{tables: []string{"wide"}, list: true}}
	cmd := &cobra.Command{
		Use:        "top [POD...]",
		SuggestFor: []string{"stat", "stats", "pods", "show"},
		Short:      "Show what the kernel counts for every pod, as rates",
		Long: `Show what the kernel counts in the network namespace of every pod, as rates.
! marks a value worth a look, !! a bad one. In place of a value, - says that it
is not counted there, or that there is too little traffic to say, err that it
could not be read, reset that the counter began again, host that the pod uses
the network of its node (--all-nodes). The columns: kubectl cosanet columns`,
		Example: `  kubectl cosanet top -n shop
  kubectl cosanet top -A --sort-by retr% --group-by workload
  kubectl cosanet top web-0 web-1 --interval 5s -o wide`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, err := t.source.namespace(f)
			if err != nil {
				return err
			}
			view, err := t.parse(namespace, cmd, args)
			if err != nil {
				return misuse(cmd, err)
			}
			if t.watch {
				return view.watching(cmd.Context(), f)
			}
			return view.run(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	t.selects.addFlags(fs)
	fs.BoolVarP(&t.watch, "watch", "w", false, "keep showing it, a sample each --interval. That is 2s unless given. On a terminal it is one page, where ? tells the keys; else one table after the other")
	t.ask.addIntervalFlag(fs)
	fs.StringVar(&t.sortBy, "sort-by", "", "sort by this `COLUMN`, the largest number first")
	fs.IntVar(&t.limit, "limit", 0, "only the first `N` rows as they are sorted, 0 for all")
	fs.Var(&t.groupBy, "group-by", "one row for each `WHAT`: workload, node or namespace. Rates and values of its pods are added up; of a workload, a pod that is unlike the others is named")
	fs.StringVar(&t.columns, "columns", "", "show these `COLUMNS`, or metrics such as Tcp_InSegs")
	t.output.addFlags(fs)
	t.ask.addSetFlag(fs, metrics.Default)
	t.source.addFlags(fs)
	showFlags(cmd, "all-namespaces", "selector", "node", "watch", "interval", "sort-by", "columns", "output", "from")
	return cmd
}

// topView is what the flags mean.
type topView struct {
	source    source
	selection Selection
	ask       Ask
	columns   []column
	sortBy    *column // nil: by namespace and name
	limit     int     // 0: all rows
	by        grouping
	output    outputFlags
	printer   printers.ResourcePrinter // nil: a table
}

func (t *top) parse(namespace string, cmd *cobra.Command, args []string) (view *topView, err error) {
	if t.limit < 0 {
		return nil, fmt.Errorf("--limit must be at least 0, not %d", t.limit)
	}
	view = &topView{source: t.source, output: t.output, limit: t.limit, by: t.groupBy}
	if view.selection, err = t.selects.selection(namespace, args); err != nil {
		return nil, err
	}
	if err = t.source.validate(&view.selection); err != nil {
		return nil, err
	}
	if view.printer, err = t.output.printer(); err != nil {
		return nil, err
	}
	view.columns = columnsOf(t.output.format == "wide", t.ask.sockets, t.ask.tcp, t.ask.owners)
	if t.columns != "" {
		if view.columns, err = parseColumns(t.columns); err != nil {
			return nil, fmt.Errorf("--columns: %w", err)
		}
	}
	if view.ask, err = t.ask.ask(); err != nil {
		return nil, err
	}
	needed := view.columns
	if t.sortBy != "" {
		if view.sortBy, err = parseSortBy(t.sortBy); err != nil {
			return nil, fmt.Errorf("--sort-by: %w", err)
		}
		if t.columns == "" {
			view.columns = including(view.columns, view.sortBy)
		}
		needed = append(slices.Clone(view.columns), *view.sortBy)
	}
	if t.groupBy != byPod {
		if needed, err = view.grouped(needed, t.columns != ""); err != nil {
			return nil, err
		}
	}
	if !cmd.Flags().Changed("metrics") {
		view.ask.Metrics = set(needed, view.ask.Metrics)
	}
	view.ask.Sockets = view.ask.Sockets || countSockets(needed)
	view.ask.Sources = append(view.ask.Sources, sourcesFor(readBy(needed), view.ask.Metrics)...)
	slices.Sort(view.ask.Sources)
	view.ask.Sources = slices.Compact(view.ask.Sources)
	if view.printer == nil || view.output.named() || view.by != byPod {
		view.ask.Only = readBy(needed)
	}
	if t.watch {
		return view, t.forever(view)
	}
	return view, nil
}

// forever makes the view one that goes on.
func (t *top) forever(view *topView) error {
	switch {
	case view.by != byPod:
		return errors.New("--watch has a row for each pod: leave out --group-by")
	case view.printer != nil:
		return errors.New("--watch shows tables: leave out --output, or use -o wide")
	case t.source.from != "":
		return errors.New("--watch is about the cluster: of a recording, --at and --between choose")
	case view.ask.Interval == 0:
		return errors.New("--watch needs an --interval of more than 0")
	}
	if view.ask.Implied {
		view.ask.Interval, view.ask.Implied = watchInterval, false
	}
	return nil
}

// parseSortBy takes any column, the two that every table begins with, and a word for who fills the node's conntrack table:
// CT would not tell, since of a pod it is a table of the pod's own.
func parseSortBy(name string) (*column, error) {
	switch strings.ToUpper(name) {
	case "CONNTRACK":
		name = "HOSTCT"
	case "POD", "NAME":
		return &column{name: "POD", text: func(r *row) string { return r.Name }}, nil
	case "NAMESPACE":
		return &column{name: "NAMESPACE", text: func(r *row) string { return r.Namespace }}, nil
	}
	c, err := parseColumn(name)
	return &c, err
}

// including adds a column that is not among them. The two that every table begins with always are.
func including(columns []column, c *column) []column {
	if c.name == "POD" || c.name == "NAMESPACE" || slices.ContainsFunc(columns, func(have column) bool { return have.name == c.name }) {
		return columns
	}
	return append(slices.Clone(columns), *c)
}

// countSockets tells whether a column needs the sockets counted by state, which is asked for apart from the set.
func countSockets(columns []column) bool {
	return slices.ContainsFunc(columns, func(c column) bool {
		return slices.ContainsFunc(c.families(), func(family string) bool { return isOf(family, "sockets") })
	})
}

func (v *topView) run(ctx context.Context, f *factory) error {
	var list *items
	if v.output.byItem() && v.by == byPod {
		list = &items{view: v, rates: v.ask.Samples > 1}
		v.source.collection.each = list.take
	}
	fleet, err := v.source.observe(ctx, f, v.selection, v.ask)
	if err != nil {
		return err
	}
	rates := fleet.rates(v.ask.Samples > 1)
	rows := rowsOf(fleet, &v.selection, rates)
	pods := rows
	if v.by != byPod {
		rows = v.by.sum(rows)
	}
	total := len(rows)
	rows = ranked(rows, v.sortBy, v.limit)
	if err := v.show(f, list, rows, rates); err != nil {
		return err
	}
	failure := fleet.failure()
	if len(rows) < total {
		fmt.Fprintf(f.streams.ErrOut, "%d of %s are shown.\n", len(rows), plural(total, "row"))
	}
	if v.printer == nil {
		if v.by == byPod {
			pods = rows // those that are shown
		}
		v.annotate(f, pods, rates, failure == nil)
	}
	return failure
}

// show writes the rows: as the objects that were made of them, as a list in another of kubectl's formats, as a table.
func (v *topView) show(f *factory, list *items, rows []*row, rates bool) error {
	switch {
	case list != nil:
		return list.write(f.streams.Out, v.output.format, rows)
	case v.output.named():
		return printNames(f.streams.Out, rows)
	case v.printer != nil:
		return v.output.printList(f.streams.Out, v.printer, v.object(rows))
	}
	if len(rows) == 0 {
		return nil
	}
	return v.table(rows, rates).write(f.streams.Out)
}

// annotate says on standard error what the table could not.
func (v *topView) annotate(f *factory, rows []*row, rates, whole bool) {
	if len(rows) == 0 && whole {
		nothing(f.streams.ErrOut, &v.selection)
	}
	if v.ask.Samples > 1 && !rates && len(rows) > 0 {
		fmt.Fprintln(f.streams.ErrOut, "There is one sample: totals since each pod's start, not rates.")
	}
	for _, line := range slices.Concat(notes(rows), failures(rows), sampledNotes(rows)) {
		fmt.Fprintln(f.streams.ErrOut, line)
	}
}

func (v *topView) table(rows []*row, rates bool) *table {
	namespaces := v.by != byNode && v.by != byNamespace && (v.selection.Namespace == "" && len(v.selection.Pods) == 0 || len(rows) > 0 && rows[0].Namespace != rows[len(rows)-1].Namespace)
	t := &table{}
	if !v.output.noHeaders {
		if namespaces {
			t.headers = append(t.headers, "NAMESPACE")
		}
		t.headers = append(t.headers, v.by.header())
		if v.by != byPod {
			t.headers = append(t.headers, "PODS")
		}
		for i := range v.columns {
			t.headers = append(t.headers, v.columns[i].header(rates))
		}
		if v.by == byWorkload {
			t.headers = append(t.headers, "ODD")
		}
	}
	for _, r := range rows {
		var cells []cell
		if namespaces {
			cells = append(cells, cell{text: cmp.Or(r.Namespace, absentText)})
		}
		cells = append(cells, cell{text: r.Name})
		of := r.group
		if of == nil {
			of = &group{}
		}
		if v.by != byPod {
			cells = append(cells, cell{text: of.podCount()})
		}
		cells = append(cells, r.cells(v.columns)...)
		if v.by == byWorkload {
			cells = append(cells, of.oddCell())
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// cells are the row's values; the word of a row without numbers takes the place of the first that is missing.
func (r *row) cells(columns []column) []cell {
	word := r.word
	cells := make([]cell, len(columns))
	for i := range columns {
		cells[i] = columns[i].cell(r)
		if word != "" && columns[i].text == nil && cells[i].text == absentText {
			cells[i].text, word = word, ""
		}
	}
	return cells
}
