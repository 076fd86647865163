package metrics

var (
	socketMetrics []*Metric
)
