// Package metrics is the contract between the two halves of cosanet: what the collector counts on a node, and
// what the plugin shows on a workstation. Both sides meet here and nowhere else.
//
// The catalog (catalog*.go) declares every metric once: its name, type, unit, meaning and the place where the
// kernel keeps it. A Snapshot (snapshot.go) is what one walk of one node counted: one Record a network namespace.
// Write (text.go) turns Snapshots into the Prometheus text exposition format and Parse (parse.go) turns that text
// back. A Frame (frame.go) is one such text on its way through a pod's log, closed by a Trailer that proves it whole.
//
// Three things are never confused on the way: a counter that is zero (a Sample of value 0), a counter that the
// kernel does not have (no Sample), and a counter that could not be read (cosanet_read_success of its source is 0).
package metrics
