package metrics

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// appendHeader appends the HELP and TYPE lines of a family. OpenMetrics names a counter there without its _total.
func appendHeader(dst []byte, f Format, m *Metric) []byte {
	name, word := m.Name, m.Type.String()
	if f == OpenMetricsFormat {
		stem, total := strings.CutSuffix(name, "_total")
		switch {
		case m.Type == Counter && total:
			name = stem
		case m.Type != Gauge && m.Type != Histogram:
			word = "unknown"
		}
	}
	dst = append(dst, "# HELP "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = appendEscaped(dst, m.Help, f == OpenMetricsFormat)
	dst = append(dst, "\n# TYPE "...)
	dst = append(dst, name...)
	dst = append(dst, ' ')
	dst = append(dst, word...)
	return append(dst, '\n')
}

// appendIdentity appends the opening brace and the labels that every series of a sandbox shares, names in sorted order;
// nothing where there are none.
func appendIdentity(dst []byte, s *Sandbox) []byte {
	if s.Self() {
		if s.Node == "" {
			return dst
		}
		return appendLabel(append(dst, '{'), "cosanet_node", s.Node)
	}
	dst = appendLabel(append(dst, '{'), "cosanet_namespace", s.Namespace)
	dst = appendLabel(append(dst, ','), "cosanet_netnsname", s.NetNS)
	dst = appendLabel(append(dst, ','), "cosanet_node", s.Node)
	dst = appendLabel(append(dst, ','), "cosanet_pod", s.Pod)
	if s.ControllerKind != "" {
		dst = appendLabel(append(dst, ','), "cosanet_pod_controller_kind", s.ControllerKind)
		dst = appendLabel(append(dst, ','), "cosanet_pod_controller_name", s.ControllerName)
	}
	return dst
}

// appendLabels appends labels after those of the identity, or as the first of a block.
func appendLabels(dst []byte, f Format, labels []Label, first bool) []byte {
	for _, l := range labels {
		if first {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		first = false
		if f == OpenMetricsFormat && l.Name == bucketBound {
			l.Value = openMetricsBound(l.Value)
		}
		dst = appendLabel(dst, l.Name, l.Value)
	}
	return dst
}

func appendLabel(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, `="`...)
	dst = appendEscaped(dst, value, true)
	return append(dst, '"')
}

// appendEscaped escapes backslash and line feed, and quotes where the format asks for it: in every label value, and in the
// HELP text of OpenMetrics.
func appendEscaped(dst []byte, s string, quotes bool) []byte {
	plain := 0 // where the part begins that is as it is
	for i := range len(s) {
		c := s[i]
		if c != '\\' && c != '\n' && (c != '"' || !quotes) {
			continue
		}
		if c == '\n' {
			c = 'n'
		}
		dst = append(dst, s[plain:i]...)
		dst = append(dst, '\\', c)
		plain = i + 1
	}
	return append(dst, s[plain:]...)
}

// appendValue writes a value as expfmt does: the shortest form that reads back the same, in OpenMetrics with a point or an
// exponent.
func appendValue(dst []byte, f Format, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "+Inf"...)
	case math.IsInf(v, -1):
		return append(dst, "-Inf"...)
	case v >= 0 && v < 1<<53 && v == math.Trunc(v): // minus zero too, which is written as 0
		return appendInteger(dst, f, uint64(v)) // nearly every value
	}
	begin := len(dst)
	dst = strconv.AppendFloat(dst, v, 'g', -1, 64)
	if f == OpenMetricsFormat && !bytes.ContainsAny(dst[begin:], "e.") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendInteger writes what strconv's 'g' makes of an integer below 2^53, sooner: 123456, 1.234567e+06.
func appendInteger(dst []byte, f Format, v uint64) []byte {
	begin := len(dst)
	dst = strconv.AppendUint(dst, v, 10)
	exponent := len(dst) - begin - 1
	if exponent < 6 {
		if f == OpenMetricsFormat {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	for dst[len(dst)-1] == '0' {
		dst = dst[:len(dst)-1]
	}
	if len(dst) > begin+1 { // more digits than one: a point after the first
		dst = append(dst, 0)
		copy(dst[begin+2:], dst[begin+1:])
		dst[begin+1] = '.'
	}
	return append(dst, 'e', '+', byte('0'+exponent/10), byte('0'+exponent%10))
}
