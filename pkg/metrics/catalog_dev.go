package metrics

var (
	deviceMetrics []*Metric
)
