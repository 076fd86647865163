package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ward is the nodes that a run would ask.
type ward struct {
	able    []*corev1.Node // can run a collector, sorted by name
	refused []Observation  // of each that cannot, why
	chosen  bool           // somebody named them: each of them counts
	listed  bool           // the run itself lists nodes
	unseen  int            // of those that are able, which nobody here may look at
	err     error          // why it is not known which they are
}

// visitWard finds the nodes as a run would. Where the flags choose neither nodes nor pods it is all of them; who may not list
// nodes gets those of the namespace's pods, which is what a run without flags asks.
func (x *examination) visitWard(ctx context.Context) *ward {
	sel := x.sel
	w := &ward{
		chosen: len(sel.Nodes) > 0 || sel.NodeLabel != nil || len(sel.Pods) > 0,
		listed: sel.AllNodes || sel.NodeLabel != nil || !sel.Sample.all(),
	}
	whole := !w.chosen && !w.listed && sel.Labels.Empty() && sel.Fields.Empty()
	if whole {
		sel.AllNodes, sel.HostsOnly = true, true
	}
	t, err := sel.resolve(ctx, x.client)
	if whole && apierrors.IsForbidden(err) {
		sel.AllNodes, sel.HostsOnly = false, false
		t, err = sel.resolve(ctx, x.client)
	}
	if err != nil {
		w.err = err
		return w
	}
	w.err = w.look(ctx, x, t)
	return w
}

// look sorts the nodes into those that can run a collector and those that cannot.
func (w *ward) look(ctx context.Context, x *examination, t *targets) error {
	names := t.nodes
	nodes, errs := make([]*corev1.Node, len(names)), make([]error, len(names))
	var gets errgroup.Group
	gets.SetLimit(16)
	for i, name := range names {
		if t.refusals == nil {
			gets.Go(func() error {
				node, err := x.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
				if errs[i] = err; err == nil {
					nodes[i] = seen(node)
				}
				return nil
			})
		}
	}
	gets.Wait()
	if unasked := t.refusals != nil; unasked || slices.ContainsFunc(errs, apierrors.IsForbidden) { // who may not get may list
		err := eachNode(ctx, x.client, x.sel.NodeLabel, func(node *corev1.Node) {
			if i, ok := slices.BinarySearch(names, node.Name); ok {
				nodes[i], errs[i] = seen(node), nil
			}
		})
		if err != nil && unasked {
			return err
		}
	}
	w.sort(t.nodes, nodes, errs)
	return nil
}

// sort takes what was seen of nodes, nil and the reason where it could not be.
func (w *ward) sort(names []string, nodes []*corev1.Node, errs []error) {
	for i, name := range names {
		switch err := errs[i]; {
		case apierrors.IsForbidden(err): // as a run does without: preflight
			w.unseen++
			w.able = append(w.able, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}})
			continue
		case nodes[i] == nil:
			w.refused = append(w.refused, Observation{Node: name, Err: notThere(name, err)})
			continue
		}
		if err := refusal(nodes[i]); err != nil {
			w.refused = append(w.refused, Observation{Node: name, Err: err})
			continue
		}
		w.able = append(w.able, nodes[i])
	}
}

// seen is what doctor reads of a node: the whole of ten thousand of them would be much.
func seen(node *corev1.Node) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: node.Name, Labels: node.Labels},
		Status:     corev1.NodeStatus{NodeInfo: node.Status.NodeInfo, Conditions: node.Status.Conditions, Images: node.Status.Images},
	}
}

// check is the line of the nodes.
func (w *ward) check() Check {
	const name = "nodes"
	fleet := Fleet{Observations: w.refused}
	total := len(w.able) + len(w.refused)
	c := Check{Check: name, Status: StatusOK, Detail: fmt.Sprintf("%d of %s can run a collector", len(w.able), plural(total, "node"))}
	switch {
	case w.err != nil:
		return checkOf(name, StatusFail, w.err)
	case total == 0:
		c.Status, c.Detail = StatusWarn, "no pod is selected that is on a node: there is nothing to ask"
	case len(w.able) == 0 || w.chosen && len(w.refused) > 0:
		c.Status = StatusFail
	case len(w.refused) > 0:
		c.Status = StatusWarn
		c.Detail += ", and a run that asks the others fails for them"
	}
	if w.unseen > 0 {
		c.doubt()
		c.Detail += fmt.Sprintf("; %s may not be looked at, and shows in a run", plural(w.unseen, "node"))
	}
	for _, t := range fleet.troubles() {
		c.Fix = append(c.Fix, strings.Split(t.String(), "\n")...)
	}
	return c
}

// namedImages is how many images a kubelet names at most, unless it is configured otherwise (nodeStatusMaxImages).
const namedImages = 50

// image is the line of the collector's image: what nodes tell of it. Whether one can pull it, and whether an image of another
// tag is a collector of this version, shows only in a run.
func (x *examination) image() Check {
	r, err := x.Pull.reference()
	if err != nil {
		return checkOf("image", StatusFail, err)
	}
	nodes := x.podNodes()
	switch {
	case len(x.nodes.able) == 0:
		return Check{Check: "image", Status: StatusUnknown, Detail: r.String() + ": not looked for, there is no node to run it", aside: true}
	case len(nodes) == 0:
		return Check{Check: "image", Status: StatusOK, Detail: r.String() + ": no node needs it", aside: true}
	}
	var without []string
	for _, node := range nodes {
		if !has(node, r) {
			without = append(without, node.Name)
		}
	}
	c := Check{Check: "image", Status: StatusOK, Detail: fmt.Sprintf("%s is on %d of %s", r, len(nodes)-len(without), plural(len(nodes), "node"))}
	untold := func(fix, format string, args ...any) {
		c.Status, c.Detail = StatusUnknown, c.Detail+"; "+fmt.Sprintf(format, args...)
		c.Fix = append(c.Fix, fix)
	}
	const load = "kubectl cosanet image says how to load it onto a node"
	switch policy := corev1.PullPolicy(x.Pull.Policy); {
	case policy == corev1.PullAlways:
		untold("--image-pull-policy IfNotPresent runs what is there", "each node pulls it anew, and whether it can shows only when it does")
	case len(without) > 0 && policy == corev1.PullNever:
		untold(load, "%s may not pull it and does not name it among its images, of which a node names %d at most", enumerate(without), namedImages)
	case len(without) > 0:
		untold(load, "whether %s can pull it shows only when it does", enumerate(without))
	}
	if r.tag != x.version {
		untold("kubectl cosanet version names the image that belongs to the plugin", "whether it is a collector of the plugin's version, %s, shows only in a run", x.version)
	}
	return c
}

// has tells whether a node says that it has an image, under the name by which a pod would ask for it.
func has(node *corev1.Node, r reference) bool {
	asked := r.repository + ":" + r.tag
	if r.digest != "" {
		asked = r.repository + "@" + r.digest
	}
	return slices.ContainsFunc(node.Status.Images, func(image corev1.ContainerImage) bool {
		return slices.ContainsFunc(image.Names, func(name string) bool {
			return name == asked || strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/") == asked
		})
	})
}
