package main

import (
	"flag"
	"strings"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// question is what a collector was asked to count.
type question struct {
	set     metrics.Set
	sockets bool
	sources [len(switched)]bool // that were asked for beside the set
}

// switched are the sources that have a switch, and what the names of their families begin with, as the collector lists them.
var switched = [...]struct {
	name, flag, families string
	ofAll                bool // read with the set of all metrics
}{
	{"listen", "listen", "cosanet_listen_", true},
	{"tcp", "tcp", "cosanet_tcp_", true},
	{"ports", "ports", "cosanet_ports_", true},
	{"conntrack_owners", "conntrack-owners", "cosanet_conntrack_owned_", false},
}

// addFlags adds the flags by which it is asked.
func (q *question) addFlags(f *flag.FlagSet) {
	f.Func("metrics", "", into(&q.set, metrics.ParseSet))
	f.BoolVar(&q.sockets, "collector.sockproto.enabled", false, "")
	for i := range switched {
		f.BoolVar(&q.sources[i], "collector."+switched[i].flag+".enabled", false, "")
	}
}

// has tells whether a metric is of the answer, as the collector chooses them.
func (q question) has(m *metrics.Metric) bool {
	for i := range switched {
		if strings.HasPrefix(m.Name, switched[i].families) {
			return q.read(i)
		}
	}
	return m.In(q.set) && (q.sockets || q.set == metrics.All || m.Unit != "sockets" || m.Default)
}

// counts tells whether a series is of the answer: that a source was read is said of none that was not to be.
func (q question) counts(c *counter) bool {
	if c.metric.Name == "cosanet_read_success" {
		for i := range switched {
			if c.labels[0].Value == switched[i].name {
				return q.read(i)
			}
		}
	}
	return q.has(c.metric)
}

// read tells whether a source with a switch is read.
func (q question) read(i int) bool { return q.sources[i] || switched[i].ofAll && q.set == metrics.All }

// reads are the sources with a switch that are read.
func (q question) reads() (sources []string) {
	for i := range switched {
		if q.read(i) {
			sources = append(sources, switched[i].name)
		}
	}
	return sources
}
