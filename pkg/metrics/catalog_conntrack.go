package metrics

var (
	conntrackMetrics []*Metric
)
