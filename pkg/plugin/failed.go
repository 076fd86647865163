package plugin

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// readFailed tells whether a family is missing from a record because its source could not be read.
func readFailed(r *metrics.Record, family string) bool {
	return slices.ContainsFunc(r.FailedSources(), func(source string) bool { return isOf(family, source) })
}

// isOf tells whether a family is read from a source: the source's name is the first word of the family's. The counts of
// sockets by state, and the two files of sockstat, are named otherwise.
func isOf(family, source string) bool {
	word, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(family, "cosanet_"), "proc_net_"), "_")
	switch source {
	case "sockets":
		return slices.Contains([]string{"tcp", "udp", "icmp", "udplite", "raw"}, word)
	case "sockstat6":
		return word == "sockstat"
	}
	return word == source
}

// failures words which sources could not be read of which row, one line a source.
func failures(rows []*row) []string {
	of := map[string][]string{}
	for _, r := range rows {
		if r.last == nil {
			continue
		}
		for _, source := range r.last.FailedSources() {
			of[source] = append(of[source], r.title())
		}
	}
	var lines []string
	for source, titles := range of {
		lines = append(lines, "err: could not read "+source+" of "+enumerate(titles))
	}
	slices.Sort(lines)
	return lines
}

// undiscovered says of which nodes the collector found no pods, because neither the container runtime nor the cgroups of
// the processes told it of any: their pods are missing and not quiet.
func (f *Fleet) undiscovered() []string {
	var lines []string
	for _, o := range f.Observations {
		if len(o.Snapshots) == 0 {
			continue
		}
		var reasons []string
		found := false
		for _, r := range o.Snapshots[len(o.Snapshots)-1].Records {
			for _, s := range r.Samples {
				if s.Metric.Name != "cosanet_discovery_success" || len(s.Labels) < 2 {
					continue
				}
				found = found || s.Value == 1
				reasons = append(reasons, s.Labels[0].Value+": "+cmp.Or(s.Labels[1].Value, "see the exporter's log"))
			}
		}
		if len(reasons) > 0 && !found {
			lines = append(lines, "node "+o.Node+": no pod could be found, only the node itself is shown ("+strings.Join(reasons, "; ")+
				"); name the runtime's socket with --cri-socket")
		}
	}
	return lines
}

// enumerate lists names, and counts those beyond the first few.
func enumerate(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + number(float64(len(names)-most)) + " more"
}

// podName is the random part of a collector pod's name. Nodes that failed for one reason differ in it.
var podName = regexp.MustCompile(`\bcosanet-[a-z0-9]{8}\b`)

// failure is the error of a view of which some nodes could not be asked: nil when all could. Nodes that failed for the
// same reason are named together, with the words of the first.
func (f *Fleet) failure() error {
	nodes := map[string][]string{}
	var reasons, keys []string
	failed := 0
	for _, o := range f.Observations {
		if o.Err == nil {
			continue
		}
		failed++
		reason := strings.TrimPrefix(o.Err.Error(), "node "+o.Node+": ")
		key := podName.ReplaceAllString(reason, "")
		if nodes[key] == nil {
			reasons, keys = append(reasons, reason), append(keys, key)
		}
		nodes[key] = append(nodes[key], o.Node)
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("node %s: %s", nodes[keys[0]][0], reasons[0])
	}
	lines := []string{fmt.Sprintf("%d of %d nodes failed:", failed, len(f.Observations))}
	for i, reason := range reasons {
		lines = append(lines, fmt.Sprintf("  node %s: %s", enumerate(nodes[keys[i]]), strings.ReplaceAll(reason, "\n", "\n  ")))
	}
	return errors.New(strings.Join(lines, "\n"))
}
