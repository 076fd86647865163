package plugin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// row is one pod or node of a view: who it is, and what was counted for it in the first and the last snapshot.
type row struct {
	Node, Namespace, Name string // Name of a node's own row is node/NAME, its Namespace metrics.HostNamespace
	UID, IP               string
	ControllerKind        string
	ControllerName        string
	Created               time.Time // zero when read from a file

	word string // shown in place of numbers, such as host or pending; empty where there are numbers
	why  string // what the word means for this row; empty where the word says it all

	first, last *metrics.Record
	at          time.Time     // of the last snapshot
	window      time.Duration // between first and last; 0 for totals since the namespace was made
	reborn      bool          // first and last are different namespaces under one name
	earlier     map[string]float64
	packed      []byte // the row as an object, see items; nil: made of first and last

	group    *group   // what it stands for, where it is not one pod or node
	siblings int      // other pods of its workload among the rows, see compareSiblings
	odd      []oddity // what sets it apart from them
}

func (r *row) host() bool { return r.Namespace == metrics.HostNamespace }

// title names the row in a message: shop/web-1, node/node-1.
func (r *row) title() string {
	if r.host() || r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}

// controller is the owner as kubectl writes it: deployment/web.
func (r *row) controller() string {
	if r.ControllerKind == "" {
		return ""
	}
	return strings.ToLower(r.ControllerKind) + "/" + r.ControllerName
}

// rowsOf joins what the nodes counted with the pods that were asked for: live by the API server's list, which knows pods
// that no node has counted, from a file by the records themselves. Sorted by namespace and name.
func rowsOf(fleet *Fleet, sel *Selection, rates bool) []*row {
	var rows []*row
	placed := placedOn(fleet.Pods)
	for i := range fleet.Observations {
		o := &fleet.Observations[i]
		if o.rows != nil {
			rows = append(rows, o.rows...)
			continue
		}
		w, ok := windowOf(o, rates)
		if !ok {
			continue
		}
		if fleet.Pods == nil {
			rows = append(rows, w.recorded(sel)...)
		} else {
			rows = append(rows, w.listed(placed[o.Node])...)
		}
		if sel.admitsHost(o.Node) {
			rows = append(rows, w.hosts()...)
		}
	}
	rows = append(rows, unplaced(fleet.Pods)...)
	slices.SortStableFunc(rows, func(a, b *row) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name), strings.Compare(a.Node, b.Node))
	})
	return rows
}

// window is what one node counted between two moments.
type window struct {
	node        string
	first, last *metrics.Snapshot
	length      time.Duration
}

// windowOf takes an observation's last snapshot, and for rates the first one as the beginning.
func windowOf(o *Observation, rates bool) (w window, ok bool) {
	if len(o.Snapshots) == 0 {
		return w, false
	}
	w = window{node: o.Node, last: o.Snapshots[len(o.Snapshots)-1]}
	if rates {
		w.first = o.Snapshots[0]
		w.length = w.last.Time.Sub(w.first.Time)
	}
	return w, !rates || w.length > 0
}

// hosts makes the row of the node itself.
func (w *window) hosts() []*row {
	var rows []*row
	for i := range w.last.Records {
		if r := &w.last.Records[i]; r.Sandbox.Host() {
			rows = append(rows, w.row(r))
		}
	}
	return rows
}

// recorded makes a row of every pod's record that the selection lets through.
func (w *window) recorded(sel *Selection) []*row {
	var rows []*row
	for i := range w.last.Records {
		box := &w.last.Records[i].Sandbox
		if !box.Self() && !box.Host() && sel.admits(box) {
			rows = append(rows, w.row(&w.last.Records[i]))
		}
	}
	return rows
}

// placedOn are the listed pods by their node.
func placedOn(pods []livePod) map[string][]*livePod {
	on := map[string][]*livePod{}
	for i := range pods {
		on[pods[i].node] = append(on[pods[i].node], &pods[i])
	}
	return on
}

// listed makes a row of every listed pod that lives on this node.
func (w *window) listed(pods []*livePod) []*row {
	records := index(w.last)
	var rows []*row
	for _, pod := range pods {
		if pod.ended() {
			continue // kubectl top leaves out what has ended, too
		}
		var r *row
		if last := records.of(pod); last != nil {
			r = w.row(last)
		} else {
			r = &row{Node: sanitize(w.node), at: w.last.Time, window: w.length}
			r.word, r.why = whyNone(pod, "the node has no network namespace of it")
		}
		r.describe(pod)
		rows = append(rows, r)
	}
	return rows
}

// unplaced makes a row of every listed pod that is on no node yet.
func unplaced(pods []livePod) []*row {
	var rows []*row
	for i := range pods {
		if pods[i].node == "" && !pods[i].ended() {
			r := &row{}
			r.word, r.why = whyNone(&pods[i], "it is on no node")
			r.describe(&pods[i])
			rows = append(rows, r)
		}
	}
	return rows
}

// whyNone words why a listed pod has no numbers.
func whyNone(pod *livePod, otherwise string) (word, why string) {
	switch {
	case pod.phase == corev1.PodPending:
		return "pending", ""
	case pod.hostNetwork:
		return "host", ""
	}
	return "gone", otherwise
}

// row makes the row of a record of the last snapshot and finds the record's beginning in the first one.
func (w *window) row(last *metrics.Record) *row {
	box := &last.Sandbox
	r := &row{
		Node: box.Node, Namespace: box.Namespace, Name: box.Pod, UID: box.UID,
		ControllerKind: box.ControllerKind, ControllerName: box.ControllerName,
		last: last, at: w.last.Time, window: w.length,
	}
	switch {
	case box.Host():
		r.Name = "node/" + box.Node
	case box.HostNetwork:
		r.word = "host"
	case box.SharedWith != "":
		r.word, r.why = "shared", "its network namespace is that of "+box.SharedWith
	case box.Unsupported:
		r.word = cmp.Or(box.Handler, "unsupported")
		r.why = "it runs in a kernel of its own, whose counters the node cannot see"
	}
	if r.Name == "" { // without a container runtime only the UID is known
		r.Name = cmp.Or(box.UID, box.NetNS)
	}
	if w.first != nil {
		r.first, r.reborn = beginning(w.first, box)
	}
	return r
}

// beginning finds the record of the same namespace in an earlier snapshot. A pod that has another namespace under its
// name by now, such as that of a StatefulSet which was made anew, is reborn: its counters began again.
func beginning(s *metrics.Snapshot, box *metrics.Sandbox) (r *metrics.Record, reborn bool) {
	for i := range s.Records {
		b := &s.Records[i].Sandbox
		if b.Node != box.Node || b.Namespace != box.Namespace || b.Pod != box.Pod {
			continue
		}
		if b.NetNS == box.NetNS && b.UID == box.UID {
			return &s.Records[i], false
		}
		if box.Pod != "" {
			r = &s.Records[i]
		}
	}
	return r, r != nil
}

// describe adds what the API server knows of the pod.
func (r *row) describe(pod *livePod) {
	r.Namespace, r.Name, r.UID = sanitize(pod.namespace), sanitize(pod.name), sanitize(pod.uid)
	r.IP, r.Created = sanitize(pod.ip), pod.created
	if r.ControllerKind == "" {
		r.ControllerKind, r.ControllerName = sanitize(pod.controllerKind), sanitize(pod.controllerName)
	}
}

// notes words the rows' reasons for having no numbers, one line a reason.
func notes(rows []*row) []string {
	type reason struct{ word, why string }
	var reasons []reason
	titles := map[reason][]string{}
	for _, r := range rows {
		if r.why == "" {
			continue
		}
		key := reason{r.word, r.why}
		if titles[key] == nil {
			reasons = append(reasons, key)
		}
		titles[key] = append(titles[key], r.title())
	}
	var lines []string
	for _, r := range reasons {
		lines = append(lines, r.word+": "+enumerate(titles[r])+": "+r.why)
	}
	return lines
}
