package metrics

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Parse reads exposition text into a Snapshot. Series are told apart by their identity labels; a family that the
// catalog does not know keeps its name and is untyped. The text is expected whole: see FrameReader for the proof.
// Errors: text that is not exposition format, or the same series twice.
func Parse(r io.Reader) (*Snapshot, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return nil, fmt.Errorf("parsing exposition text: %w", err)
	}
	d := decoder{at: map[identity]int{}}
	for _, m := range declared(families) {
		for _, series := range families[m.Name].Metric {
			if err := d.add(m, series); err != nil {
				return nil, fmt.Errorf("parsing exposition text: %w", err)
			}
		}
	}
	return d.snapshot(), nil
}

// declared finds the catalog entry of every family, in exposition order. A family that only a newer version knows, or
// a newer kernel, is what the text says of it.
func declared(families map[string]*dto.MetricFamily) []*Metric {
	ms := make([]*Metric, 0, len(families))
	for name, family := range families {
		m, ok := Lookup(name)
		if !ok {
			m = &Metric{Name: name, Type: typeOf(family), Help: family.GetHelp()}
		}
		ms = append(ms, m)
	}
	slices.SortFunc(ms, func(a, b *Metric) int {
		if a.place() != b.place() {
			return a.place() - b.place()
		}
		return strings.Compare(a.Name, b.Name)
	})
	return ms
}

func typeOf(family *dto.MetricFamily) Type {
	switch family.GetType() {
	case dto.MetricType_COUNTER:
		return Counter
	case dto.MetricType_GAUGE:
		return Gauge
	}
	return Untyped
}

// identity is what tells records apart: the labels that a sandbox has on every series.
type identity struct{ node, namespace, pod, netns string }

type decoder struct {
	records []Record
	at      map[identity]int
}

func (d *decoder) add(m *Metric, series *dto.Metric) error {
	var box Sandbox
	var labels []Label
	for _, pair := range series.Label {
		if !box.setIdentity(pair.GetName(), pair.GetValue()) {
			labels = append(labels, Label{pair.GetName(), pair.GetValue()})
		}
	}
	id := identity{box.Node, box.Namespace, box.Pod, box.NetNS}
	i, ok := d.at[id]
	if !ok {
		i = len(d.records)
		d.at[id] = i
		d.records = append(d.records, Record{Sandbox: box})
	}
	r := &d.records[i]
	if m.Type == Histogram {
		var err error
		r.Samples, err = m.samples(r.Samples, labels, series.Histogram)
		return err
	}
	for j := len(r.Samples) - 1; j >= 0 && r.Samples[j].Metric == m; j-- {
		if slices.Equal(r.Samples[j].Labels, labels) {
			return fmt.Errorf("%s of %s/%s on node %s is there twice", m.Name, box.Namespace, box.Pod, box.Node)
		}
	}
	if m.Name == "cosanet_sandbox_info" {
		for _, l := range labels {
			if err := r.Sandbox.setInfo(l.Name, l.Value); err != nil {
				return err
			}
		}
	}
	r.Samples = append(r.Samples, Sample{Metric: m, Labels: labels, Value: value(series)})
	return nil
}

// setIdentity takes a label that belongs to the sandbox, and tells whether it did.
func (s *Sandbox) setIdentity(name, value string) bool {
	switch name {
	case "cosanet_node":
		s.Node = value
	case "cosanet_namespace":
		s.Namespace = value
	case "cosanet_pod":
		s.Pod = value
	case "cosanet_netnsname":
		s.NetNS = value
	case "cosanet_pod_controller_kind":
		s.ControllerKind = value
	case "cosanet_pod_controller_name":
		s.ControllerName = value
	default:
		return false
	}
	return true
}

// InfoLabels are the labels of the sandbox's cosanet_sandbox_info sample, in the order of the catalog.
func (s *Sandbox) InfoLabels() []Label {
	inode := ""
	if s.Inode != 0 {
		inode = strconv.FormatUint(s.Inode, 10)
	}
	return []Label{
		{"cosanet_pod_uid", s.UID},
		{"cosanet_netns_inode", inode},
		{"cosanet_runtime_handler", s.Handler},
		{"cosanet_host_network", strconv.FormatBool(s.HostNetwork)},
		{"cosanet_shared_with", s.SharedWith},
		{"supported", strconv.FormatBool(!s.Unsupported)},
	}
}

// setInfo is the inverse of InfoLabels; labels of a newer version are let be.
func (s *Sandbox) setInfo(name, value string) (err error) {
	switch name {
	case "cosanet_pod_uid":
		s.UID = value
	case "cosanet_netns_inode":
		if value != "" {
			s.Inode, err = strconv.ParseUint(value, 10, 64)
		}
	case "cosanet_runtime_handler":
		s.Handler = value
	case "cosanet_host_network":
		s.HostNetwork, err = strconv.ParseBool(value)
	case "cosanet_shared_with":
		s.SharedWith = value
	case "supported":
		var supported bool
		supported, err = strconv.ParseBool(value)
		s.Unsupported = !supported
	}
	if err != nil {
		return fmt.Errorf("cosanet_sandbox_info label %s: %w", name, errors.Unwrap(err))
	}
	return nil
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Untyped != nil:
		return m.Untyped.GetValue()
	}
	return math.NaN() // a summary or histogram of somebody else's: kept, not guessed
}

func (d *decoder) snapshot() *Snapshot {
	s := &Snapshot{Records: d.records}
	for i := range s.Records {
		r := &s.Records[i]
		if t, ok := r.Value("cosanet_walk_timestamp_seconds"); ok && r.Sandbox.Self() && s.Time.IsZero() {
			sec, frac := math.Modf(t)
			s.Time = time.Unix(int64(sec), int64(frac*1e9))
		}
	}
	return s
}
