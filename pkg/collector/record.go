//go:build linux

package collector

import (
	"cmp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// walkResults are what may become of a sandbox, as cosanet_walk_sandboxes names it.
var walkResults = [...]string{"read", "failed", "gone", "shared", "unsupported", "filtered"}

// snapshot makes records of what was read: the host, the targets in order, the walk itself.
func (w *Walker) snapshot(begin time.Time) *metrics.Snapshot {
	w.netns.refresh()
	s := w.room.snapshot()
	s.Time = begin
	for _, r := range w.hostRecord {
		r.Samples = w.appendInfo(r.Samples, r.Sandbox.InfoLabels())
		s.Records = append(s.Records, r)
	}
	buf := make([]byte, 16<<10)
	var results [len(walkResults)]int
	results[slices.Index(walkResults[:], "filtered")] = w.filtered
	for _, t := range w.targets {
		results[slices.Index(walkResults[:], t.result)]++
		if t.result != "gone" {
			s.Records = append(s.Records, w.record(t, buf))
		}
		t.outcome = outcome{}
	}
	s.Records = append(s.Records, w.self(results, begin))
	return s
}

// record completes what is known of a target once all are done, and the namespaces' names were read.
func (w *Walker) record(t *target, buf []byte) metrics.Record {
	s := t.Sandbox
	s.Inode = t.netns
	if t.result == "shared" {
		if s.HostNetwork = t.reader == nil; !s.HostNetwork {
			s.SharedWith = t.reader.Namespace + "/" + t.reader.Pod
			if t.reader.Pod == "" {
				s.SharedWith = t.reader.UID
			}
		}
	}
	if s.NetNS = w.netns.names[t.netns]; s.NetNS != "" && s.NetNS != t.shown.NetNS && !t.stays(buf) {
		s.NetNS = "" // it may be the name of the next namespace that has the inode
	}
	switch {
	case t.result == "shared" && s.Pod == "":
		s.NetNS = s.UID // the namespace's own name would make it one with whom it shares with: neither has another name
	case s.NetNS != "":
	case s.Inode != 0:
		s.NetNS = t.numbered(s.Inode)
	default:
		s.NetNS = cmp.Or(s.UID, t.id)
	}
	if s != t.shown {
		t.shown, t.info = s, s.InfoLabels()
	}
	return metrics.Record{Sandbox: s, Samples: w.appendInfo(t.samples, t.info)}
}

// numbered names a namespace by its inode, as the kernel does.
func (t *target) numbered(inode uint64) string {
	if t.shown.Inode != inode || !strings.HasPrefix(t.shown.NetNS, "net:[") {
		return "net:[" + strconv.FormatUint(inode, 10) + "]"
	}
	return t.shown.NetNS
}

// appendInfo appends the identity of a sandbox as a sample.
func (w *Walker) appendInfo(dst []metrics.Sample, labels []metrics.Label) []metrics.Sample {
	if m := w.families.family("cosanet_sandbox_info"); m != nil {
		dst = append(dst, metrics.Sample{Metric: m, Value: 1, Labels: labels})
	}
	return dst
}

// self is what the collector says of the walk.
func (w *Walker) self(results [len(walkResults)]int, begin time.Time) metrics.Record {
	c := w.config
	r := reader{families: w.families}
	label := func(name, value string) metrics.Label { return metrics.Label{Name: name, Value: value} }
	s := w.room.take(16)
	s = r.append(s, "cosanet_build_info", 1, label("version", c.Version), label("revision", c.Revision), label("goversion", runtime.Version()))
	s = r.append(s, "cosanet_discovery_success", boolean(w.criFailed == nil), label("source", "cri"), label("reason", reason(w.criFailed)))
	s = r.append(s, "cosanet_discovery_success", boolean(w.noCgroups == nil), label("source", "cgroup"), label("reason", reason(w.noCgroups)))
	s = r.append(s, "cosanet_walk_timestamp_seconds", float64(begin.UnixMilli())/1000)
	s = r.append(s, "cosanet_walk_duration_seconds", time.Since(begin).Seconds())
	for i, result := range walkResults {
		s = r.append(s, "cosanet_walk_sandboxes", float64(results[i]), label("result", result))
	}
	for bound, of := range bounds {
		s = r.append(s, "cosanet_dropped_series", float64(w.dropped[bound].Load()), label("reason", of))
	}
	return metrics.Record{Sandbox: metrics.Sandbox{Node: c.Node}, Samples: s}
}

// reason is the text of an error as a label; empty where there is none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
