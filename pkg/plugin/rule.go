package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// severity is how bad a finding is.
type severity uint8

const (
	Info     severity = iota // worth knowing
	Warning                  // somebody may feel it
	Critical                 // somebody feels it
)

func (s severity) String() string { return [...]string{"info", "warning", "critical"}[s] }

// Set and Type make a flag of it.
func (s *severity) Set(text string) error {
	for _, known := range []severity{Info, Warning, Critical} {
		if text == known.String() {
			*s = known
			return nil
		}
	}
	return errors.New("use info, warning or critical")
}

// Type is the word for the value in usage texts.
func (s *severity) Type() string { return "severity" }

// level is the value above which a finding has a severity.
type level struct {
	severity severity
	above    float64
}

// rule is something that can be wrong with a network namespace: how it shows, from where on it counts, and what to do. The
// rules are the single home of findings: explain judges by them, docs/findings.md is made of them, and the alerts in
// deploy/ link there.
type rule struct {
	id      string                // as people type it: listen-overflows
	node    bool                  // of the node's own row alone: the kernel has one of it
	title   string                // what is wrong, in words that follow a name
	measure formula               // the value that is judged: of counters a rate in units a second
	worst   func(r *row) []string // in place of measure: what is wrong now, a line each; the number of lines is judged
	unit    string                // of the value: "connections a second are thrown away"
	levels  []level               // ascending
	source  string                // of the levels, and how the alert of that name differs
	means   string                // what it is a sign of
	look    string                // what else to look at
	next    []string              // commands, with $NAMESPACE, $POD and $NODE
	shows   func(r *row) []string // what makes the finding more exact, such as the port
	grows   growth                // the level whose change is told with it
	unless  string                // the id of a rule before this one: where that finds something, this would say it again
	beside  []string              // families that shows or worst reads
	needs   func(r *row) bool     // whether a row can be judged at all; nil: each can
	served  string                // how an exporter is told to count what the alert asks for; empty: it does so by itself
	silent  string                // why deploy/ has no alert of it; empty: there is one
}

// alert is the name that the rule has in deploy/, and the heading of its section in docs/findings.md.
func (r *rule) alert() string {
	var b strings.Builder
	b.WriteString("Cosanet")
	for word := range strings.SplitSeq(r.id, "-") {
		switch word {
		case "tcp", "udp", "mtu":
			b.WriteString(strings.ToUpper(word))
		default:
			b.WriteString(capitalized(word))
		}
	}
	return b.String()
}

// link is where the rule is explained at length.
func (r *rule) link() string {
	return findingsPage + "#" + strings.ToLower(r.alert())
}

// families are the metrics that the rule needs.
func (r *rule) families() []string {
	families := slices.Concat(r.measure.families(), r.beside)
	if of := r.grows.family; of != "" && !slices.Contains(families, of) {
		families = append(families, of)
	}
	return families
}

// levelText words the levels: "warning above 1, critical above 5".
func (r *rule) levelText() string {
	var parts []string
	for _, l := range r.levels {
		above := "above " + r.format(l.above)
		if l.above == 0 {
			above = "for any"
		}
		parts = append(parts, fmt.Sprintf("%s %s", l.severity, above))
	}
	return strings.Join(parts, ", ")
}

func (r *rule) format(v float64) string {
	if r.measure.share() {
		return percent(v)
	}
	return number(v)
}

// command fills a command's variables in for the row that a finding is of. For a node, what would name a pod names the node.
func (r *row) command(text string) string {
	if r.host() {
		text = strings.NewReplacer("debug -n $NAMESPACE $POD -it", "debug node/$NODE -it --profile=sysadmin", "-n $NAMESPACE $POD", "--node $NODE").Replace(text)
	}
	return strings.NewReplacer("$NAMESPACE", quoted(r.Namespace), "$POD", quoted(r.Name), "$NODE", quoted(r.Node)).Replace(text)
}

// quoted makes a name one word for a shell. A node names its pods in a saved file, and may lie.
func quoted(name string) string {
	harmless := func(c rune) bool {
		return c == '-' || c == '.' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	if name != "" && !strings.HasPrefix(name, "-") && !strings.ContainsFunc(name, func(c rune) bool { return !harmless(c) }) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
