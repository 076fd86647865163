package plugin

import (
	"errors"
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
	Pull        Pull          // of the collector's image
	CRISocket   string        // of the nodes' container runtime, in place of the known ones
	Namespace   string        // of the collector pods and the exporter; empty: cosanet where there is one, else default
	Timeout     time.Duration // for one node's answer, beside the time between its samples
	Concurrency int           // nodes asked at the same time
	Prepull     bool          // every node gets the image before the first one is asked

	version  string
	podLife  time.Duration                              // of one pod of a watch
	patience time.Duration                              // until an exporter begins to answer, where a pod can be asked in its place
	quiet    time.Duration                              // until a pod of which the watch tells nothing is asked for itself
	each     func(pods []livePod, o *Observation) error // of the pods listed on a node and its answer; nil: nothing is made of it yet
	ledger   *Ledger
	progress *progress
}

// newCollection is a Collection with the defaults of this build.
func newCollection(f *factory) *Collection {
	return &Collection{
		Carrier:     AnyCarrier,
		Profile:     Privileged,
		Pull:        newPull(f.build),
		Timeout:     time.Minute,
		Concurrency: 32,
		version:     f.build.Version,
		podLife:     podLife,
		patience:    exporterPatience,
		quiet:       podQuiet,
		ledger:      f.ledger,
		progress:    newProgress(f.streams.ErrOut),
	}
}

// AddFlags declares the flags of a live view.
func (c *Collection) AddFlags(flags *pflag.FlagSet) {
	flags.Var(&c.Carrier, "source", "`WHO` is asked on each node: auto, pod or exporter. A pod is made and deleted; an exporter is what kubectl cosanet serve installs; auto is the exporter where it can answer, else a pod")
	flags.Var(&c.Profile, "profile", "`WHAT` the collector pods may do: privileged, netadmin or restricted. netadmin is root with SYS_ADMIN, NET_ADMIN and SYS_PTRACE alone, restricted has no capability: counters only")
	c.Pull.addFlags(flags, "the collector pods")
	flags.BoolVar(&c.Prepull, "image-prepull", false, "have all nodes pull the image, and only then ask the first one: so their samples lie closer together. A node that cannot pull it is told, and not asked")
	flags.StringVar(&c.CRISocket, "cri-socket", "", "`PATH` on the nodes of their container runtime's socket, where it is not one of the usual")
	flags.StringVar(&c.Namespace, "collector-namespace", "", "namespace of the collector pods and of the exporter, by `NAME`. Default: cosanet where there is one, else default")
	flags.DurationVar(&c.Timeout, "timeout", c.Timeout, "`HOW-LONG` a node may take to answer, beside the time between its samples")
	flags.IntVar(&c.Concurrency, "max-concurrent-nodes", c.Concurrency, "`HOW-MANY` nodes are asked at the same time. The rate of requests to the API server follows it")
}

// Validate checks the flags against each other and for what no cluster would take. Its error is a usage error.
func (c *Collection) Validate() error {
	if err := c.Pull.check(c.Carrier != ExporterCarrier); err != nil {
		return usageError(err)
	}
	if c.Prepull && c.Pull.Policy == string(corev1.PullNever) {
		return usageError(errors.New("--image-prepull and --image-pull-policy Never exclude each other"))
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
