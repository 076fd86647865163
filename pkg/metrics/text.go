package metrics

import (
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Write writes snapshots in the Prometheus text exposition format 0.0.4: byte for byte what expfmt would write, but
// from Records instead of metric families, which spares the allocation of every label of every series.
func Write(w io.Writer, snapshots ...*Snapshot) error {
	_, err := w.Write(Append(nil, snapshots...))
	return err
}

// Append appends the exposition text of snapshots to dst. Families come in catalog order (those that the catalog does
// not know at the end, by name), the series of a family in the order of the records.
func Append(dst []byte, snapshots ...*Snapshot) []byte {
	records := recordsOf(snapshots)
	identity := make([][]byte, len(records))
	size := 0
	for i, r := range records {
		identity[i] = appendIdentity(nil, &r.Sandbox)
		size += len(r.Samples) * (len(identity[i]) + nameAndValue)
	}
	dst = slices.Grow(dst, size) // 20 MB for a full node: to let it grow would copy that several times
	var family string
	for _, at := range arrange(records) {
		s := &records[at.record].Samples[at.sample]
		if s.Metric.Name != family {
			family = s.Metric.Name
			dst = appendHeader(dst, s.Metric)
		}
		dst = append(dst, family...)
		dst = appendLabels(dst, identity[at.record], s.Labels)
		dst = append(dst, ' ')
		dst = appendValue(dst, s.Value)
		dst = append(dst, '\n')
	}
	return dst
}

// nameAndValue is about what a series takes beside its identity: its name, braces, further labels and value.
const nameAndValue = 70

func recordsOf(snapshots []*Snapshot) []*Record {
	var records []*Record
	for _, s := range snapshots {
		for i := range s.Records {
			records = append(records, &s.Records[i])
		}
	}
	return records
}

// position is where a sample stands: its record and its index there.
type position struct{ record, sample int32 }

// arrange orders all samples by family without comparing names: a counting sort over the catalog's order.
func arrange(records []*Record) []position {
	unknown := len(catalog) // one bucket more for what the catalog does not know
	next := make([]int, unknown+2)
	for _, r := range records {
		for i := range r.Samples {
			next[r.Samples[i].Metric.place()+1]++
		}
	}
	for i := range next[1:] {
		next[i+1] += next[i]
	}
	bounds := slices.Clone(next)
	positions := make([]position, next[unknown+1])
	for ri, r := range records {
		for si := range r.Samples {
			b := r.Samples[si].Metric.place()
			positions[next[b]] = position{int32(ri), int32(si)}
			next[b]++
		}
	}
	name := func(p position) string { return records[p.record].Samples[p.sample].Metric.Name }
	for b := range unknown + 1 {
		if b < unknown && !strings.HasSuffix(catalog[b].Name, "*") {
			continue // several names share a bucket only for numbered ICMP types, and for unknown fields
		}
		bucket := positions[bounds[b]:bounds[b+1]]
		byName := func(x, y position) int { return strings.Compare(name(x), name(y)) }
		if !slices.IsSortedFunc(bucket, byName) {
			slices.SortStableFunc(bucket, byName)
		}
	}
	return positions
}

func appendHeader(dst []byte, m *Metric) []byte {
	dst = append(dst, "# HELP "...)
	dst = append(dst, m.Name...)
	dst = append(dst, ' ')
	dst = appendEscaped(dst, m.Help, false)
	dst = append(dst, "\n# TYPE "...)
	dst = append(dst, m.Name...)
	dst = append(dst, ' ')
	dst = append(dst, m.Type.String()...)
	return append(dst, '\n')
}

// appendIdentity appends the label block that every series of a sandbox shares, names in sorted order.
func appendIdentity(dst []byte, s *Sandbox) []byte {
	if s.Self() {
		if s.Node == "" {
			return dst
		}
		return appendLabel(dst, "cosanet_node", s.Node)
	}
	dst = appendLabel(dst, "cosanet_namespace", s.Namespace)
	dst = appendLabel(dst, "cosanet_netnsname", s.NetNS)
	dst = appendLabel(dst, "cosanet_node", s.Node)
	dst = appendLabel(dst, "cosanet_pod", s.Pod)
	if s.ControllerKind != "" {
		dst = appendLabel(dst, "cosanet_pod_controller_kind", s.ControllerKind)
		dst = appendLabel(dst, "cosanet_pod_controller_name", s.ControllerName)
	}
	return dst
}

func appendLabels(dst, identity []byte, labels []Label) []byte {
	if len(identity) == 0 && len(labels) == 0 {
		return dst
	}
	dst = append(dst, '{')
	dst = append(dst, identity...)
	for _, l := range labels {
		dst = appendLabel(dst, l.Name, l.Value)
	}
	return append(dst, '}')
}

// appendLabel appends name="value", after a comma unless it is the first of its block.
func appendLabel(dst []byte, name, value string) []byte {
	if len(dst) > 0 && dst[len(dst)-1] == '"' { // what a value ends with
		dst = append(dst, ',')
	}
	dst = append(dst, name...)
	dst = append(dst, `="`...)
	dst = appendEscaped(dst, value, true)
	return append(dst, '"')
}

// appendEscaped escapes as the format asks: backslash and line feed everywhere, the quote in label values only.
func appendEscaped(dst []byte, s string, quotes bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			dst = append(dst, `\\`...)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '"' && quotes:
			dst = append(dst, `\"`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendValue writes a value as expfmt does: the shortest form that reads back the same.
func appendValue(dst []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case v >= 0 && v < 1e6 && v == math.Trunc(v) && !math.Signbit(v):
		return strconv.AppendUint(dst, uint64(v), 10) // most counters; 'g' would give the same digits, slower
	}
	return strconv.AppendFloat(dst, v, 'g', -1, 64)
}
