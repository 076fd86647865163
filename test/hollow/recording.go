package main

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// recorded is what the collectors of the embedded cluster's two nodes wrote, all metrics and sockets, in two samples ten
// seconds apart: the file of `kubectl cosanet snapshot` while the pods of test/demo talked and were in trouble.
//
//go:embed testdata/recording.prom.gz
var recorded []byte

// recording is a real node's counters, by what kind of pod they are of. What a hollow node says is made of it.
type recording struct {
	host []counter
	pods map[string][]counter // by the recorded pod's name
	self []counter            // what the collector says of its walk
}

// counter is a series with its value when it was recorded and how much it grew a second; a gauge does not grow.
type counter struct {
	metric *metrics.Metric
	labels []metrics.Label
	value  float64
	rate   float64
}

// mixture is how many of a hundred pods are of which recorded kind: most are well.
var mixture = []struct {
	pod   string
	share int
}{
	{"web", 35}, {"client", 35}, {"idle", 22}, {"udp-sender", 4}, {"udp-slow", 2}, {"full-queue", 2},
}

// loadRecording reads the embedded recording.
func loadRecording() (*recording, error) {
	text, err := gzip.NewReader(bytes.NewReader(recorded))
	if err != nil {
		return nil, fmt.Errorf("reading the recording: %w", err)
	}
	r := &recording{pods: map[string][]counter{}}
	frames := metrics.NewFrameReader(text, "")
	for {
		first, err := next(frames)
		if err == io.EOF {
			return r, r.whole()
		}
		if err != nil {
			return nil, fmt.Errorf("reading the recording: %w", err)
		}
		second, err := next(frames)
		if err != nil {
			return nil, fmt.Errorf("reading the recording: %w", err)
		}
		if err := r.add(first, second); err != nil {
			return nil, fmt.Errorf("reading the recording: %w", err)
		}
	}
}

func next(frames *metrics.FrameReader) (*metrics.Snapshot, error) {
	frame, err := frames.Next()
	if err != nil {
		return nil, err
	}
	return frame.Snapshot()
}

// add takes the records of one node from its two samples.
func (r *recording) add(first, second *metrics.Snapshot) error {
	seconds := second.Time.Sub(first.Time).Seconds()
	if seconds <= 0 {
		return fmt.Errorf("its samples are %g s apart", seconds)
	}
	for i := range second.Records {
		record := &second.Records[i]
		at := slices.IndexFunc(first.Records, func(b metrics.Record) bool { return b.Sandbox == record.Sandbox })
		if at < 0 {
			return fmt.Errorf("%s/%s is in one sample alone", record.Sandbox.Namespace, record.Sandbox.Pod)
		}
		counters := grown(&first.Records[at], record, seconds)
		switch box := &record.Sandbox; {
		case box.Self():
			r.self = counters
		case box.Host():
			r.host = counters
		case box.ControllerName != "":
			r.pods[box.ControllerName] = counters
		default:
			r.pods[box.Pod] = counters
		}
	}
	return nil
}

// grown pairs the samples of two records.
func grown(before, after *metrics.Record, seconds float64) []counter {
	var counters []counter
	for _, s := range after.Samples {
		if s.Metric.Name == "cosanet_sandbox_info" {
			continue // made anew for each pod
		}
		c := counter{metric: s.Metric, labels: s.Labels, value: s.Value}
		var values []string
		for _, l := range s.Labels {
			values = append(values, l.Value)
		}
		if old, ok := before.Value(s.Metric.Name, values...); ok && s.Metric.Type == metrics.Counter {
			c.rate = max(0, s.Value-old) / seconds
		}
		counters = append(counters, c)
	}
	return counters
}

func (r *recording) whole() error {
	for _, kind := range mixture {
		if len(r.pods[kind.pod]) == 0 {
			return fmt.Errorf("the recording has no pod %s", kind.pod)
		}
	}
	if len(r.host) == 0 || len(r.self) == 0 {
		return fmt.Errorf("the recording has no node")
	}
	return nil
}

// kind is the recorded pod whose counters a pod has, by a hash of its name.
func (r *recording) kind(hash uint64) []counter {
	point := int(hash % 100)
	for _, kind := range mixture {
		if point -= kind.share; point < 0 {
			return r.pods[kind.pod]
		}
	}
	return r.host // the shares are of a hundred
}

// sandbox is a pod as a node's collector knows it.
type sandbox struct {
	metrics.Sandbox
	hash uint64 // of its name: what makes it different from the others
}

// snapshot is what the collector of a node counts at a time. Counters have grown since they began, each pod at its own
// pace; the same moment has the same values again.
func (r *recording) snapshot(node, version string, boxes []sandbox, q question, at time.Time, began time.Time) *metrics.Snapshot {
	age := max(0, at.Sub(began).Seconds())
	s := &metrics.Snapshot{Time: at, Records: make([]metrics.Record, 0, len(boxes)+2)}
	for i := range boxes {
		box := &boxes[i]
		counters := r.host
		if !box.Host() {
			counters = r.kind(box.hash)
		}
		s.Records = append(s.Records, metrics.Record{Sandbox: box.Sandbox, Samples: samples(&box.Sandbox, counters, pace(box.hash), age, q)})
	}
	s.Records = append(s.Records, r.ofWalk(node, version, len(boxes), at, q))
	return s
}

// pace is how much faster or slower than what was recorded a pod does things: from a tenth to ten times, most in between.
func pace(hash uint64) float64 {
	return math.Pow(10, float64(hash>>8%2001)/1000-1)
}

func samples(box *metrics.Sandbox, counters []counter, pace, age float64, q question) []metrics.Sample {
	list := make([]metrics.Sample, 1, len(counters)+1)
	info, _ := metrics.Lookup("cosanet_sandbox_info")
	list[0] = metrics.Sample{Metric: info, Labels: box.InfoLabels(), Value: 1}
	for i := range counters {
		c := &counters[i]
		if !q.counts(c) {
			continue
		}
		value := c.value
		switch {
		case c.metric.Type == metrics.Counter:
			value = math.Floor((c.value + c.rate*age) * pace)
		case c.metric.Unit == "connections":
			value = math.Ceil(c.value * pace)
		}
		list = append(list, metrics.Sample{Metric: c.metric, Labels: c.labels, Value: value})
	}
	return list
}

// ofWalk is what the collector says of its walk: as it was recorded, but for what is of this node and this moment.
func (r *recording) ofWalk(node, version string, sandboxes int, at time.Time, q question) metrics.Record {
	record := metrics.Record{Sandbox: metrics.Sandbox{Node: node}}
	for _, c := range r.self {
		sample := metrics.Sample{Metric: c.metric, Labels: c.labels, Value: c.value}
		switch c.metric.Name {
		case "cosanet_walk_timestamp_seconds":
			sample.Value = float64(at.UnixMicro()) / 1e6
		case "cosanet_build_info":
			sample.Labels = slices.Clone(c.labels)
			sample.Labels[0].Value = version
		case "cosanet_walk_sandboxes":
			if c.labels[0].Value == "read" {
				sample.Value = float64(sandboxes)
			} else {
				sample.Value = 0
			}
		}
		if q.has(c.metric) {
			record.Samples = append(record.Samples, sample)
		}
	}
	return record
}
