package plugin

import (
	"fmt"
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const (
	ownersSource = "conntrack_owners"
	ownedEntries = "cosanet_conntrack_owned_entries"
	sampledRatio = "cosanet_tcp_info_sampled_ratio"
)

// optionalSources are the sources for which the collector has a switch, --collector.NAME.enabled, that no set turns on by
// itself, or only that of all metrics: what they read costs something, so it is asked for by who needs it.
var optionalSources = []string{"listen", "tcp", "ports", ownersSource}

// optionalSource is the one that a family is read from, empty where the set alone decides.
func optionalSource(family string) string {
	for _, source := range optionalSources {
		if isOf(family, source) {
			return source
		}
	}
	return ""
}

// sourcesFor are the sources that families need beside the set.
func sourcesFor(families []string, set metrics.Set) (needed []string) {
	for _, source := range optionalSources {
		if !inSet(source, set) && slices.ContainsFunc(families, func(family string) bool { return isOf(family, source) }) {
			needed = append(needed, source)
		}
	}
	return needed
}

// inSet tells whether the set alone has a source read.
func inSet(source string, set metrics.Set) bool { return set == metrics.All && source != ownersSource }

// brings tells whether all of these sources are read.
func (ask Ask) brings(sources ...string) bool {
	return !slices.ContainsFunc(sources, func(source string) bool { return !inSet(source, ask.Metrics) && !slices.Contains(ask.Sources, source) })
}

// sources are those that the flags ask for beside the set.
func (a *askFlags) sources(set metrics.Set) (asked []string) {
	if a.tcp {
		asked = append(asked, "tcp", "ports")
	}
	if a.owners {
		asked = append(asked, ownersSource)
	}
	return slices.DeleteFunc(asked, func(source string) bool { return inSet(source, set) })
}

// withoutOwners are the rules that do without a dump of the node's conntrack table.
func withoutOwners(rules []rule) []rule {
	return slices.DeleteFunc(rules, func(r rule) bool { return slices.Contains(r.families(), ownedEntries) })
}

// sampledNotes say of whose connections not all were asked.
func sampledNotes(rows []*row) (lines []string) {
	for _, r := range rows {
		if v := r.sumOf(sampledRatio); v.state == present && v.value < 1 {
			lines = append(lines, fmt.Sprintf("sampled: %s: round trip times and retransmits are those of %s of its connections", r.title(), percent(100*v.value)))
		}
	}
	return lines
}
