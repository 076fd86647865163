package plugin

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// FindingList is what explain shows.
type FindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []Finding `json:"items"`
	Checked         Checked   `json:"checked"`
}

// Finding is something that is wrong with a pod or, with Object.Kind Node, with a node.
type Finding struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        Metadata `json:"metadata"` // of the pod or node
	Object          string   `json:"object"`   // Pod or Node
	Node            string   `json:"node,omitempty"`
	ID              string   `json:"id"`
	Severity        string   `json:"severity"` // info, warning or critical
	Title           string   `json:"title"`
	Value           float64  `json:"value"` // in Unit; a percentage as 0 to 100
	Unit            string   `json:"unit"`
	Threshold       string   `json:"threshold"`
	Evidence        []string `json:"evidence,omitempty"`
	Means           string   `json:"means"`
	Look            string   `json:"look"`
	Next            []string `json:"next"` // commands
	Link            string   `json:"link"`
}

// Checked says what findings would have been found in, and what could not be looked at.
type Checked struct {
	Rules []string `json:"rules"` // by their id
	Pods  int      `json:"pods"`
	Nodes int      `json:"nodes"`

	// Lacking are rules that could not be checked anywhere: this kernel, file or exporter has not what they measure.
	Lacking []string `json:"lacking,omitempty"`

	// Unread are rules by their id that could not be checked on that many pods and nodes, since a source could not be read.
	Unread map[string]int `json:"unread,omitempty"`
	// Restarted are pods whose counters began again between the samples, so that they have no rates.
	Restarted []string `json:"restarted,omitempty"`
}

// object builds the list that the formats of kubectl show.
func (j *judgement) object() *FindingList {
	list := &FindingList{
		TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: "FindingList"}, Items: []Finding{},
		Checked: Checked{Rules: j.checked, Lacking: j.lacking, Pods: j.pods(), Nodes: j.nodes(), Unread: map[string]int{}},
	}
	for i := range j.findings {
		list.Items = append(list.Items, j.findings[i].object())
	}
	for id, rows := range j.unread {
		list.Checked.Unread[id] = len(rows)
	}
	for _, r := range j.restarts {
		list.Checked.Restarted = append(list.Checked.Restarted, r.title())
	}
	slices.Sort(list.Checked.Restarted)
	return list
}

func (f *finding) object() Finding {
	value, _ := finite(f.value)
	o := Finding{
		TypeMeta: metav1.TypeMeta{APIVersion: APIVersion, Kind: "Finding"},
		Metadata: Metadata{Name: f.row.Name, Namespace: f.row.Namespace, UID: types.UID(f.row.UID)},
		Object:   "Pod", Node: f.row.Node,
		ID: f.rule.id, Severity: f.severity.String(), Title: f.rule.title,
		Value: value, Unit: f.rule.unit, Threshold: f.rule.levelText(),
		Evidence: f.evidence, Means: f.rule.means, Look: unquoted(f.rule.look), Next: f.next(), Link: f.rule.link(),
	}
	if f.row.host() {
		o.Object, o.Metadata.Name, o.Metadata.Namespace = "Node", f.row.Node, ""
	}
	return o
}

// next are the rule's commands, for this row.
func (f *finding) next() []string {
	var commands []string
	for _, command := range f.rule.next {
		if !f.row.host() || !strings.HasPrefix(command, "kubectl get pod") {
			commands = append(commands, f.row.command(command))
		}
	}
	return commands
}
