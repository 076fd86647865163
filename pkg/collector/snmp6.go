package collector

import (
	"bytes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// snmp6 parses /proc/net/snmp6: one counter a line, name and value.
//
//	Ip6InReceives                   	0
//
// The protocol ends with the first 6, as in the original exporter: Ip6_InReceives, Icmp6_OutType135.
type snmp6 struct {
	field func(proto, name string) *metrics.Metric // nil: not asked for
	known map[string]*metrics.Metric
}

func newSnmp6(field func(proto, name string) *metrics.Metric) *snmp6 {
	return &snmp6{field: field, known: map[string]*metrics.Metric{}}
}

// parse appends the file's samples to dst.
func (s *snmp6) parse(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		end := bytes.IndexAny(l, " \t")
		if end < 0 {
			return dst, errMalformed
		}
		m, ok := s.known[string(l[:end])]
		if !ok {
			six := bytes.IndexByte(l[:end], '6')
			if six < 0 || six+1 == end {
				return dst, errMalformed
			}
			m = s.field(string(l[:six+1]), string(l[six+1:end]))
			s.known[string(l[:end])] = m
		}
		v, rest, err := number(l[end:])
		if err != nil || !blank(rest) {
			return dst, errMalformed
		}
		if m != nil {
			dst = append(dst, metrics.Sample{Metric: m, Value: v})
		}
	}
	return dst, nil
}
