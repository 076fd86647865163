package metrics

var (
	ipExtMetrics []*Metric
)
