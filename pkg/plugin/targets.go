package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"
)

// targets are what a Selection means on the cluster of the moment.
type targets struct {
	pods  []corev1.Pod // by namespace and name
	nodes []string     // to ask, sorted, each once
}

// resolve asks the API server for the selected pods and their nodes. Nodes that were asked for by name are always among
// the nodes: with named pods they add to the pods' own, otherwise they narrow the listing.
func (s *Selection) resolve(ctx context.Context, client kubernetes.Interface) (*targets, error) {
	var t targets
	var err error
	switch {
	case s.HostsOnly:
	case len(s.Pods) > 0:
		t.pods, err = s.named(ctx, client)
	default:
		t.pods, err = s.listed(ctx, client)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(t.pods, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	t.nodes = slices.Clone(s.Nodes)
	switch {
	case s.AllNodes:
		if t.nodes, err = everyNode(ctx, client); err != nil {
			return nil, err
		}
	case len(s.Nodes) == 0 || len(s.Pods) > 0:
		t.nodes = append(t.nodes, nodesOf(t.pods)...)
	}
	slices.Sort(t.nodes)
	t.nodes = slices.Compact(t.nodes)
	return &t, nil
}

// nodesOf are the nodes that hold a network namespace of one of the pods.
func nodesOf(pods []corev1.Pod) []string {
	var nodes []string
	for i := range pods {
		if pod := &pods[i]; pod.Spec.NodeName != "" && !ended(pod) {
			nodes = append(nodes, pod.Spec.NodeName)
		}
	}
	return nodes
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// listed are the pods that the selectors let through.
func (s *Selection) listed(ctx context.Context, client kubernetes.Interface) ([]corev1.Pod, error) {
	opts := metav1.ListOptions{LabelSelector: s.Labels.String(), FieldSelector: s.Fields.String()}
	if len(s.Nodes) == 1 { // the API server has an index for this one
		node := fields.OneTermEqualSelector("spec.nodeName", s.Nodes[0]).String()
		opts.FieldSelector = strings.TrimPrefix(opts.FieldSelector+","+node, ",")
	}
	var pods []corev1.Pod
	list := func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Pods(s.Namespace).List(ctx, opts)
	}
	err := everyItem(ctx, list, opts, func(object runtime.Object) {
		pod := object.(*corev1.Pod)
		if len(s.Nodes) == 0 || slices.Contains(s.Nodes, pod.Spec.NodeName) {
			pods = append(pods, *pod)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", explainForbidden(err))
	}
	return pods, nil
}

func everyNode(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	var nodes []string
	list := func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Nodes().List(ctx, opts)
	}
	err := everyItem(ctx, list, metav1.ListOptions{}, func(object runtime.Object) {
		nodes = append(nodes, object.(*corev1.Node).Name)
	})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", explainForbidden(err))
	}
	return nodes, nil
}

// everyItem hands each item of a listing to do, page by page so that no answer of a large cluster is too large.
func everyItem(ctx context.Context, list pager.ListPageFunc, opts metav1.ListOptions, do func(runtime.Object)) error {
	all, _, err := pager.New(list).List(ctx, opts)
	if err != nil {
		return err
	}
	return meta.EachListItem(all, func(object runtime.Object) error {
		do(object)
		return nil
	})
}

// named gets the pods one by one, and says everything that is wrong with any of them at once.
func (s *Selection) named(ctx context.Context, client kubernetes.Interface) ([]corev1.Pod, error) {
	refs := make([]PodRef, 0, len(s.Pods))
	for _, ref := range s.Pods {
		ref.Namespace = cmp.Or(ref.Namespace, s.Namespace, metav1.NamespaceDefault)
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	pods, problems := make([]corev1.Pod, len(refs)), make([]error, len(refs))
	var gets errgroup.Group
	gets.SetLimit(16)
	for i, ref := range refs {
		gets.Go(func() error {
			pod, err := client.CoreV1().Pods(ref.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
			if err == nil {
				pods[i], problems[i] = *pod, countable(pod)
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
	case ended(pod):
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
