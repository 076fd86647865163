package metrics

var (
	tcpExtMetrics []*Metric
)
