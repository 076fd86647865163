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
// sockets by state, the two files of sockstat, and what is of the node's conntrack table, are named otherwise.
func isOf(family, source string) bool {
	name, original := strings.CutPrefix(strings.TrimPrefix(family, "cosanet_"), "proc_net_")
	word, _, _ := strings.Cut(name, "_")
	owned := strings.HasPrefix(name, "conntrack_owned_")
	switch source {
	case "sockets":
		return original && slices.Contains([]string{"tcp", "udp", "icmp", "udplite", "raw"}, word)
	case "tcp":
		return !original && word == "tcp"
	case "sockstat6":
		return word == "sockstat"
	case ownersSource:
		return owned
	}
	return word == source && !owned
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

// fewNames are as many as are listed one by one.
const fewNames = 4

// enumerate lists names, and counts those beyond the first few.
func enumerate(names []string) string {
	if len(names) <= fewNames {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:fewNames], ", ") + " and " + number(float64(len(names)-fewNames)) + " more"
}

// varying is what differs between nodes that failed for one reason: the random part of a collector pod's name, UIDs and
// addresses.
var varying = regexp.MustCompile(`\bcosanet-[a-z0-9]{8}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b`)

// trouble is one reason for which nodes failed, in the words of the first of them.
type trouble struct {
	reason string
	nodes  []string
}

// troubles are the reasons for which nodes failed, those of most nodes first.
func (f *Fleet) troubles() []*trouble {
	var found []*trouble
	of := map[string]*trouble{}
	for _, o := range f.Observations {
		if o.Err == nil {
			continue
		}
		reason := strings.TrimPrefix(o.Err.Error(), "node "+o.Node+": ")
		itself := regexp.MustCompile(`(\bnodes? "?|=)` + regexp.QuoteMeta(o.Node) + `\b`) // as the next command names it
		key := varying.ReplaceAllString(itself.ReplaceAllString(reason, ""), "")
		if of[key] == nil {
			of[key] = &trouble{reason: reason}
			found = append(found, of[key])
		}
		of[key].nodes = append(of[key].nodes, o.Node)
	}
	slices.SortStableFunc(found, func(a, b *trouble) int { return cmp.Compare(len(b.nodes), len(a.nodes)) })
	return found
}

// String is a few nodes by name, of many their number and some names, and the reason with the next command.
func (t *trouble) String() string {
	who := "node " + enumerate(t.nodes)
	if len(t.nodes) > fewNames {
		who = fmt.Sprintf("%d nodes (%s)", len(t.nodes), strings.Join(t.nodes[:fewNames], ", ")+", ...")
	}
	return who + ": " + t.reason
}

// failure is the error of a view of which some nodes could not be asked: nil when all could. Of reasons that are different
// for each of many nodes the first ones are told.
func (f *Fleet) failure() error {
	const most = 20
	troubles := f.troubles()
	failed := 0
	for _, t := range troubles {
		failed += len(t.nodes)
	}
	switch failed {
	case 0:
		return nil
	case 1:
		return errors.New(troubles[0].String())
	}
	lines := []string{fmt.Sprintf("%d of %d nodes failed:", failed, len(f.Observations))}
	for _, t := range troubles[:min(len(troubles), most)] {
		lines = append(lines, "  "+strings.ReplaceAll(t.String(), "\n", "\n  "))
		failed -= len(t.nodes)
	}
	if failed > 0 {
		lines = append(lines, fmt.Sprintf("  %s for other reasons; --node NODE tells that of one", plural(failed, "more node")))
	}
	return errors.New(strings.Join(lines, "\n"))
}
