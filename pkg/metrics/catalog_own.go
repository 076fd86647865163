package metrics

// What the collector says of itself and of the identity of what it read: without a Source, since no kernel counts it, and
// therefore in every set.

const ownRef = "docs/design.md"

var ownMetrics = []*Metric{
	{Name: "cosanet_build_info", Type: Gauge, Labels: []string{"version", "revision", "goversion"}, Ref: ownRef,
		Help: "Build of the collector, in its labels; always 1."},
	{Name: "cosanet_sandbox_info", Type: Gauge, Ref: ownRef,
		Labels: []string{"cosanet_pod_uid", "cosanet_netns_inode", "cosanet_runtime_handler", "cosanet_host_network", "cosanet_shared_with", "supported"},
		Help:   "Identity of a pod sandbox, in its labels; always 1. A host network pod has its counters on the host row, a shared namespace on the row that cosanet_shared_with names, and supported=\"false\" marks a pod whose own kernel counts where the node cannot see."},
	{Name: "cosanet_read_success", Type: Gauge, Labels: []string{"source"}, Ref: ownRef,
		Help: "Whether a source of this namespace could be read: 1 it was, 0 it failed, so that its series are missing and not zero."},
	{Name: "cosanet_discovery_success", Type: Gauge, Labels: []string{"source", "reason"}, Ref: ownRef,
		Help: "Whether a way of finding sandboxes worked in this walk: 1 it did, 0 it failed, for the reason in the label."},
	{Name: "cosanet_walk_timestamp_seconds", Type: Gauge, Unit: "seconds", Ref: ownRef,
		Help: "When the walk began, in seconds since 1970 by the node's clock."},
	{Name: "cosanet_walk_duration_seconds", Type: Gauge, Unit: "seconds", Ref: ownRef,
		Help: "How long the walk over all sandboxes took."},
	{Name: "cosanet_walk_sandboxes", Type: Gauge, Unit: "sandboxes", Labels: []string{"result"}, Ref: ownRef,
		Help: "Sandboxes that the walk found, by what became of them."},
	{Name: "cosanet_dropped_series", Type: Gauge, Unit: "series", Labels: []string{"reason"}, Ref: ownRef,
		Help: "Series that were read and left out of this walk, by the bound that cut them off."},

	// Of the exporter, in its answers only. pkg/collector/own.go has one more, a histogram.
	{Name: "cosanet_exporter_info", Type: Gauge, Labels: []string{"metrics", "sockets", "pod_filter", "sources"}, Ref: ownRef,
		Help: "What this exporter counts, in its labels: the set of metrics (custom: not as a set has them), the protocols whose sockets are counted, the expression that pods must match, the sources that are asked for by name; always 1."},
	{Name: "cosanet_exporter_scrapes_total", Type: Counter, Unit: "scrapes", Labels: []string{"code"}, Ref: ownRef,
		Help: "Scrapes that were answered, by the HTTP status of the answer."},
	{Name: "cosanet_exporter_cut_answers_total", Type: Counter, Unit: "answers", Ref: ownRef,
		Help: "Answers that were not written to their end, since the client went away or read too slowly."},
	{Name: "cosanet_exporter_in_flight_scrapes", Type: Gauge, Unit: "scrapes", Ref: ownRef,
		Help: "Scrapes being answered now, this one included."},
	{Name: "cosanet_exporter_walks_total", Type: Counter, Unit: "walks", Labels: []string{"result"}, Ref: ownRef,
		Help: "Walks over the node, by what became of them: done, or failed for want of time."},
	{Name: "cosanet_exporter_walk_age_seconds", Type: Gauge, Unit: "seconds", Ref: ownRef,
		Help: "How long before this answer its walk began."},
}
