package collector

import (
	"bytes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// twoLine parses /proc/net/snmp and /proc/net/netstat: pairs of lines, the names and the values of one protocol.
//
//	Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens ...
//	Tcp: 1 200 120000 -1 32 ...
//
// What a line of names means is worked out once and remembered by its text: it is the same in every namespace, but for
// IcmpMsg, which names the message types that were seen.
type twoLine struct {
	field   func(proto, name string) *metrics.Metric // nil: not asked for
	columns map[string][]*metrics.Metric
}

// maxHeadings bounds the lines of names that are remembered: a pod can make up any combination of message types.
const maxHeadings = 64

func newTwoLine(field func(proto, name string) *metrics.Metric) *twoLine {
	return &twoLine{field: field, columns: map[string][]*metrics.Metric{}}
}

// parse appends the file's samples to dst.
func (t *twoLine) parse(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	for len(file) > 0 {
		var names, values []byte
		names, file = line(file)
		values, file = line(file)
		columns, ok := t.columns[string(names)]
		if !ok {
			columns = t.resolve(string(names))
			if len(t.columns) >= maxHeadings {
				clear(t.columns)
			}
			t.columns[string(names)] = columns
		}
		colon := bytes.IndexByte(names, ':')
		if colon < 0 || !bytes.HasPrefix(values, names[:colon+1]) {
			return dst, errMalformed
		}
		rest := values[colon+1:]
		for _, m := range columns {
			var v float64
			var err error
			if v, rest, err = number(rest); err != nil {
				return dst, err
			}
			if m != nil {
				dst = append(dst, metrics.Sample{Metric: m, Value: v})
			}
		}
		if !blank(rest) {
			return dst, errMalformed
		}
	}
	return dst, nil
}

func (t *twoLine) resolve(names string) []*metrics.Metric {
	fields := bytes.Fields([]byte(names))
	if len(fields) == 0 {
		return nil
	}
	proto := string(bytes.TrimSuffix(fields[0], []byte(":")))
	columns := make([]*metrics.Metric, len(fields)-1)
	for i, f := range fields[1:] {
		columns[i] = t.field(proto, string(f))
	}
	return columns
}
