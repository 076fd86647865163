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
	field func(proto, name string) *metrics.Metric // nil: not asked for
	known map[string]*heading                      // by line
	last  []*heading                               // of the last file, in order
}

// heading is a line of names.
type heading struct {
	line    string
	columns []*metrics.Metric
}

// maxHeadings bounds the lines of names that are remembered: a pod can make up any combination of message types.
const maxHeadings = 64

func newTwoLine(field func(proto, name string) *metrics.Metric) *twoLine {
	return &twoLine{field: field, known: map[string]*heading{}}
}

// parse appends the file's samples to dst.
func (t *twoLine) parse(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	for i := 0; len(file) > 0; i++ {
		var names, values []byte
		names, file = line(file)
		values, file = line(file)
		if i == len(t.last) {
			t.last = append(t.last, &heading{})
		}
		if string(names) != t.last[i].line {
			t.last[i] = t.lookup(names)
		}
		columns := t.last[i].columns
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

func (t *twoLine) lookup(names []byte) *heading {
	known, ok := t.known[string(names)]
	if !ok {
		if len(t.known) >= maxHeadings {
			clear(t.known)
		}
		known = &heading{string(names), t.resolve(string(names))}
		t.known[known.line] = known
	}
	return known
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
