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
	flags   *genericclioptions.ConfigFlags
	streams genericiooptions.IOStreams
	build   Build
	ledger  *Ledger // of the collector pods; main has it too
}

// client connects as kubectl would, with every connection flag (--context, --as, ...) applied to every request.
func (f *factory) client() (kubernetes.Interface, error) {
	config, err := f.flags.ToRESTConfig()
	if err != nil {
		return nil, err // says itself which kubeconfig it could not read
	}
	client, err := kubernetes.NewForConfig(tuned(config, f.build))
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

// tuned suits a config to a run that asks many nodes at once: with client-go's default of 5 requests a second, 16 nodes
// would wait 6 s for each other. The figures are kubectl's own (genericclioptions.ConfigFlags of k8s.io/kubectl/pkg/cmd).
func tuned(config *rest.Config, build Build) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 50, 300
	config.UserAgent = "kubectl-cosanet/" + build.Version
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}
