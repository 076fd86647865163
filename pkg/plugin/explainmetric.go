package plugin

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// explainMetrics words what the catalog says of metrics, by their short or full names.
func explainMetrics(w io.Writer, names []string) error {
	var b strings.Builder
	var unknown []error
	for i, name := range names {
		m, ok := lookup(name)
		if !ok {
			_, err := parseColumn(name)
			unknown = append(unknown, errors.New(strings.Replace(err.Error(), "unknown column", "unknown metric", 1)))
			continue
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		explainMetric(&b, m)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if err := errors.Join(unknown...); err != nil {
		return usageError(err)
	}
	return nil
}

func explainMetric(b *strings.Builder, m *metrics.Metric) {
	fmt.Fprintf(b, "%s\n%s\n", m.Name, wrapped(m.Help, 2))
	if m.Meaning != "" {
		fmt.Fprintln(b, wrapped(m.Meaning, 2))
	}
	kind := m.Type.String()
	if m.Unit != "" {
		kind += " of " + m.Unit
	}
	line := func(title, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %-12s%s\n", title, strings.TrimLeft(wrapped(text, 14), " "))
		}
	}
	b.WriteByte('\n')
	line("Type", kind+", a sign of "+map[metrics.Signal]string{metrics.Info: "nothing, information", metrics.Traffic: "traffic", metrics.Error: "errors", metrics.Drop: "drops", metrics.Saturation: "saturation"}[m.Signal])
	line("Counted", map[metrics.Scope]string{metrics.Pod: "in every network namespace for itself", metrics.Node: "once for the whole machine, whatever namespace asks"}[m.Scope])
	line("Labels", strings.Join(m.Labels, ", "))
	line("Source", m.Source)
	line("Reference", m.Ref)
	line("Columns", strings.Join(columnsWith(m.Name), ", "))
	line("Findings", strings.Join(rulesWith(m.Name), ", "))
}

// columnsWith are the columns of top that a metric is part of.
func columnsWith(family string) (names []string) {
	for _, c := range builtin() {
		if slices.Contains(c.families(), family) {
			names = append(names, c.name)
		}
	}
	return names
}

// rulesWith are the rules that a metric is part of.
func rulesWith(family string) (ids []string) {
	for _, r := range rules() {
		if slices.Contains(r.families(), family) {
			ids = append(ids, r.id)
		}
	}
	return ids
}
