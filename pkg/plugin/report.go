package plugin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// reportFlags are the verb's flags as they were given.
type reportFlags struct {
	source   source
	selects  selectFlags
	ask      askFlags
	severity severity
	format   string
	file     string
}

// The formats of a report.
const (
	htmlFormat     = "html"
	markdownFormat = "markdown"
)

func newReport(f *factory) *cobra.Command {
	r := &reportFlags{source: newSource(f), ask: askFlags{metrics: metrics.All.String()}}
	cmd := &cobra.Command{
		Use:        "report [POD...]",
		SuggestFor: []string{"html", "markdown", "page", "dump"},
		Short:      "Write what was found as a page of HTML, or for a ticket",
		Long: `Write down what explain and top say, to be kept or sent: as a page of HTML that
is one file and loads nothing, or as Markdown for a ticket. Findings first, then
nodes and pods; of a recording time lines, too, and what held only for a while;
the numbers at the end. It has the names of pods, namespaces and nodes in it.`,
		Example: `  kubectl cosanet report -n shop --output-file incident.html
  kubectl cosanet report -A --from before.prom > before.html
  kubectl cosanet report web-0 web-1 -o markdown`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, err := r.source.namespace(f)
			if err != nil {
				return err
			}
			view, err := r.parse(namespace, args)
			if err == nil {
				err = view.readable(f)
			}
			if err != nil {
				return misuse(cmd, err)
			}
			view.asked = asked(f, cmd, args)
			return view.run(cmd.Context(), f)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	r.selects.addFlags(fs)
	r.ask.addIntervalFlag(fs)
	fs.Lookup("interval").DefValue = "5s"
	r.ask.interval = 5 * time.Second // as explain judges
	fs.Var(&r.severity, "severity", "no findings below this `SEVERITY`. It is info, warning or critical")
	fs.StringVarP(&r.format, "output", "o", "", "output `FORMAT`, html or markdown. Default: that of the file's name, else html")
	fs.StringVar(&r.file, "output-file", "", "write to `FILE`, not to standard output. Its name may say the format: .html, .md")
	r.source.addFlags(fs)
	fs.Lookup("at").Usage = strings.Replace(fs.Lookup("at").Usage, "else the last sample is shown", "else all of it is shown", 1)
	showFlags(cmd, "all-namespaces", "selector", "node", "interval", "output", "output-file", "from")
	return cmd
}

// reportView is what the flags mean.
type reportView struct {
	source    source
	selection Selection
	ask       Ask
	rules     []rule
	columns   []column
	severity  severity
	format    string
	file      string // empty: standard output
	asked     string // the command line
}

func (r *reportFlags) parse(namespace string, args []string) (view *reportView, err error) {
	view = &reportView{source: r.source, rules: withoutOwners(rules()), columns: reportColumns(), severity: r.severity, file: r.file}
	if view.format, err = formatOfReport(r.format, r.file); err != nil {
		return nil, err
	}
	if view.selection, err = r.selects.selection(namespace, args); err != nil {
		return nil, err
	}
	if err = r.source.validate(&view.selection); err != nil {
		return nil, err
	}
	if view.ask, err = r.ask.ask(); err != nil {
		return nil, err
	}
	view.ask.Only, view.ask.Grown = readByReport(view.rules, view.columns), grownBy(view.rules)
	view.source.moments.moment.every = &view.ask
	return view, nil
}

// formatOfReport is the format that --output names, else the one that the file's name says.
func formatOfReport(format, file string) (string, error) {
	byName := map[string]string{".html": htmlFormat, ".htm": htmlFormat, ".md": markdownFormat, ".markdown": markdownFormat}
	switch {
	case format == "md" || format == markdownFormat:
		return markdownFormat, nil
	case format == htmlFormat:
		return htmlFormat, nil
	case format != "":
		return "", fmt.Errorf("--output: unknown format %q: use %s or %s", format, htmlFormat, markdownFormat)
	case byName[strings.ToLower(filepath.Ext(file))] != "":
		return byName[strings.ToLower(filepath.Ext(file))], nil
	}
	return htmlFormat, nil
}

// readable refuses to fill a terminal with what only a browser can show.
func (v *reportView) readable(f *factory) error {
	out, ok := f.streams.Out.(*os.File)
	if ok && v.file == "" && v.format == htmlFormat && term.IsTerminal(int(out.Fd())) {
		return errors.New("the page is for a browser, and this is a terminal: add > report.html or --output-file report.html, or -o markdown")
	}
	return nil
}

// reportColumns are those of the wide table, but what the page says elsewhere.
func reportColumns() []column {
	return slices.DeleteFunc(columnsOf(true, false, false, false), func(c column) bool { return c.name == "FINDINGS" || c.name == "IP" })
}

// readByReport are the families that rules and columns need, and beside them all that mean trouble: the numbers at the end
// have them.
func readByReport(rules []rule, columns []column) []string {
	families := slices.Concat(readByRules(rules), readBy(columns))
	for _, m := range metrics.Catalog() {
		if m.Signal >= metrics.Error {
			families = append(families, m.Name)
		}
	}
	slices.Sort(families)
	return slices.Compact(families)
}

// asked is the command line as it can be typed again, but where to the report goes. Of kubectl's own flags only the namespace is
// in it, and nothing that could be a secret.
func asked(f *factory, cmd *cobra.Command, args []string) string {
	words := []string{cmd.CommandPath()}
	if namespace := *f.flags.Namespace; namespace != "" {
		words = append(words, "-n", quoted(namespace))
	}
	for _, arg := range args {
		words = append(words, argument(arg))
	}
	ownFlags(cmd).VisitAll(func(flag *pflag.Flag) {
		switch value := flag.Value.String(); {
		case !flag.Changed || strings.HasPrefix(flag.Name, "output"):
		case flag.Value.Type() == "bool":
			words = append(words, "--"+flag.Name+map[bool]string{false: "=" + value}[value == "true"])
		default:
			words = append(words, "--"+flag.Name, argument(strings.Trim(value, "[]"))) // a list is written between brackets
		}
	})
	return strings.Join(words, " ")
}

// argument is one as a shell reads it.
func argument(arg string) string {
	if arg != "" && typeable(arg) && !strings.HasPrefix(arg, "-") {
		return arg
	}
	return quoted(arg)
}

func (v *reportView) run(ctx context.Context, f *factory) error {
	fleet, rows, rates, err := v.source.podsAndNodes(ctx, f, v.selection, v.ask)
	if err != nil {
		return err
	}
	failure := fleet.failure()
	if len(rows) == 0 && failure == nil {
		nothing(f.streams.ErrOut, &v.selection)
		return nil // and no page that says nothing
	}
	d := v.document(f, fleet, rows, rates)
	write := d.html
	if v.format == markdownFormat {
		write = d.markdown
	}
	text, err := write()
	if err != nil {
		return err
	}
	if v.file == "" || v.file == "-" {
		if _, err := f.streams.Out.Write(text); err != nil {
			return err
		}
		return failure
	}
	if err := save(v.file, text); err != nil {
		return err
	}
	fmt.Fprintf(f.streams.ErrOut, "Wrote %s.\n", v.file)
	return failure
}
