package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

// targets are what a Selection means on the cluster of the moment.
type targets struct {
	pods    []livePod // by namespace and name
	nodes   []string  // to ask, sorted, each once
	sampled string    // which nodes are the sample; empty where there is none

	refusals map[string]error // of the nodes that were listed, why they could not run a collector, nil where they can
}

// resolve asks the API server for the selected pods and their nodes. Nodes that were asked for by name or by label are
// always among the nodes: with named pods they add to the pods' own, otherwise they narrow the listing.
func (s *Selection) resolve(ctx context.Context, client kubernetes.Interface) (*targets, error) {
	var t targets
	nodes, within, err := s.within(ctx, client, &t)
	if err != nil {
		return nil, err
	}
	switch {
	case s.HostsOnly:
	case len(s.Pods) > 0:
		if t.pods, err = s.named(ctx, client); err == nil && s.Kin {
			err = t.join(ctx, client)
		}
	case !within:
		t.pods, err = s.listed(ctx, client, "")
	case len(nodes) <= fewNodes:
		t.pods, err = s.listedOn(ctx, client, nodes)
	default:
		t.pods, err = s.listed(ctx, client, "")
		t.pods = slices.DeleteFunc(t.pods, func(pod livePod) bool { return !contains(nodes, pod.node) })
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.pods, func(a, b livePod) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
	})
	t.nodes = nodes
	if asked := s.AllNodes || within && s.Sample.all() || s.NodeLabel != nil; !asked {
		t.nodes = nodesOf(t.pods)
	} else if len(s.Pods) > 0 {
		t.nodes = append(t.nodes, nodesOf(t.pods)...)
	}
	slices.Sort(t.nodes)
	t.nodes = slices.Compact(t.nodes)
	return &t, nil
}

// within are the nodes that are known before any pod is, sorted; narrow tells whether only their pods are meant.
func (s *Selection) within(ctx context.Context, client kubernetes.Interface, t *targets) (nodes []string, narrow bool, err error) {
	if !s.AllNodes && s.NodeLabel == nil && s.Sample.all() {
		nodes = slices.Compact(slices.Sorted(slices.Values(s.Nodes)))
		return nodes, len(nodes) > 0, nil
	}
	if t.refusals, err = everyNode(ctx, client, s.NodeLabel); err != nil {
		return nil, false, err
	}
	nodes = slices.Sorted(maps.Keys(t.refusals))
	if s.NodeLabel != nil && len(nodes) == 0 {
		return nil, false, advise(fmt.Errorf("no node has the labels %s", s.NodeLabel), "kubectl get nodes --show-labels")
	}
	if !s.Sample.all() {
		of := len(nodes)
		nodes = s.Sample.of(nodes)
		t.sampled = s.Sample.remark(nodes, of)
	}
	return nodes, s.NodeLabel != nil || !s.Sample.all(), nil
}

// contains looks a name up among sorted ones.
func contains(sorted []string, name string) bool {
	_, ok := slices.BinarySearch(sorted, name)
	return ok
}

// nodesOf are the nodes that hold a network namespace of one of the pods.
func nodesOf(pods []livePod) []string {
	var nodes []string
	for i := range pods {
		if pod := &pods[i]; pod.node != "" && !pod.ended() {
			nodes = append(nodes, pod.node)
		}
	}
	return nodes
}

// fewNodes are as many as are asked for their pods one by one: the API server has an index of pods by node, and need not
// send those of all others.
const fewNodes = 16

// listedOn are the pods of a few nodes that the selectors let through.
func (s *Selection) listedOn(ctx context.Context, client kubernetes.Interface, nodes []string) ([]livePod, error) {
	of := make([][]livePod, len(nodes))
	lists, ctx := errgroup.WithContext(ctx)
	for i, node := range nodes {
		lists.Go(func() (err error) {
			of[i], err = s.listed(ctx, client, node)
			return err
		})
	}
	err := lists.Wait()
	return slices.Concat(of...), err
}

// listed are the pods that the selectors let through, on one node or, where that is empty, on any.
func (s *Selection) listed(ctx context.Context, client kubernetes.Interface, node string) ([]livePod, error) {
	opts := metav1.ListOptions{LabelSelector: s.Labels.String(), FieldSelector: s.Fields.String()}
	if node != "" {
		on := fields.OneTermEqualSelector("spec.nodeName", node).String()
		opts.FieldSelector = strings.TrimPrefix(opts.FieldSelector+","+on, ",")
	}
	var pods []livePod
	list := func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Pods(s.Namespace).List(ctx, opts)
	}
	err := everyItem(ctx, list, opts, func(object runtime.Object) { pods = append(pods, newLivePod(object.(*corev1.Pod))) })
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", explainForbidden(err))
	}
	return pods, nil
}

// everyNode are the names of all nodes with some labels, of all where that is nil, each with its refusal.
func everyNode(ctx context.Context, client kubernetes.Interface, with labels.Selector) (map[string]error, error) {
	nodes := map[string]error{}
	err := eachNode(ctx, client, with, func(node *corev1.Node) { nodes[node.Name] = refusal(node) })
	return nodes, err
}

// eachNode hands every node with some labels to do, all where that is nil.
func eachNode(ctx context.Context, client kubernetes.Interface, with labels.Selector, do func(*corev1.Node)) error {
	list := func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Nodes().List(ctx, opts)
	}
	var opts metav1.ListOptions
	if with != nil {
		opts.LabelSelector = with.String()
	}
	if err := everyItem(ctx, list, opts, func(object runtime.Object) { do(object.(*corev1.Node)) }); err != nil {
		return fmt.Errorf("listing nodes: %w", explainForbidden(err))
	}
	return nil
}

// named gets the pods one by one, and says everything that is wrong with any of them at once.
func (s *Selection) named(ctx context.Context, client kubernetes.Interface) ([]livePod, error) {
	refs := make([]PodRef, 0, len(s.Pods))
	for _, ref := range s.Pods {
		ref.Namespace = cmp.Or(ref.Namespace, s.Namespace, metav1.NamespaceDefault)
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	pods, problems := make([]livePod, len(refs)), make([]error, len(refs))
	var gets errgroup.Group
	gets.SetLimit(16)
	for i, ref := range refs {
		gets.Go(func() error {
			pod, err := client.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err == nil {
				pods[i], problems[i] = newLivePod(pod), countable(pod)
			} else {
				problems[i] = notGot(ref, err)
			}
			return nil
		})
	}
	gets.Wait()
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return pods, nil
}

// join adds to a pod the others of its workload.
func (t *targets) join(ctx context.Context, client kubernetes.Interface) error {
	pod := t.pods[0]
	if pod.controllerKind == "" {
		return nil
	}
	all := anything()
	all.Namespace = pod.namespace
	others, err := all.listed(ctx, client, "")
	for _, other := range others {
		same := other.controllerKind == pod.controllerKind && other.controllerName == pod.controllerName
		if same && other.name != pod.name && !other.ended() {
			t.pods = append(t.pods, other)
		}
	}
	return err
}

func notGot(ref PodRef, err error) error {
	if apierrors.IsNotFound(err) {
		return advise(fmt.Errorf("pods %q not found in namespace %q", ref.Name, ref.Namespace),
			"kubectl get pods -A --field-selector metadata.name=%s", ref.Name)
	}
	return fmt.Errorf("getting pod %s: %w", ref, explainForbidden(err))
}

// countable says why a pod has no network namespace to count in, nil when it has one.
func countable(pod *corev1.Pod) error {
	ref := PodRef{pod.Namespace, pod.Name}
	switch {
	case ended(pod.Status.Phase):
		return advise(fmt.Errorf("pod %s has ended (%s): its network namespace and the counters in it are gone", ref, cmp.Or(pod.Status.Reason, string(pod.Status.Phase))),
			"kubectl get pods -n %s", ref.Namespace)
	case pod.Spec.NodeName == "":
		reason := "the scheduler has not looked at it yet"
		if c := condition(pod, corev1.PodScheduled); c != nil && c.Message != "" {
			reason = c.Message
		}
		return advise(fmt.Errorf("pod %s is on no node yet: %s", ref, reason),
			"kubectl describe pod -n %s %s", ref.Namespace, ref.Name)
	}
	return nil
}

func condition(pod *corev1.Pod, of corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == of {
			return c
		}
	}
	return nil
}
