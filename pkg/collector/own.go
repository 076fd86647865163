//go:build linux

package collector

import (
	"bytes"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// ownFamilies are what the exporter says of itself, after what it says of the node.
type ownFamilies struct {
	process *prometheus.Registry // go_* and process_*: not cheap, once for all answers of a walk
	answers *prometheus.Registry // cosanet_exporter_*: in each answer anew

	scrapes  *prometheus.CounterVec
	duration prometheus.Histogram
	inFlight prometheus.Gauge
	cut      prometheus.Counter
	walks    *prometheus.CounterVec

	mu  sync.Mutex // the age is that of one answer
	age prometheus.Gauge
}

func newOwnFamilies(c *Config) *ownFamilies {
	o := &ownFamilies{
		process:  prometheus.NewRegistry(),
		answers:  prometheus.NewRegistry(),
		scrapes:  prometheus.NewCounterVec(prometheus.CounterOpts(own("cosanet_exporter_scrapes_total")), []string{"code"}),
		cut:      prometheus.NewCounter(prometheus.CounterOpts(own("cosanet_exporter_cut_answers_total"))),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts(own("cosanet_exporter_in_flight_scrapes"))),
		walks:    prometheus.NewCounterVec(prometheus.CounterOpts(own("cosanet_exporter_walks_total")), []string{"result"}),
		age:      prometheus.NewGauge(prometheus.GaugeOpts(own("cosanet_exporter_walk_age_seconds"))),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{ // the catalog has no histograms
			Name:    "cosanet_exporter_scrape_duration_seconds",
			Help:    "How long scrapes took, from the request to the last byte handed to the kernel.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	o.process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts(own("cosanet_exporter_info")), []string{"metrics", "sockets", "pod_filter", "sources"})
	info.WithLabelValues(c.scope()...).Set(1)
	registerer := prometheus.WrapRegistererWith(prometheus.Labels{"cosanet_node": c.Node}, o.answers)
	registerer.MustRegister(info, o.scrapes, o.duration, o.inFlight, o.cut, o.walks, o.age)
	for _, result := range []string{"done", "failed"} {
		o.walks.WithLabelValues(result)
	}
	for _, code := range []string{"200", "503"} {
		o.scrapes.WithLabelValues(code)
	}
	return o
}

// own returns name and help of a family as the catalog has them.
func own(name string) prometheus.Opts {
	m, _ := metrics.Lookup(name)
	return prometheus.Opts{Name: m.Name, Help: m.Help}
}

// scope says what the exporter counts, so that a reader knows whether it can answer a question: the set of metrics, the
// protocols whose sockets are counted, which pods, and what is read beside the set.
func (c *Config) scope() []string {
	set := c.Set.String()
	if c.SnmpInclude != nil || c.NetstatInclude != nil || !c.Snmp || !c.Netstat || !c.Sockstat || !c.Netdev || !c.Conntrack || !c.Host {
		set = "custom"
	}
	var sockets []string
	for _, p := range slices.Sorted(slices.Values(c.Protocols)) {
		sockets = append(sockets, p.String())
	}
	filter := ""
	if c.PodFilter != nil {
		filter = c.PodFilter.String()
	}
	return []string{set, strings.Join(sockets, ","), filter, strings.Join(c.optional(), ",")}
}

// optional are the sources that are asked for by name.
func (c *Config) optional() (sources []string) {
	for _, s := range []struct {
		name string
		read bool
	}{{"listen", c.Listen}, {"tcp", c.TCPInfo}, {"ports", c.Ports}, {ownersSource, c.ConntrackOwners}} {
		if s.read {
			sources = append(sources, s.name)
		}
	}
	return sources
}

// walked counts a walk.
func (o *ownFamilies) walked(r walkResult) {
	result := "done"
	if r.err != nil {
		result = "failed"
	}
	o.walks.WithLabelValues(result).Inc()
}

// ofProcess is the text of the families of the Go runtime and the process.
func (o *ownFamilies) ofProcess(f metrics.Format) ([]byte, error) { return exposition(f, o.process) }

// ofAnswer is the text of the exporter's own families in an answer from a walk that began then.
func (o *ownFamilies) ofAnswer(f metrics.Format, began time.Time) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.age.Set(time.Since(began).Seconds())
	return exposition(f, o.answers)
}

// exposition encodes what a registry gathers, without an end mark.
func exposition(f metrics.Format, r *prometheus.Registry) ([]byte, error) {
	families, err := r.Gather()
	if err != nil {
		return nil, err
	}
	format := expfmt.FmtText
	if f == metrics.OpenMetricsFormat {
		format = expfmt.FmtOpenMetrics_1_0_0
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
