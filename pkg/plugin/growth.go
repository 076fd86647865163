package plugin

import (
	"fmt"
	"slices"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// growth is a level whose change within the window is told with a finding: whether it is a leak that grows, or what a burst has
// left, shows in nothing else. There is no threshold of it: none is published.
type growth struct {
	what   string // "in CLOSE-WAIT"
	family string // empty: nothing is told
	value  string // of a label that its series must have; empty: all of them
}

// values are what the series must have.
func (g growth) values() []string {
	if g.value == "" {
		return nil
	}
	return []string{g.value}
}

// lines say from where to where the level went. Of a row without an earlier sample there is nothing to say.
func (g growth) lines(r *row) []string {
	if g.family == "" || r.first == nil || r.reborn || r.window == 0 {
		return nil
	}
	earlier := row{last: r.first}
	before, now := earlier.sumOf(g.family, g.values()...), r.sumOf(g.family, g.values()...)
	over := r.window.Round(100 * time.Millisecond)
	switch {
	case before.state != present || now.state != present:
		return nil
	case before.value == now.value:
		return []string{fmt.Sprintf("%s: as many as %s before", g.what, over)}
	}
	return []string{fmt.Sprintf("%s: from %s to %s in %s", g.what, number(before.value), number(now.value), over)}
}

// grownBy are the levels whose change rules tell.
func grownBy(rules []rule) (grown []growth) {
	for i := range rules {
		if g := rules[i].grows; g.family != "" {
			grown = append(grown, g)
		}
	}
	return grown
}

// grows tells whether a sample is of a level whose change the view tells.
func (ask Ask) grows(s *metrics.Sample) bool {
	return slices.ContainsFunc(ask.Grown, func(g growth) bool { return g.family == s.Metric.Name && hasValues(s, g.values()) })
}
