package metrics

var (
	ipMetrics   []*Metric
	icmpMetrics []*Metric
	tcpMetrics  []*Metric
	udpMetrics  []*Metric
)
