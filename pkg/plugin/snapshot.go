package plugin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// savedRun is the run id of frames in a file, where no other run's could be mistaken for it.
const savedRun = "snapshot"

// snapshot is the verb's flags as they were given.
type snapshot struct {
	source   source
	selects  selectFlags
	ask      askFlags
	file     string
	duration time.Duration // of a recording; 0: two samples
}

func newSnapshot(f *factory) *cobra.Command {
	s := &snapshot{source: newSource(f)}
	cmd := &cobra.Command{
		Use:        "snapshot -o FILE [POD...]",
		SuggestFor: []string{"save", "record", "export"},
		Short:      "Save the counters to a file that every view reads with --from",
		Long: `Save what was counted for pods and for the nodes they run on, in two samples so
that rates can be made of it later, or with --duration in as many as that takes:
Ctrl-C ends it and keeps what is there. The file is text in the Prometheus
format with a check sum a sample, compressed if its name ends in .gz. It has the
names of pods, namespaces and nodes in it, and no addresses.`,
		Example: `  kubectl cosanet snapshot -o before.prom -n shop
  kubectl cosanet diff 'before.prom#shop/web-0' web-0 -n shop
  kubectl cosanet snapshot -A --duration 30s -o slow.prom.gz
  kubectl cosanet top -A --from slow.prom.gz --at +10s`,
		ValidArgsFunction: f.complete(podNames, 0, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			namespace, err := s.source.namespace(f)
			if err != nil {
				return err
			}
			selection, ask, err := s.parse(namespace, args)
			if err != nil {
				return misuse(cmd, err)
			}
			return s.run(cmd.Context(), f, selection, ask)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVarP(&s.file, "output", "o", "", "the `FILE` to write, - for standard output (required)")
	s.selects.addFlags(fs)
	fs.DurationVar(&s.duration, "duration", 0, "record for this `TIME`, with a sample each --interval. That is 5s unless given")
	s.ask.addIntervalFlag(fs)
	s.ask.addSetFlag(fs, metrics.All)
	s.source.addFlags(fs)
	showFlags(cmd, "output", "all-namespaces", "selector", "node", "duration", "interval", "metrics", "from")
	return cmd
}

func (s *snapshot) parse(namespace string, args []string) (selection Selection, ask Ask, err error) {
	if s.file == "" {
		return selection, ask, errors.New("the file is missing: -o FILE")
	}
	if selection, err = s.selects.selection(namespace, args); err != nil {
		return selection, ask, err
	}
	if err = s.source.validate(&selection); err != nil {
		return selection, ask, err
	}
	if ask, err = s.ask.ask(); err != nil || s.duration == 0 {
		return selection, ask, err
	}
	if ask.Implied {
		ask.Interval, ask.Implied = recordInterval, false
	}
	switch {
	case s.duration < 0:
		err = fmt.Errorf("--duration must be more than 0, not %s", s.duration)
	case s.source.from != "":
		err = errors.New("--duration records the cluster: of a file, --between chooses")
	case ask.Interval == 0:
		err = errors.New("--duration needs an --interval of more than 0")
	case s.duration < ask.Interval:
		err = fmt.Errorf("--duration %s: it takes at least the interval, %s", s.duration, ask.Interval)
	}
	return selection, ask, err
}

func (s *snapshot) run(ctx context.Context, f *factory, selection Selection, ask Ask) error {
	switch {
	case s.duration > 0:
		return s.record(ctx, f, selection, ask)
	case s.source.from != "" && s.source.moments.at == "":
		return s.recut(ctx, f, selection, ask)
	}
	fleet, err := s.source.observe(ctx, f, selection, ask)
	if err != nil {
		return err
	}
	// The nodes' own rows are always saved: what is wrong with a pod is often wrong with its node.
	text, pods, err := encodeFleet(fleet.chosen(&selection, func(string) bool { return true }))
	if err != nil {
		return err
	}
	failure := fleet.failure()
	if len(text) == 0 {
		if failure == nil {
			nothing(f.streams.ErrOut, &selection)
		}
		return failure // and no file: an empty one could not be read back
	}
	if s.file == "-" {
		if _, err := f.streams.Out.Write(text); err != nil {
			return err
		}
		return failure
	}
	if err := save(s.file, text); err != nil {
		return err
	}
	fmt.Fprintf(f.streams.ErrOut, "Saved %s of %s to %s.\n", plural(pods, "pod"), plural(len(fleet.Observations), "node"), s.file)
	return failure
}

// encodeFleet writes the frames of all nodes, one node after the other, and counts the pods.
func encodeFleet(observations []Observation) (text []byte, pods int, err error) {
	frame, frames := 0, 0
	for _, o := range observations {
		frames += len(o.Snapshots)
	}
	var out bytes.Buffer
	for _, o := range observations {
		for i, s := range o.Snapshots {
			frame++
			f := metrics.NewFrame(savedRun, s)
			f.Trailer.Number, f.Trailer.Of = frame, frames
			if err := f.Write(&out, metrics.Text); err != nil {
				return nil, 0, err
			}
			for j := range s.Records {
				if box := &s.Records[j].Sandbox; i == 0 && !box.Self() && !box.Host() {
					pods++
				}
			}
		}
	}
	return out.Bytes(), pods, nil
}

// save writes the file, compressed if its name says so. What could not be written whole is removed.
func save(path string, text []byte) error {
	if compressed(path) {
		var err error
		if text, err = zipped(text); err != nil {
			return err
		}
	}
	err := os.WriteFile(path, text, 0o644)
	if info, statErr := os.Stat(path); err != nil && statErr == nil && info.Mode().IsRegular() {
		return errors.Join(err, os.Remove(path))
	}
	return err
}

// compressed tells whether a file of this name is.
func compressed(path string) bool { return strings.HasSuffix(path, ".gz") }

// zipped makes a member of a gzip file of a text: such members may follow one another.
func zipped(text []byte) ([]byte, error) {
	var z bytes.Buffer
	zw := gzip.NewWriter(&z)
	if _, err := zw.Write(text); err != nil {
		return nil, err
	}
	err := zw.Close()
	return z.Bytes(), err
}

func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
