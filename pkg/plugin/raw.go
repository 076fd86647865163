package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// raw is the verb's flags as they were given.
type raw struct {
	source  source
	selects selectFlags
	ask     askFlags
}

func newRaw(f *factory) *cobra.Command {
	r := &raw{source: newSource(f)}
	cmd := &cobra.Command{
		Use:        "raw [POD...]",
		SuggestFor: []string{"metrics", "dump", "text"},
		Short:      "Print the counters in the Prometheus text format",
		Long: `Print the counters of pods in the Prometheus text exposition format, as the
exporter serves them. Where nodes or all pods are asked for, the nodes' own
counters are there too, and what the collector says of its walk.`,
		Example: `  kubectl cosanet raw -n shop
  kubectl cosanet raw --node node-1 --metrics errors > node-1.prom
  kubectl cosanet raw web-0 | grep -E '(Drops|Overflows)'`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, err := r.source.namespace(f)
			if err != nil {
				return err
			}
			selection, ask, err := r.parse(namespace, args)
			if err != nil {
				return misuse(cmd, err)
			}
			return r.run(cmd.Context(), f, selection, ask)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	r.selects.addFlags(fs)
	r.ask.addSetFlag(fs, metrics.All)
	r.source.addFlags(fs)
	showFlags(cmd, "all-namespaces", "selector", "node", "all-nodes", "metrics", "sockets", "from")
	return cmd
}

func (r *raw) parse(namespace string, args []string) (selection Selection, ask Ask, err error) {
	if selection, err = r.selects.selection(namespace, args); err != nil {
		return selection, ask, err
	}
	if err = r.source.validate(&selection); err != nil {
		return selection, ask, err
	}
	ask, err = r.ask.ask()
	return selection, ask, err
}

func (r *raw) run(ctx context.Context, f *factory, selection Selection, ask Ask) error {
	fleet, err := r.source.observe(ctx, f, selection, ask)
	if err != nil {
		return err
	}
	var last []*metrics.Snapshot
	records := 0
	for _, o := range fleet.chosen(&selection, selection.admitsHost) {
		if n := len(o.Snapshots); n > 0 {
			last = append(last, o.Snapshots[n-1])
			records += len(o.Snapshots[n-1].Records)
		}
	}
	failure := fleet.failure()
	if records == 0 && failure == nil {
		nothing(f.streams.ErrOut, &selection)
	}
	if err := metrics.Write(f.streams.Out, last...); err != nil {
		return err
	}
	return failure
}

// chosen returns the observations with the records of the selected pods only, and of the wanted nodes also those of the
// node itself and of its collector.
func (f *Fleet) chosen(sel *Selection, wanted func(node string) bool) []Observation {
	admits := sel.admission(f.Pods)
	chosen := make([]Observation, len(f.Observations))
	for i, o := range f.Observations {
		chosen[i] = Observation{Node: o.Node, Err: o.Err}
		for _, s := range o.Snapshots {
			chosen[i].Snapshots = append(chosen[i].Snapshots, only(s, wanted(o.Node), admits))
		}
	}
	return chosen
}

// admission tells of a sandbox whether it is that of a selected pod: by the API server's list, where there is one.
func (sel *Selection) admission(pods []livePod) func(*metrics.Sandbox) bool {
	if pods == nil {
		return sel.admits
	}
	listed := make(map[PodRef]bool, len(pods))
	for i := range pods {
		listed[PodRef{pods[i].namespace, pods[i].name}] = true
	}
	return func(box *metrics.Sandbox) bool { return listed[PodRef{box.Namespace, box.Pod}] }
}

// only is a snapshot with the records that are admitted, and where own says so those of the node itself and of its collector.
func only(s *metrics.Snapshot, own bool, admits func(*metrics.Sandbox) bool) *metrics.Snapshot {
	some := &metrics.Snapshot{Time: s.Time}
	for _, r := range s.Records {
		if itself := r.Sandbox.Self() || r.Sandbox.Host(); itself && own || !itself && admits(&r.Sandbox) {
			some.Records = append(some.Records, r)
		}
	}
	return some
}
