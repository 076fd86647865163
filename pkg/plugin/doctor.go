package plugin

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes"
)

// doctor is the verb's flags as they were given: those of the run that is asked about.
type doctor struct {
	collection *Collection
	selects    selectFlags
	output     outputFlags
}

func newDoctor(f *factory) *cobra.Command {
	d := &doctor{collection: newCollection(f)}
	cmd := &cobra.Command{
		Use:        "doctor [POD...]",
		SuggestFor: []string{"check", "preflight", "verify", "diagnose", "can-i"},
		Short:      "Say whether a run would work here, and what is in its way",
		Long: `Say whether a run with the same flags would work, before there is one: rights,
the namespace of the collector pods, a pod of the very kind that a run makes
(only tried out by the API server), the image, the nodes, the exporter, the
policy, and what earlier runs left. It changes nothing in the cluster. STATUS is
ok, warn, fail or unknown; what helps stands below the table. Exit code 0: a run
would work; 1: it would fail; 4: some of it shows only in a run. More flags of a
run, such as --profile and --collector-namespace: kubectl cosanet options doctor`,
		Example: `  kubectl cosanet doctor
  kubectl cosanet doctor -n shop --profile restricted
  kubectl cosanet doctor --node node-1 -o yaml`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, err := f.namespace()
			if err != nil {
				return err
			}
			sel, printer, err := d.parse(namespace, args)
			if err != nil {
				return misuse(cmd, err)
			}
			return d.run(cmd.Context(), f, sel, printer)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	d.selects.addFlags(fs)
	d.output.addFlags(fs)
	d.collection.AddFlags(fs)
	showFlags(cmd, "all-namespaces", "node", "source", "image", "output")
	return cmd
}

func (d *doctor) parse(namespace string, args []string) (sel Selection, printer printers.ResourcePrinter, err error) {
	if sel, err = d.selects.selection(namespace, args); err != nil {
		return sel, nil, err
	}
	if err = d.collection.Validate(); err != nil {
		return sel, nil, err
	}
	printer, err = d.output.printer()
	return sel, printer, err
}

func (d *doctor) run(ctx context.Context, f *factory, sel Selection, printer printers.ResourcePrinter) error {
	client, err := f.clientFor(d.collection.Concurrency)
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, d.collection.Timeout)
	defer cancel()
	x := &examination{Collection: d.collection, client: client, sel: sel}
	checks, err := x.run(timed)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unreachable(err)
	}
	diagnosis := diagnose(checks)
	if err := diagnosis.print(f.streams.Out, &d.output, printer); err != nil {
		return err
	}
	if err := diagnosis.err(); err != nil {
		return err
	}
	fmt.Fprintln(f.streams.ErrOut, "A run would work.")
	return nil
}

// examination is what doctor finds out. It asks as a run would ask, and for a pod with dryRun alone.
type examination struct {
	*Collection
	client kubernetes.Interface
	sel    Selection

	user      string // whose rights count; empty where the API server does not tell
	home      string // namespace of the collector pods
	nodes     *ward
	exporters *exporters
	answers   bool // the exporter that was asked has answered
}

// run makes all checks. Its error is for an API server that does not answer at all.
func (x *examination) run(ctx context.Context) ([]Check, error) {
	server, err := x.server(ctx)
	if err != nil {
		return nil, err
	}
	if x.home, err = x.Collection.home(ctx, x.client); err != nil {
		return nil, err
	}
	if x.Carrier == ExporterCarrier {
		x.home = installedIn(x.Namespace)
	}
	x.user = whoAmI(ctx, x.client)

	var leftovers, policy, namespace Check
	var access []access
	var all sync.WaitGroup
	all.Go(func() { access = x.access(ctx) })
	all.Go(func() { x.nodes = x.visitWard(ctx) })
	all.Go(func() { x.exporters = findExporters(ctx, x.client, installedIn(x.Namespace)) })
	all.Go(func() { leftovers = x.leftovers(ctx) })
	all.Go(func() { policy = x.policy(ctx) })
	all.Go(func() { namespace = x.namespace(ctx) })
	all.Wait()
	exporter := x.exporter(ctx) // of whom it depends whether a run makes pods

	checks := []Check{server}
	checks = append(checks, x.rights(access)...)
	checks = append(checks, x.nodes.check())
	if x.Carrier != ExporterCarrier {
		checks = append(checks, x.forPods(namespace), x.forPods(x.tryPod(ctx)), x.forPods(x.image()))
	}
	checks = append(checks, exporter, policy, leftovers)
	if ctx.Err() != nil {
		return nil, advise(fmt.Errorf("the API server did not answer within %s", x.Timeout), "kubectl cluster-info, or give it longer with --timeout")
	}
	return checks, nil
}

// makesPods tells whether a run would make a collector pod: on every node that no exporter answers for.
func (x *examination) makesPods() bool { return len(x.podNodes()) > 0 || len(x.nodes.able) == 0 }

// podNodes are the nodes that a run would ask by a pod.
func (x *examination) podNodes() []*corev1.Node {
	var nodes []*corev1.Node
	for _, node := range x.nodes.able {
		if x.Carrier == PodCarrier || x.Carrier == AnyCarrier && (!x.answers || x.exporters.ready[node.Name] == nil) {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// forPods is a check that counts only where a run makes pods.
func (x *examination) forPods(c Check) Check {
	if x.makesPods() {
		return c
	}
	if c.Status != StatusOK {
		c.Detail = "not needed while the exporter answers: " + c.Detail
	}
	return c.besides()
}
