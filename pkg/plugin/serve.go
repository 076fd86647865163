package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// serve is the verb's flags as they were given.
type serve struct {
	profile    Profile
	components []string
	pull       Pull
	namespace  string
	metrics    string
	sockets    bool
	criSocket  string
	nodes      map[string]string
	timeout    time.Duration
	remove     bool
	force      bool
	dryRun     string
	print      *genericclioptions.PrintFlags
}

func newServe(f *factory) *cobra.Command {
	s := &serve{profile: Privileged, pull: newPull(f.build)}
	cmd := &cobra.Command{
		Use:        "serve",
		SuggestFor: []string{"install", "uninstall", "exporter", "deploy", "remove"},
		Short:      "Install the exporter on every node, or remove it",
		Long: `Install the exporter: a DaemonSet that counts on every node and serves it to
Prometheus at :9156/metrics. Where it runs, the other commands ask it in place
of a pod of their own. Run it again to change it. Components: k3s (its socket),
openshift (SCC, every node), prometheus-operator (PodMonitor, PrometheusRule),
seccomp (not privileged, under a profile that nodes must have), tls (TLS and
passwords by the Secret cosanet-exporter-web).`,
		Example: `  kubectl cosanet serve
  kubectl cosanet serve --metrics all --component prometheus-operator
  kubectl cosanet serve --profile restricted --dry-run=client -o yaml
  kubectl cosanet serve --remove`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			manifest, err := s.parse()
			if err == nil && *f.flags.Namespace != "" {
				err = errors.New("--namespace is that of the pods which are looked at: name the exporter's with --collector-namespace")
			}
			if err != nil {
				return misuse(cmd, err)
			}
			printer, err := s.printer(f)
			if err != nil {
				return misuse(cmd, err)
			}
			return s.run(cmd.Context(), f, manifest, printer)
		},
	}
	s.addFlags(cmd.Flags())
	showFlags(cmd, "profile", "component", "metrics", "node-selector", "collector-namespace", "dry-run", "remove")
	return cmd
}

func (s *serve) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.Var(&s.profile, "profile", "`WHAT` it may do: privileged or restricted. restricted has no capability: counters only, and pods by their UID")
	fs.StringSliceVar(&s.components, "component", nil, "a `NAME` from above to add. May be repeated")
	fs.StringSliceVar(&s.components, "overlay", nil, "the same")
	fs.Lookup("overlay").Hidden = true
	fs.StringVar(&s.metrics, "metrics", metrics.Default.String(), "which `SET` it counts: default, errors or all")
	fs.BoolVar(&s.sockets, "sockets", false, "count sockets by state as well")
	fs.StringVar(&s.namespace, "collector-namespace", homeNamespace, "namespace to install it into, by `NAME`. It is made where it is missing")
	s.pull.addFlags(fs, "the exporter")
	fs.StringToStringVar(&s.nodes, "node-selector", nil, "only nodes with these `LABELS`: pool=apps")
	fs.StringVar(&s.criSocket, "cri-socket", "", "`PATH` on the nodes of their container runtime's socket, where it is not one of the usual")
	fs.DurationVar(&s.timeout, "timeout", 5*time.Minute, "`HOW-LONG` to wait until all nodes are ready, or all is gone; 0 to wait for nothing")
	fs.BoolVar(&s.remove, "remove", false, "take the exporter away")
	fs.BoolVar(&s.force, "force-conflicts", false, "take over fields that somebody else manages")
	fs.StringVar(&s.dryRun, "dry-run", "none", "only try, `WHERE` is client or server. client prints what would be applied, server lets the API server say what it would do, none applies it")
	fs.Lookup("dry-run").NoOptDefVal = "client"
	s.print = genericclioptions.NewPrintFlags("serverside-applied")
	fs.StringVarP(s.print.OutputFormat, "output", "o", "", "print the objects in this `FORMAT`: yaml, json, name, jsonpath=..., go-template=...")
}

// parse checks the flags.
func (s *serve) parse() (*manifest, error) {
	m := &manifest{namespace: s.namespace, pull: s.pull, sockets: s.sockets, criSocket: s.criSocket, nodes: s.nodes}
	var err error
	if m.metrics, err = metrics.ParseSet(s.metrics); err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	if m.components, err = s.chosen(); err != nil {
		return nil, err
	}
	if err := s.pull.check(!s.remove); err != nil {
		return nil, err
	}
	switch problems := validation.IsDNS1123Label(s.namespace); {
	case len(problems) > 0:
		return nil, fmt.Errorf("invalid --collector-namespace %q: %s", s.namespace, problems[0])
	case s.timeout < 0:
		return nil, fmt.Errorf("--timeout may not be negative: %s", s.timeout)
	case !slices.Contains([]string{"none", "client", "server"}, s.dryRun):
		return nil, fmt.Errorf("unknown --dry-run %q: use none, client or server", s.dryRun)
	case s.criSocket != "" && !strings.HasPrefix(s.criSocket, "/"):
		return nil, fmt.Errorf("--cri-socket %q: give the absolute path that it has on the nodes", s.criSocket)
	case s.remove && *s.print.OutputFormat != "":
		return nil, errors.New("--remove prints no objects: go without --output")
	}
	return m, checkNodeSelector(s.nodes)
}

// chosen are the components that the flags name.
func (s *serve) chosen() ([]string, error) {
	known, err := components()
	if err != nil {
		return nil, err
	}
	chosen := slices.Clone(s.components)
	switch s.profile {
	case Privileged:
	case Restricted:
		chosen = append(chosen, string(Restricted))
	default:
		return nil, fmt.Errorf("the exporter has no --profile %s: use privileged or restricted", s.profile)
	}
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("unknown --component %q: use %s", name, strings.Join(known, ", "))
		}
	}
	slices.Sort(chosen) // tls has something to say to what prometheus-operator adds, and comes after it
	return slices.Compact(chosen), nil
}

// printer prints the objects, by default as the line that kubectl apply prints for each.
func (s *serve) printer(f *factory) (*objectPrinter, error) {
	switch s.dryRun {
	case "client":
		s.print.Complete("%s (dry run)")
	case "server":
		s.print.Complete("%s (server dry run)")
	}
	printer, err := s.print.ToPrinter()
	if err != nil {
		return nil, fmt.Errorf("--output: %w", err)
	}
	return &objectPrinter{out: f.streams.Out, printer: printer, whole: !slices.Contains([]string{"", "yaml", "name"}, *s.print.OutputFormat)}, nil
}

func (s *serve) run(ctx context.Context, f *factory, m *manifest, printer *objectPrinter) error {
	i := &installation{namespace: m.namespace, dryRun: s.dryRun, force: s.force, timeout: s.timeout, patience: rolloutPatience,
		streams: f.streams, progress: newProgress(f.streams.ErrOut), printer: printer}
	defer i.progress.clear()
	if s.remove || s.dryRun != "client" {
		if err := i.connect(f); err != nil {
			return err
		}
	}
	if s.remove {
		return unreachable(i.remove(ctx))
	}
	objects, err := m.render()
	if err != nil {
		return err
	}
	return unreachable(i.install(ctx, objects))
}

// installation is the exporter in one namespace of a cluster.
type installation struct {
	dynamic  dynamic.Interface
	metadata metadata.Interface
	client   kubernetes.Interface
	streams  genericiooptions.IOStreams
	progress *progress
	printer  *objectPrinter

	namespace string
	dryRun    string // none, client or server
	force     bool
	timeout   time.Duration
	patience  time.Duration // with a trouble of the rollout that may heal
	monitored bool          // a PodMonitor was applied
}

// connect makes the clients; an installation that is only printed needs none.
func (i *installation) connect(f *factory) error {
	config, err := f.flags.ToRESTConfig()
	if err != nil {
		return err
	}
	if i.client, err = kubernetes.NewForConfig(tuned(config, f.build)); err != nil {
		return fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	if i.dynamic, err = dynamic.NewForConfig(tuned(config, f.build)); err != nil {
		return fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	if i.metadata, err = metadata.NewForConfig(tuned(config, f.build)); err != nil {
		return fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return nil
}

// at is where an object is in the API.
func (i *installation) at(object *unstructured.Unstructured) dynamic.ResourceInterface {
	return i.in(resourceOf(object), object.GetNamespace())
}

func (i *installation) in(resource schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return i.dynamic.Resource(resource)
	}
	return i.dynamic.Resource(resource).Namespace(namespace)
}
