package plugin

import (
	"fmt"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // exec, OIDC and the clouds' own ways to log in
	"k8s.io/client-go/rest"
)

// Build says what this plugin was built as.
type Build struct {
	Version string // v0.1.0
	Image   string // the collector image of the same release, which --image overrides
}

// factory makes what the commands share: one set of connection flags, one pair of streams, one client.
type factory struct {
	flags    *genericclioptions.ConfigFlags
	streams  genericiooptions.IOStreams
	build    Build
	ledger   *Ledger // of the collector pods; main has it too
	warnings warnings
}

// client connects as kubectl would, with every connection flag (--context, --as, ...) applied to every request.
func (f *factory) client() (kubernetes.Interface, error) { return f.clientFor(1) }

// clientFor is a client for a run that asks so many nodes at the same time.
func (f *factory) clientFor(nodes int) (kubernetes.Interface, error) {
	config, err := f.flags.ToRESTConfig()
	if err != nil {
		return nil, err // says itself which kubeconfig it could not read
	}
	config = tuned(config, f.build)
	config.QPS, config.Burst = paced(nodes)
	config.WarningHandler = &f.warnings
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return client, nil
}

// namespace is the one of --namespace, else of the kubeconfig's context, else default.
func (f *factory) namespace() (string, error) {
	namespace, _, err := f.flags.ToRawKubeConfigLoader().Namespace()
	return namespace, err
}

// tuned is a config for what the commands ask beside counting. The figures are kubectl's own
// (genericclioptions.ConfigFlags of k8s.io/kubectl/pkg/cmd).
func tuned(config *rest.Config, build Build) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = leastQPS, leastBurst
	config.UserAgent = "kubectl-cosanet/" + build.Version
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

const (
	leastQPS   = 50
	leastBurst = 300
)

// paced is how fast a run may ask that visits so many nodes at the same time. A visit makes up to 8 requests within a
// second or two: at kubectl's rate 32 visits would wait for each other and not for their nodes. Beyond it the API server
// says 429 when it has enough (API priority and fairness), and client-go waits as long as its Retry-After says.
func paced(nodes int) (qps float32, burst int) {
	const requests = 8 // of one node
	return float32(max(leastQPS, requests*nodes)), max(leastBurst, 2*requests*nodes)
}
