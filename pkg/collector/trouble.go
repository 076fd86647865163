//go:build linux

package collector

import (
	"log/slog"
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// troubles logs what fails on the node once when it begins and once when it is over, however many walks it lasts. It is
// used by one walk at a time.
type troubles struct {
	log  *slog.Logger
	last map[string]bool // that lasted at the end of the last walk
}

// report logs what a walk tells of, and takes the reasons of failed discoveries out of its labels: error texts make time
// series without end.
func (t *troubles) report(r walkResult) {
	now := map[string]bool{}
	begins := func(trouble string, args ...any) {
		if now[trouble] = true; !t.last[trouble] {
			t.log.Warn(trouble, args...)
		}
	}
	if r.err != nil {
		begins("walk failed", "error", r.err, "after", r.took)
		for trouble := range t.last { // nothing is known of it
			now[trouble] = true
		}
	} else {
		t.inspect(r.snapshot, begins)
	}
	for trouble := range t.last {
		if !now[trouble] {
			t.log.Info(trouble + ": over")
		}
	}
	t.last = now
}

// inspect finds the troubles in a snapshot.
func (t *troubles) inspect(s *metrics.Snapshot, begins func(trouble string, args ...any)) {
	unread := map[string]*metrics.Sandbox{} // the first of each source
	for i := range s.Records {
		r := &s.Records[i]
		for j := range r.Samples {
			switch sample := &r.Samples[j]; sample.Metric.Name {
			case "cosanet_discovery_success":
				source, reason := takeReason(sample)
				if sample.Value == 0 {
					begins("pods cannot be found by "+source, "reason", reason)
				}
			case "cosanet_read_success":
				if source := sample.Labels[0].Value; sample.Value == 0 && unread[source] == nil {
					unread[source] = &r.Sandbox
				}
			}
		}
	}
	for source, first := range unread {
		begins("source "+source+" cannot be read of some pods", "first_namespace", first.Namespace, "first_pod", first.Pod, "first_uid", first.UID)
	}
}

// takeReason empties the reason of a cosanet_discovery_success. Its labels may belong to others too: they are made anew.
func takeReason(s *metrics.Sample) (source, reason string) {
	labels := slices.Clone(s.Labels)
	for i := range labels {
		switch l := &labels[i]; l.Name {
		case "source":
			source = l.Value
		case "reason":
			reason, l.Value = l.Value, ""
		}
	}
	s.Labels = labels
	return source, reason
}
