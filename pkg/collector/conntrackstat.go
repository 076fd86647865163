package collector

import (
	"bytes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// conntrackColumns names the families of the columns of /proc/net/stat/nf_conntrack (ct_cpu_seq_show in
// net/netfilter/nf_conntrack_standalone.c). chainlength holds the chains that were too long (since Linux 5.15; zero
// under the name delete_list before), clashres the clashes resolved (since 5.10; before, the column was searched).
var conntrackColumns = map[string]string{
	"entries":        "cosanet_conntrack_curr",
	"clashres":       "cosanet_conntrack_clash_resolve_total",
	"found":          "cosanet_conntrack_found_total",
	"invalid":        "cosanet_conntrack_invalid_total",
	"chainlength":    "cosanet_conntrack_chain_toolong_total",
	"insert":         "cosanet_conntrack_insert_total",
	"insert_failed":  "cosanet_conntrack_insert_failed_total",
	"drop":           "cosanet_conntrack_drop_total",
	"early_drop":     "cosanet_conntrack_early_drop_total",
	"icmp_error":     "cosanet_conntrack_error_total",
	"search_restart": "cosanet_conntrack_search_restart_total",
}

// conntrackStat parses /proc/net/stat/nf_conntrack: a line of names, then a line of hexadecimal numbers a CPU. entries
// is the whole table's and the same on every line, the others are summed.
type conntrackStat struct {
	family  func(name string) *metrics.Metric // nil: not asked for
	names   string                            // the line of names that columns belongs to
	columns []*metrics.Metric
	entries int // index of the column that is not summed
	sums    []uint64
}

func newConntrackStat(family func(name string) *metrics.Metric) *conntrackStat {
	return &conntrackStat{family: family}
}

// parse appends the file's samples to dst.
func (c *conntrackStat) parse(dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	names, file := line(file)
	if string(names) != c.names {
		c.resolve(names)
	}
	if len(c.columns) == 0 || len(file) == 0 {
		return dst, errMalformed
	}
	clear(c.sums)
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		for i := range c.sums {
			v, rest, err := hexadecimal(l)
			if err != nil {
				return dst, err
			}
			if i == c.entries {
				c.sums[i] = v
			} else {
				c.sums[i] += v
			}
			l = rest
		}
		if !blank(l) {
			return dst, errMalformed
		}
	}
	for i, m := range c.columns {
		if m != nil {
			dst = append(dst, metrics.Sample{Metric: m, Value: float64(c.sums[i])})
		}
	}
	return dst, nil
}

func (c *conntrackStat) resolve(names []byte) {
	fields := bytes.Fields(names)
	c.names = string(names)
	c.columns = make([]*metrics.Metric, len(fields))
	c.sums = make([]uint64, len(fields))
	c.entries = -1
	for i, f := range fields {
		if name, ok := conntrackColumns[string(f)]; ok {
			c.columns[i] = c.family(name)
		}
		if string(f) == "entries" {
			c.entries = i
		}
	}
}
