package metrics

var (
	ip6Metrics   []*Metric
	icmp6Metrics []*Metric
	udp6Metrics  []*Metric
)
