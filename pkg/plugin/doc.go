// Package plugin is the workstation's half of kubectl-cosanet: it asks every node it is told about, by the exporter that runs
// there or by a short-lived collector pod, and shows what it is answered.
//
// Every view is the same line: a Selection says which pods or nodes, an Ask says what to count and how often, observing
// (live through Collection, or from a file) gives a Fleet, and a view turns the Fleet into text. The views never touch
// the cluster, so each of them works on a saved file as well.
package plugin
