// Package deploy holds the manifests of the exporter, for kubectl apply -k and, embedded, for whoever installs them by
// other ways. The rules and the dashboard that go with them are here too; the tests run both against a real Prometheus.
package deploy

import "embed"

// Files is the kustomize tree. base is whole by itself; each of components adds one thing to it, and any of them may be
// combined; overlays/NAME is base with components/NAME alone, for kubectl apply -k.
//
//go:embed base components overlays
var Files embed.FS

// Names of what base makes, for those who look for it in a cluster.
const (
	Namespace = "cosanet"                         // of all objects, unless a kustomization on top says otherwise
	Name      = "cosanet-exporter"                // of the ServiceAccount, DaemonSet, Service and NetworkPolicy
	Image     = "ghcr.io/cosanet/kubectl-cosanet" // without the tag, as images: of a kustomization takes it
	Container = "exporter"
	Port      = 9156
	PortName  = "metrics"
)

// Policies are the names of the admission policies of policy, by which kubectl cosanet doctor looks for them.
func Policies() []string { return []string{"cosanet-collector-pods", "cosanet-collector-access"} }
