package plugin

import (
	"fmt"
	"path"
	"time"

	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Collection is how live data is had: from the exporter of every node that is asked about, or by one collector pod on it.
// Its exported fields are the flags of every live view; those of the pod matter where a pod is made.
type Collection struct {
	Carrier     Carrier       // who is asked: an exporter, a pod, or the first that can answer
	Profile     Profile       // what the collector pods are allowed to do
	Image       string        // of the collector
	PullPolicy  string        // Always, IfNotPresent or Never
	PullSecrets []string      // in the namespace of the collector pods
	CRISocket   string        // of the nodes' container runtime, in place of the known ones
	Namespace   string        // of the collector pods and the exporter; empty: cosanet where there is one, else default
	Timeout     time.Duration // for one node's answer, beside the time between its samples
	Concurrency int           // nodes asked at the same time

	version  string
	patience time.Duration // until an exporter begins to answer, where a pod can be asked in its place
	ledger   *Ledger
	progress *progress
}

// newCollection is a Collection with the defaults of this build.
func newCollection(f *factory) *Collection {
	return &Collection{
		Carrier:     AnyCarrier,
		Profile:     Privileged,
		Image:       f.build.Image,
		PullPolicy:  string(corev1.PullIfNotPresent),
		Timeout:     time.Minute,
		Concurrency: 16,
		version:     f.build.Version,
		patience:    exporterPatience,
		ledger:      f.ledger,
		progress:    newProgress(f.streams.ErrOut),
	}
}

// AddFlags declares the flags of a live view.
func (c *Collection) AddFlags(flags *pflag.FlagSet) {
	flags.Var(&c.Carrier, "source", "who is asked on each node: exporter (see kubectl cosanet serve), pod (one is made and deleted) or auto, the exporter where it can answer")
	flags.Var(&c.Profile, "profile", "what the collector pods are allowed to do: privileged, netadmin (root with SYS_ADMIN, NET_ADMIN and SYS_PTRACE alone) or restricted (no capability: counters only)")
	flags.StringVar(&c.Image, "image", c.Image, "image of the collector pods")
	flags.StringVar(&c.PullPolicy, "image-pull-policy", c.PullPolicy, "when the nodes pull the image: Always, IfNotPresent or Never")
	flags.StringSliceVar(&c.PullSecrets, "image-pull-secret", nil, "secret to pull the image with, in the namespace of the collector pods; may be repeated")
	flags.StringVar(&c.CRISocket, "cri-socket", "", "socket of the nodes' container runtime, where it is not one of the usual (default: found)")
	flags.StringVar(&c.Namespace, "collector-namespace", "", "namespace of the collector pods and of the exporter (default: cosanet where there is one, else default)")
	flags.DurationVar(&c.Timeout, "timeout", c.Timeout, "how long a node may take to answer, beside the time between its samples")
	flags.IntVar(&c.Concurrency, "max-concurrent-nodes", c.Concurrency, "how many nodes are asked at the same time")
}

// Validate checks the flags against each other and for what no cluster would take. Its error is a usage error.
func (c *Collection) Validate() error {
	if _, err := parsePullPolicy(c.PullPolicy); err != nil {
		return usageError(err)
	}
	if c.Image == "" && c.Carrier != ExporterCarrier {
		return usageError(fmt.Errorf("no collector image: this build has none of its own, give one with --image"))
	}
	if c.Namespace != "" {
		if problems := validation.IsDNS1123Label(c.Namespace); len(problems) > 0 {
			return usageError(fmt.Errorf("invalid --collector-namespace %q: %s", c.Namespace, problems[0]))
		}
	}
	if c.CRISocket != "" && !path.IsAbs(c.CRISocket) {
		return usageError(fmt.Errorf("--cri-socket %q: give the absolute path that it has on the nodes", c.CRISocket))
	}
	if c.Timeout <= 0 {
		return usageError(fmt.Errorf("--timeout must be more than 0, not %s", c.Timeout))
	}
	if c.Concurrency < 1 {
		return usageError(fmt.Errorf("--max-concurrent-nodes must be at least 1, not %d", c.Concurrency))
	}
	return nil
}

func parsePullPolicy(s string) (corev1.PullPolicy, error) {
	switch policy := corev1.PullPolicy(s); policy {
	case corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
		return policy, nil
	}
	return "", fmt.Errorf("unknown --image-pull-policy %q: use Always, IfNotPresent or Never", s)
}
