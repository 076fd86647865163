package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// source is where a view gets its fleet from: a saved file, or the cluster.
type source struct {
	from       string // a file, "-" for standard input, empty for the cluster
	moments    *momentFlags
	collection *Collection
}

func newSource(f *factory) source {
	return source{moments: new(momentFlags), collection: newCollection(f)}
}

func (s *source) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&s.from, "from", "", "show a `FILE` of snapshot, not the cluster. It may be - for standard input")
	s.moments.addFlags(fs)
	s.collection.AddFlags(fs)
}

// namespace is the one that pods without their own are in: of a saved file that --namespace names, else any.
func (s *source) namespace(f *factory) (string, error) {
	if s.from != "" {
		return *f.flags.Namespace, nil
	}
	return f.namespace()
}

// validate checks the flags of the collection, and for a file that the selection can be made on it.
func (s *source) validate(sel *Selection) error {
	if err := s.moments.parse(s.from != ""); err != nil {
		return err
	}
	if s.from != "" {
		return sel.offline()
	}
	return s.collection.Validate()
}

// observe gets the fleet. What a file holds beyond the metrics that were asked for is left out.
func (s *source) observe(ctx context.Context, f *factory, sel Selection, ask Ask) (*Fleet, error) {
	fleet, err := s.fleet(ctx, f, sel, ask)
	if err != nil {
		return nil, err
	}
	for _, line := range append(fleet.remarks, fleet.undiscovered()...) {
		fmt.Fprintln(f.streams.ErrOut, line)
	}
	return fleet, nil
}

func (s *source) fleet(ctx context.Context, f *factory, sel Selection, ask Ask) (*Fleet, error) {
	if s.from != "" {
		fleet, err := readFleet(ctx, s.from, f.streams.In, s.moments.moment)
		if err != nil {
			return nil, err
		}
		fleet.hasNodes(&sel)
		fleet.keepSet(ask)
		return fleet, fleet.hasPods(&sel, s.from)
	}
	client, err := f.clientFor(s.collection.Concurrency)
	if err != nil {
		return nil, err
	}
	fleet, err := s.collection.Observe(ctx, client, sel, ask)
	if err != nil {
		return nil, unreachable(err)
	}
	if len(fleet.Observations) >= manyNodes {
		spareMemory(len(fleet.Pods)) // for the view as well: the process ends with it
	}
	if fleet.Pods == nil {
		fleet.Pods = []livePod{} // none is not the same as not known
	}
	fleet.name()
	return fleet, nil
}

// hasNodes says which of the nodes that were asked for a saved file does not have.
func (f *Fleet) hasNodes(sel *Selection) {
	for _, node := range sel.Nodes {
		if !slices.ContainsFunc(f.Observations, func(o Observation) bool { return o.Node == node }) {
			f.Observations = append(f.Observations, Observation{Node: node, Err: errors.New("the file has nothing of it")})
		}
	}
}

// keepSet leaves out the metrics of a saved file that were not asked for.
func (f *Fleet) keepSet(ask Ask) {
	for _, o := range f.Observations {
		for _, s := range o.Snapshots {
			keepSet(s, ask)
		}
	}
}

func keepSet(s *metrics.Snapshot, ask Ask) {
	for i := range s.Records {
		r := &s.Records[i]
		r.Samples = slices.DeleteFunc(r.Samples, func(s metrics.Sample) bool { return !ask.has(s.Metric) })
	}
}

// hasPods says which of the named pods a saved file does not have.
func (f *Fleet) hasPods(sel *Selection, path string) error {
	var missing []error
	for _, ref := range sel.Pods {
		only := Selection{Pods: []PodRef{ref}}
		has := func(r metrics.Record) bool { return only.admits(&r.Sandbox) }
		if !slices.ContainsFunc(f.Observations, func(o Observation) bool {
			return len(o.Snapshots) > 0 && slices.ContainsFunc(o.Snapshots[len(o.Snapshots)-1].Records, has)
		}) {
			missing = append(missing, fmt.Errorf("pods %q not found in %s", strings.TrimPrefix(ref.String(), "/"), path))
		}
	}
	return errors.Join(missing...)
}

// askFlags say what the collectors are to count.
type askFlags struct {
	metrics  string
	sockets  bool
	tcp      bool
	owners   bool
	interval time.Duration
	given    func() bool // whether somebody chose the interval
}

func (a *askFlags) addSetFlag(fs *pflag.FlagSet, set metrics.Set) {
	fs.StringVar(&a.metrics, "metrics", set.String(), "which `SET` to read: default, errors or all")
	fs.BoolVar(&a.sockets, "sockets", false, "count sockets by state as well")
	fs.BoolVar(&a.tcp, "tcp", false, "show round trip times, retransmits and local ports of connections as well")
	a.addOwnersFlag(fs)
}

func (a *askFlags) addOwnersFlag(fs *pflag.FlagSet) {
	fs.BoolVar(&a.owners, "conntrack-owners", false, "count whose the entries of the node's conntrack table are. The whole table is read for it, which takes a second for a million entries")
}

func (a *askFlags) addIntervalFlag(fs *pflag.FlagSet) {
	fs.DurationVar(&a.interval, "interval", time.Second, "`TIME` between the two samples, 0 for totals. Rates are made of two samples, totals since each pod's start of one; of exporters the time is 500ms unless given")
	a.given = func() bool { return fs.Changed("interval") }
}

// ask parses the flags. Two samples make rates, one makes totals.
func (a *askFlags) ask() (Ask, error) {
	set, err := metrics.ParseSet(a.metrics)
	if err != nil {
		return Ask{}, fmt.Errorf("--metrics: %w", err)
	}
	const least = 100 * time.Millisecond // below it, a walk is not over when the next begins
	if a.interval < 0 || a.interval > 0 && a.interval < least {
		return Ask{}, fmt.Errorf("--interval %s: use 0 for totals, or %s and more for rates", a.interval, least)
	}
	ask := Ask{Metrics: set, Sockets: a.sockets, Sources: a.sources(set), Samples: 1}
	if a.interval > 0 {
		ask.Samples, ask.Interval, ask.Implied = 2, a.interval, !a.given()
	}
	return ask, nil
}

// rates decides whether a fleet is shown by rates, and marks the nodes that cannot have any. A file of single samples
// has none at all: it is shown by totals, and said to be.
func (f *Fleet) rates(wanted bool) (rates bool) {
	for _, o := range f.Observations {
		rates = rates || wanted && len(o.Snapshots) > 1
	}
	if !rates {
		return false
	}
	for i := range f.Observations {
		o := &f.Observations[i]
		switch {
		case o.Err != nil:
		case len(o.Snapshots) == 1:
			o.Err = errors.New("one sample, and a rate needs two: use --interval 0")
		case len(o.Snapshots) > 1 && !o.Snapshots[len(o.Snapshots)-1].Time.After(o.Snapshots[0].Time):
			o.Err = errors.New("its clock did not move on between the samples: use --interval 0")
		}
	}
	return true
}
