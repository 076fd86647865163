package plugin

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Bounds of an exporter's answer, as those of a frame: a node of 250 pods makes 9 MB.
const (
	maxAnswer     = 64 << 20
	maxAnswerLine = 64 << 10
)

const (
	ownFamilies = "cosanet_exporter_" // what the exporter says of itself
	answerEnd   = "# EOF"
)

// reply is what an exporter answered to one request.
type reply struct {
	snapshot *metrics.Snapshot
	version  string    // of the exporter
	came     time.Time // when it began to come, by the clock of this machine

	// What it counts, from cosanet_exporter_info.
	known   bool
	metrics string // default, errors, all or custom
	sockets string // protocols whose sockets it counts by state: "tcp,udp"
	filter  string // --collector.pod-filter: it leaves out all other pods
	sources string // of those that no set or only the set of all brings: "listen,tcp,ports"
}

// readReply reads an exporter's text, as far as it was asked for: what runtime and process say of themselves is nobody's
// counter. Errors: a text that does not end with "# EOF", which was cut; one that is too large; what Parse says.
func readReply(r io.Reader, ask Ask) (*reply, error) {
	text, err := ask.filter(r)
	if err != nil {
		return nil, err
	}
	snapshot, err := metrics.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	a := &reply{snapshot: snapshot}
	for i := range snapshot.Records {
		r := &snapshot.Records[i]
		sanitizeRecord(r)
		a.note(r)
		r.Samples = slices.DeleteFunc(r.Samples, func(s metrics.Sample) bool { return strings.HasPrefix(s.Metric.Name, ownFamilies) })
	}
	snapshot.Records = slices.DeleteFunc(snapshot.Records, func(r metrics.Record) bool { return r.Sandbox.Node == "" || len(r.Samples) == 0 })
	return a, nil
}

// note takes what the exporter says of itself.
func (a *reply) note(r *metrics.Record) {
	if !r.Sandbox.Self() {
		return // a pod's counters are no place to say it
	}
	for i := range r.Samples {
		s := &r.Samples[i]
		switch s.Metric.Name {
		case "cosanet_build_info":
			a.version = cmp.Or(a.version, label(s, "version"))
		case ownFamilies + "info":
			a.known = true
			a.metrics, a.sockets, a.filter, a.sources = label(s, "metrics"), label(s, "sockets"), label(s, "pod_filter"), label(s, "sources")
		}
	}
}

// lacks says what of an Ask the exporter does not count, nil when it counts all of it.
func (a *reply) lacks(ask Ask) error {
	all := a.metrics == metrics.All.String()
	switch {
	case !a.known:
		return advise(errors.New("its exporter does not say what it counts"), "kubectl cosanet serve installs that of this version")
	case a.filter != "":
		return fmt.Errorf("its exporter leaves out pods (--collector.pod-filter %s)", a.filter)
	case a.metrics == "custom":
		return errors.New("its exporter counts a choice of its own (--collector.*), of which it is not known what is missing")
	case !all && a.metrics != ask.Metrics.String():
		return advise(fmt.Errorf("its exporter counts the metrics of --metrics %s, not %s", a.metrics, ask.Metrics), "kubectl cosanet serve --metrics all")
	case ask.Sockets && !a.counts("tcp", "udp"):
		return advise(errors.New("its exporter does not count sockets"), "kubectl cosanet serve --sockets")
	}
	for _, source := range ask.Sources {
		if !slices.Contains(strings.Split(a.sources, ","), source) {
			return fmt.Errorf("its exporter does not read %s (--collector.%s.enabled)", source, strings.ReplaceAll(source, "_", "-"))
		}
	}
	return nil
}

func (a *reply) counts(protocols ...string) bool {
	counted := strings.Split(a.sockets, ",")
	return !slices.ContainsFunc(protocols, func(p string) bool { return !slices.Contains(counted, p) })
}

// filter copies the families that were asked for, and checks that the text is whole. Leaving out what is not needed as text
// costs a tenth of parsing it.
func (ask Ask) filter(r io.Reader) ([]byte, error) {
	lines := bufio.NewReaderSize(io.LimitReader(r, maxAnswer+1), maxAnswerLine)
	var kept []byte
	var family string
	size, wanted, whole := 0, false, false
	for {
		line, err := lines.ReadSlice('\n')
		if size += len(line); size > maxAnswer {
			return nil, fmt.Errorf("it is of more than %d MiB", maxAnswer>>20)
		}
		if !continues(line, family) {
			if name := familyOf(line); name != nil {
				family = string(name)
				wanted = ask.wants(family)
			}
		}
		switch {
		case err == io.EOF && whole && len(line) == 0:
			return kept, nil
		case err == io.EOF:
			return nil, fmt.Errorf("%w: it does not end with %q", metrics.ErrTruncated, answerEnd)
		case err == bufio.ErrBufferFull:
			return nil, fmt.Errorf("it has a line of more than %d KiB", maxAnswerLine>>10)
		case err != nil:
			return nil, fmt.Errorf("%w: %w", metrics.ErrTruncated, err)
		}
		if whole = string(line) == answerEnd+"\n"; !whole && wanted {
			kept = append(kept, line...)
		}
	}
}

// continues tells whether a line is one more series of a family: most are, and asking that is cheap.
func continues(line []byte, family string) bool {
	n := len(family)
	return n > 0 && len(line) > n && line[n] == '{' && string(line[:n]) == family
}

// familyOf is the name of the family that a line is of, nil where it has none.
func familyOf(line []byte) []byte {
	for _, mark := range []string{"# HELP ", "# TYPE "} {
		if rest, ok := bytes.CutPrefix(line, []byte(mark)); ok {
			line = rest
		}
	}
	if end := bytes.IndexAny(line, "{ \n"); end > 0 && line[0] != '#' {
		return line[:end]
	}
	return nil
}

// wants tells whether a family of an exporter is of use: in the set, or what the exporter says of itself.
func (ask Ask) wants(family string) bool {
	if strings.HasPrefix(family, ownFamilies) {
		return family == ownFamilies+"info"
	}
	if m, ok := metrics.Lookup(family); ok {
		return ask.has(m) && ask.reads(family)
	}
	return ask.wholly() && ask.Metrics == metrics.All && strings.HasPrefix(family, "cosanet_proc_net_") // of a newer kernel
}

// has tells whether a metric was asked for.
func (ask Ask) has(m *metrics.Metric) bool {
	return m.In(ask.Metrics) || ask.Sockets && isOf(m.Name, "sockets") ||
		slices.ContainsFunc(ask.Sources, func(source string) bool { return isOf(m.Name, source) })
}
