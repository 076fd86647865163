package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// explain is the verb's flags as they were given.
type explain struct {
	source   source
	selects  selectFlags
	ask      askFlags
	output   outputFlags
	severity severity
	check    bool
}

func newExplain(f *factory) *cobra.Command {
	e := &explain{source: newSource(f), ask: askFlags{metrics: metrics.All.String()}}
	cmd := &cobra.Command{
		Use:        "explain [POD...|METRIC...]",
		SuggestFor: []string{"findings", "why", "analyze", "diagnose", "check"},
		Short:      "Say what is wrong, what it means and what to do next",
		Long: `Say what is wrong with pods and the nodes they run on, the worst first: what was
counted, what it means, and what to do next. Where nothing is found, what was
checked is said. Without pods: those of the namespace. A name such as
Tcp_RetransSegs is explained as the metric that it is.
Exit codes: as ever, and with --check 3 where there are findings.`,
		Example: `  kubectl cosanet explain -n shop
  kubectl cosanet explain -A --severity critical
  kubectl cosanet explain web-0 --interval 30s
  kubectl cosanet explain TcpExt_ListenOverflows`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && !slices.ContainsFunc(args, isPodName) {
				return explainMetrics(f.streams.Out, args)
			}
			namespace, err := e.source.namespace(f)
			if err != nil {
				return err
			}
			view, err := e.parse(namespace, args)
			if err != nil {
				return misuse(cmd, err)
			}
			return view.run(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	e.selects.addFlags(fs)
	e.ask.addIntervalFlag(fs)
	e.ask.addOwnersFlag(fs)
	fs.Lookup("interval").DefValue = "5s"
	e.ask.interval = 5 * time.Second // a rate of one a second is then five events, and no accident
	fs.Var(&e.severity, "severity", "no findings below this `SEVERITY`. It is info, warning or critical")
	fs.BoolVar(&e.check, "check", false, "exit with 3 where there are findings, for CI and cron")
	e.output.addFormatFlag(fs)
	e.source.addFlags(fs)
	showFlags(cmd, "all-namespaces", "selector", "node", "interval", "severity", "check", "output", "from")
	return cmd
}

// isPodName tells the name of a pod from that of a metric: only the latter has underscores (RFC 1123 for the former).
func isPodName(arg string) bool { return !strings.Contains(arg, "_") }

// explainView is what the flags mean.
type explainView struct {
	source    source
	selection Selection
	ask       Ask
	rules     []rule
	severity  severity
	check     bool
	printer   printers.ResourcePrinter // nil: words
}

func (e *explain) parse(namespace string, args []string) (view *explainView, err error) {
	view = &explainView{source: e.source, rules: rules(), severity: e.severity, check: e.check}
	if view.selection, err = e.selects.selection(namespace, args); err != nil {
		return nil, err
	}
	if err = e.source.validate(&view.selection); err != nil {
		return nil, err
	}
	if view.printer, err = e.output.printer(); err != nil {
		return nil, err
	}
	if view.ask, err = e.ask.ask(); err != nil {
		return nil, err
	}
	if !e.ask.owners {
		view.rules = withoutOwners(view.rules)
	}
	view.ask.Only, view.ask.Grown = append(readByRules(view.rules), sampledRatio), grownBy(view.rules)
	return view, nil
}

// rulesOfTop are those that judge what top reads in any case: no sockets, and no metric beyond the default set.
func rulesOfTop() []rule {
	return slices.DeleteFunc(ownRules(), func(r rule) bool {
		return r.worst != nil || slices.ContainsFunc(r.measure.families(), func(family string) bool {
			m, ok := metrics.Lookup(family)
			return !ok || !m.In(metrics.Default) || isOf(family, "sockets") || optionalSource(family) != ""
		})
	})
}

// findingsColumn names the rules that found something, the worst first, with the marks of a table.
func findingsColumn() column {
	rules := rulesOfTop()
	return column{
		name: "FINDINGS", formula: formula{sum: readByRules(rules)}, shown: inWide,
		meaning: "what kubectl cosanet explain finds, by the rules that need no more than the default set of metrics",
		text: func(r *row) string {
			var found []string
			for _, f := range examine(rules, []*row{r}).findings {
				found = append(found, f.marked())
			}
			return strings.Join(found, ",")
		},
	}
}

// marked is the id of a finding's rule, with the marks of a table.
func (f *finding) marked() string {
	return f.rule.id + [...]string{Info: "", Warning: "!", Critical: "!!"}[f.severity]
}

// readByRules are the families that rules need.
func readByRules(rules []rule) []string {
	var families []string
	for i := range rules {
		families = append(families, rules[i].families()...)
	}
	slices.Sort(families)
	return slices.Compact(families)
}

// podsAndNodes observes the selected pods with the nodes that they run on: what findings are looked for in.
func (s *source) podsAndNodes(ctx context.Context, f *factory, sel Selection, ask Ask) (fleet *Fleet, rows []*row, rates bool, err error) {
	asked := sel
	asked.Hosts = true
	if fleet, err = s.observe(ctx, f, asked, ask); err != nil {
		return nil, nil, false, err
	}
	rates = fleet.rates(ask.Samples > 1)
	return fleet, withTheirNodes(rowsOf(fleet, &asked, rates), &sel), rates, nil
}

func (v *explainView) run(ctx context.Context, f *factory) error {
	fleet, rows, rates, err := v.source.podsAndNodes(ctx, f, v.selection, v.ask)
	if err != nil {
		return err
	}
	j := examine(v.rules, rows)
	j.from(v.severity)
	if err := v.show(f, j); err != nil {
		return err
	}
	failure := fleet.failure()
	if v.printer == nil {
		v.annotate(f, rows, j, rates, failure == nil)
	}
	if failure != nil {
		return failure
	}
	if _, found := j.worst(); v.check && found {
		return &ExitError{Code: ExitFindings}
	}
	return nil
}

// annotate says on standard error what the findings could not.
func (v *explainView) annotate(f *factory, rows []*row, j *judgement, rates, whole bool) {
	if len(rows) == 0 && whole {
		nothing(f.streams.ErrOut, &v.selection)
		return
	}
	lines := append(notes(rows), j.notes(rates)...)
	for _, line := range lines {
		fmt.Fprintln(f.streams.ErrOut, line)
	}
}

// withTheirNodes leaves of the nodes' own rows those of nodes that a pod among the rows runs on, unless nodes were asked for.
func withTheirNodes(rows []*row, asked *Selection) []*row {
	lived := map[string]bool{}
	for _, r := range rows {
		if !r.host() {
			lived[r.Node] = true
		}
	}
	return slices.DeleteFunc(rows, func(r *row) bool { return r.host() && !lived[r.Node] && !asked.admitsHost(r.Node) })
}

func (v *explainView) show(f *factory, j *judgement) error {
	if v.printer == nil {
		if len(j.rows) == 0 {
			return nil
		}
		return j.write(f.streams.Out, j.rows[0].window)
	}
	list, err := object(j.object())
	if err != nil {
		return err
	}
	return printObject(f.streams.Out, v.printer, list)
}
