package plugin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// diff is the verb's flags as they were given.
type diff struct {
	source    source
	ask       askFlags
	output    outputFlags
	all       bool
	threshold string
	siblings  bool
}

func newDiff(f *factory) *cobra.Command {
	d := &diff{source: newSource(f), output: outputFlags{tables: []string{"wide"}}}
	cmd := &cobra.Command{
		Use:        "diff A [B]",
		SuggestFor: []string{"compare"},
		Short:      "Compare two pods, nodes or saved files",
		Long: `Compare what the kernel counts for two pods, two nodes, or one of them now and
in a file. A and B are POD, NAMESPACE/POD, node/NAME or, of what kubectl cosanet
snapshot saved, FILE#POD and so on. Counters are compared as rates over the same
interval, the others as values; signs of trouble come first. A series that one
side lacks is blank there, and a difference unless the other side's value is 0.
Exit codes: 0 no difference, 1 a difference, 2 an error.`,
		Example: `  kubectl cosanet diff web-0 web-1 -n shop
  kubectl cosanet diff shop/web-0 staging/web-0 --threshold 20%
  kubectl cosanet diff node/node-1 node/node-2 --interval 5s
  kubectl cosanet diff 'before.prom#shop/web-0' 'after.prom#shop/web-0'`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case d.siblings && len(args) != 1:
				return fmt.Errorf("with --siblings one pod is compared with the others of its workload, and %d sides given", len(args))
			case !d.siblings && len(args) != 2:
				return fmt.Errorf("two sides are needed, A and B, and %d given", len(args))
			}
			return nil
		},
		ValidArgsFunction: f.complete(sideNames, 2, cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, args []string) error {
			view, err := d.parse(f, args)
			if err != nil {
				return misuse(cmd, err)
			}
			different, err := view.run(cmd.Context(), f)
			switch {
			case errors.Is(err, context.Canceled):
				return err
			case err != nil:
				return &ExitError{Code: ExitUsage, Err: err} // 1 would say that they differ
			case different:
				return &ExitError{Code: ExitFailed}
			}
			return nil
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	d.ask.addIntervalFlag(fs)
	fs.BoolVar(&d.siblings, "siblings", false, "compare one POD with the median of its siblings")
	fs.BoolVar(&d.all, "all", false, "show what is the same on both sides, too")
	fs.StringVar(&d.threshold, "threshold", "0%", "hide differences below this `SHARE` of the larger value")
	d.output.addFlags(fs)
	d.ask.addSetFlag(fs, metrics.All)
	d.source.addFlags(fs)
	showFlags(cmd, "siblings", "interval", "all", "threshold", "output", "metrics", "from")
	return cmd
}

// diffView is what the flags mean.
type diffView struct {
	source    source
	a, b      side
	kin       bool // a is what the other pods of b's workload have in the median
	ask       Ask
	all       bool
	threshold float64 // a share, 0 to 1
	output    outputFlags
	printer   printers.ResourcePrinter // nil: a table
}

func (d *diff) parse(f *factory, args []string) (view *diffView, err error) {
	view = &diffView{source: d.source, all: d.all, output: d.output}
	namespace, err := d.source.namespace(f)
	if err != nil {
		return nil, err
	}
	if view.a, err = parseSide(args[0], namespace); err != nil {
		return nil, err
	}
	if d.siblings {
		if view.a.pod == (PodRef{}) {
			return nil, fmt.Errorf("--siblings: %q is no pod", args[0])
		}
		view.kin = true
		args = append(args, args[0])
	}
	if view.b, err = parseSide(args[1], namespace); err != nil {
		return nil, err
	}
	if d.source.from != "" && (view.a.file != "" || view.b.file != "") {
		return nil, errors.New("with --from, A and B are pods and nodes of that file, not files")
	}
	if view.a.file == "-" && view.b.file == "-" && !view.kin {
		return nil, errors.New("only one side can be standard input")
	}
	if _, live := together(view.a, view.b); live && d.source.from == "" {
		if err = d.source.collection.Validate(); err != nil {
			return nil, err
		}
	}
	if err = d.source.moments.parse(d.source.from != "" || view.a.file != "" || view.b.file != ""); err != nil {
		return nil, err
	}
	if view.threshold, err = parsePercent(d.threshold); err != nil {
		return nil, fmt.Errorf("--threshold: %w", err)
	}
	if view.printer, err = d.output.printer(); err != nil {
		return nil, err
	}
	view.ask, err = d.ask.ask()
	return view, err
}

// parsePercent reads 10% or 10 as 0.1.
func parsePercent(s string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !(v >= 0 && v <= 100) {
		return 0, fmt.Errorf("%q is no percentage from 0%% to 100%%", s)
	}
	return v / 100, nil
}

func (v *diffView) run(ctx context.Context, f *factory) (different bool, err error) {
	a, b, err := v.observe(ctx, f)
	if err != nil {
		return false, err
	}
	pairs := compare(a, b)
	for i := range pairs {
		different = different || pairs[i].differs(v.threshold)
	}
	if !v.all {
		pairs = shownPairs(pairs, v.threshold)
	}
	rank(pairs)
	if v.printer != nil {
		obj, err := object(v.object(a, b, pairs))
		if err != nil {
			return false, err
		}
		return different, v.printer.PrintObj(obj, f.streams.Out)
	}
	return different, v.show(f, a, b, pairs)
}

// observe finds the rows of both sides. Those on the cluster are observed together, so that it is the same interval.
func (v *diffView) observe(ctx context.Context, f *factory) (a, b *row, err error) {
	var live *Fleet
	if sel, ok := together(v.a, v.b); ok {
		sel.Kin = v.kin
		if live, err = v.source.observe(ctx, f, sel, v.ask); err != nil {
			return nil, nil, err
		}
	}
	fleetA, fleetB := live, live
	if v.a.file != "" {
		if fleetA, err = v.read(ctx, f, &v.a, &v.b); err != nil {
			return nil, nil, err
		}
		if v.kin {
			fleetB = fleetA
		}
	}
	if v.b.file != "" && !v.kin {
		if fleetB, err = v.read(ctx, f, &v.b, &v.a); err != nil {
			return nil, nil, err
		}
	}
	wanted := v.ask.Samples > 1
	rates := fleetA.rates(wanted) && fleetB.rates(wanted)
	if wanted && !rates {
		fmt.Fprintln(f.streams.ErrOut, "One side has one sample: totals since each namespace was made, not rates.")
	}
	if a, err = v.a.find(fleetA, rates); err != nil {
		return nil, nil, err
	}
	if b, err = v.b.find(fleetB, rates); err == nil && v.kin {
		a, err = siblingsOf(b, fleetA, rates)
	}
	return a, b, err
}

// read reads the file of a side, and says of which part of it the side is, and what it lacks.
func (v *diffView) read(ctx context.Context, f *factory, s, other *side) (*Fleet, error) {
	fleet, err := s.read(ctx, f.streams.In, v.source.moments.moment, other)
	if err != nil {
		return nil, err
	}
	for _, line := range append(fleet.remarks, fleet.undiscovered()...) {
		fmt.Fprintf(f.streams.ErrOut, "%s: %s\n", s.file, line)
	}
	return fleet, nil
}

func (v *diffView) show(f *factory, a, b *row, pairs []pair) error {
	for _, line := range failures([]*row{a, b}) {
		fmt.Fprintln(f.streams.ErrOut, line)
	}
	if len(pairs) == 0 {
		fmt.Fprintln(f.streams.ErrOut, "No differences.")
		return nil
	}
	if !v.output.noHeaders {
		if _, err := fmt.Fprintf(f.streams.Out, "A: %s\nB: %s\n\n", v.first(a), v.b.describe(b)); err != nil {
			return err
		}
	}
	return v.table(pairs).write(f.streams.Out)
}

// first says what A turned out to be.
func (v *diffView) first(a *row) string {
	if v.kin {
		return a.Name
	}
	return v.a.describe(a)
}

func (v *diffView) table(pairs []pair) *table {
	wide := v.output.format == "wide"
	t := &table{}
	if !v.output.noHeaders {
		t.headers = []string{"METRIC", "A", "B", "DELTA", "RATIO"}
		if wide {
			t.headers = append(t.headers, "UNIT", "MEANING")
		}
	}
	for i := range pairs {
		p := &pairs[i]
		cells := []cell{{text: p.title()}, {text: p.side(p.a)}, {text: p.side(p.b)}, {text: p.delta()}, {text: p.ratio()}}
		if wide {
			cells = append(cells, cell{text: p.metric.Unit}, cell{text: meaning(p.metric)})
		}
		t.rows = append(t.rows, cells)
	}
	return t
}

// object builds what the formats of kubectl show.
func (v *diffView) object(a, b *row, pairs []pair) *NetStatsDiff {
	d := &NetStatsDiff{
		TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: "NetStatsDiff"},
		A:        diffSide(a), B: diffSide(b), Items: []DiffSeries{},
	}
	for i := range pairs {
		d.Items = append(d.Items, pairs[i].object())
	}
	return d
}

func diffSide(r *row) DiffSide {
	s := DiffSide{Name: r.title(), Node: r.Node, Failed: r.last.FailedSources()}
	if !r.at.IsZero() {
		s.Time = &metav1.MicroTime{Time: r.at.UTC()}
	}
	s.WindowSeconds, _ = finite(r.window.Seconds())
	return s
}
