package metrics

var (
	ownMetrics []*Metric
)
