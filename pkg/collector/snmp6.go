package collector

import (
	"bytes"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// snmp6 parses /proc/net/snmp6: one counter a line, name and value.
//
//	Ip6InReceives                   	0
//
// The protocol ends with the first 6, as in the original exporter: Ip6_InReceives, Icmp6_OutType135.
//
// What a name means is worked out once; the lines of one namespace are nearly always those of the last.
type snmp6 struct {
	field func(proto, name string) *metrics.Metric // nil: not asked for
	known map[string]*snmp6Line
	lines []*snmp6Line // of the last file
}

type snmp6Line struct {
	name   string
	metric *metrics.Metric // nil: not asked for
}

func newSnmp6(field func(proto, name string) *metrics.Metric) *snmp6 {
	return &snmp6{field: field, known: map[string]*snmp6Line{}}
}

// parse appends the file's samples to dst.
func (s *snmp6) parse(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	for i := 0; len(file) > 0; i++ {
		var l []byte
		l, file = line(file)
		if i == len(s.lines) {
			s.lines = append(s.lines, &snmp6Line{})
		}
		if !s.lines[i].begins(l) {
			known, err := s.lookup(l)
			if err != nil {
				return dst, err
			}
			s.lines[i] = known
		}
		known := s.lines[i]
		v, rest, err := number(l[len(known.name):])
		if err != nil || !blank(rest) {
			return dst, errMalformed
		}
		if known.metric != nil {
			dst = append(dst, metrics.Sample{Metric: known.metric, Value: v})
		}
	}
	return dst, nil
}

// begins tells whether a line has this name.
func (k *snmp6Line) begins(l []byte) bool {
	n := len(k.name)
	return n > 0 && n < len(l) && (l[n] == ' ' || l[n] == '\t') && string(l[:n]) == k.name
}

func (s *snmp6) lookup(l []byte) (*snmp6Line, error) {
	end := bytes.IndexAny(l, " \t")
	if end < 0 {
		return nil, errMalformed
	}
	if known, ok := s.known[string(l[:end])]; ok {
		return known, nil
	}
	name := string(l[:end])
	six := strings.IndexByte(name, '6')
	if six < 0 || six+1 == len(name) {
		return nil, errMalformed
	}
	known := &snmp6Line{name, s.field(name[:six+1], name[six+1:])}
	s.known[name] = known
	return known, nil
}
