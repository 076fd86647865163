package plugin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// of names what was asked for.
func (v *reportView) of() string {
	of := "all namespaces"
	switch names := v.selection.Pods; {
	case len(names) > 0:
		pods := make([]string, len(names))
		for i, p := range names {
			pods[i] = strings.TrimPrefix(p.String(), "/")
		}
		of = enumerate(pods)
	case len(v.selection.Nodes) > 0:
		of = "node " + enumerate(v.selection.Nodes)
	case v.selection.Namespace != "":
		of = "namespace " + v.selection.Namespace
	}
	return printableLine(of)
}

// facts say what was asked, of whom, when, and by which version.
func (v *reportView) facts(f *factory, fleet *Fleet, rows []*row, j *judgement) []fact {
	facts := []fact{{"Asked", printableLine(v.asked), true}}
	if v.source.from == "" {
		if config, err := f.flags.ToRawKubeConfigLoader().RawConfig(); err == nil {
			facts = append(facts, fact{"Cluster", printableLine("context " + cmp.Or(*f.flags.Context, config.CurrentContext, "of none: in the cluster")), false})
		}
	}
	facts = append(facts, fact{"Counted", fleet.when(), false}, fact{"Version", "kubectl cosanet " + f.build.Version, false})
	if others := fleet.otherVersions(f.build.Version); len(others) > 0 {
		facts = append(facts, fact{"Collectors", strings.Join(others, ", "), false})
	}
	asked, answered := 0, 0
	for _, o := range fleet.Observations {
		if len(v.selection.Nodes) > 0 && !slices.Contains(v.selection.Nodes, o.Node) {
			continue // a file has more than was asked for
		}
		asked++
		if o.Err == nil {
			answered++
		}
	}
	pods := 0
	for _, r := range rows {
		if !r.host() {
			pods++
		}
	}
	return append(facts, fact{"Nodes", fmt.Sprintf("%d of %d answered", answered, asked), false},
		fact{"Pods", fmt.Sprintf("%d, %d of them with numbers of their own", pods, j.pods()), false})
}

// when is the time of the first and the last sample of all nodes.
func (f *Fleet) when() string {
	var first, last time.Time
	samples := 0
	for _, o := range f.Observations {
		for _, s := range o.Snapshots {
			if s.Time.IsZero() {
				continue
			}
			if first.IsZero() || s.Time.Before(first) {
				first = s.Time
			}
			if s.Time.After(last) {
				last = s.Time
			}
		}
		samples = max(samples, len(o.Snapshots))
	}
	if first.IsZero() {
		return "no node said when"
	}
	text := first.UTC().Format("2006-01-02 15:04:05")
	if day := "2006-01-02"; first.UTC().Format(day) != last.UTC().Format(day) {
		text += " to " + last.UTC().Format("2006-01-02 15:04:05")
	} else if timeOfDay(first) != timeOfDay(last) {
		text += " to " + timeOfDay(last)
	}
	return text + " UTC by the nodes' clocks, " + plural(samples, "sample")
}

// otherVersions are the versions of collectors that are not the plugin's, each with its nodes.
func (f *Fleet) otherVersions(own string) []string {
	nodes := map[string][]string{}
	for _, o := range f.Observations {
		if len(o.Snapshots) == 0 {
			continue
		}
		for _, r := range o.Snapshots[len(o.Snapshots)-1].Records {
			for i := range r.Samples {
				if s := &r.Samples[i]; s.Metric.Name == "cosanet_build_info" {
					nodes[label(s, "version")] = append(nodes[label(s, "version")], o.Node)
				}
			}
		}
	}
	var others []string
	for version, of := range nodes {
		if version != "" && version != own {
			others = append(others, version+" on "+enumerate(of))
		}
	}
	slices.Sort(others)
	return others
}

// goneSince words which pods of a recording were not there at its end.
func goneSince(gone map[string]time.Time) []string {
	var lines []string
	for title, at := range gone {
		lines = append(lines, title+" (until "+timeOfDay(at)+")")
	}
	slices.Sort(lines)
	if len(lines) == 0 {
		return nil
	}
	return []string{"gone before the end of the recording, and not in the tables: " + enumerate(lines)}
}
