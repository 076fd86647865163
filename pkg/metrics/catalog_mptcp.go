package metrics

var (
	mptcpMetrics []*Metric
)
