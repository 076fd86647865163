package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// selectFlags are the flags by which a view is told its pods and nodes; --namespace is kubectl's own.
type selectFlags struct {
	allNamespaces bool
	labels        string
	fields        string
	nodes         []string
	allNodes      bool
	nodeLabels    string
	sample        string
	seed          uint64
}

func (s *selectFlags) addFlags(fs *pflag.FlagSet) {
	fs.BoolVarP(&s.allNamespaces, "all-namespaces", "A", false, "pods of all namespaces, and the nodes they run on")
	fs.StringVarP(&s.labels, "selector", "l", "", "only pods with these `LABELS`: app=web,tier!=cache")
	fs.StringVar(&s.fields, "field-selector", "", "only pods with these `FIELDS`: status.podIP=10.0.0.7")
	fs.StringSliceVar(&s.nodes, "node", nil, "only pods on this `NODE`, and the node itself. May be repeated")
	fs.BoolVar(&s.allNodes, "all-nodes", false, "every node, also one without any of the pods")
	fs.StringVar(&s.nodeLabels, "node-selector", "", "only pods on nodes with these `LABELS`, and the nodes themselves: pool=web,!gpu")
	fs.StringVar(&s.sample, "sample", "", "only pods on this `SHARE` of the nodes, such as 5%. Which nodes is said, and the same in each run")
	fs.Uint64Var(&s.seed, "sample-seed", 1, "another `NUMBER` takes other nodes into the sample")
}

// selection parses the flags and the pods named as arguments. A namespace is that of --namespace or of the context.
func (s *selectFlags) selection(namespace string, args []string) (Selection, error) {
	sel := Selection{Namespace: namespace, Nodes: s.nodes, AllNodes: s.allNodes}
	if s.allNamespaces {
		sel.Namespace = ""
	}
	var err error
	if sel.Labels, err = labels.Parse(s.labels); err != nil {
		return sel, fmt.Errorf("--selector: %w", err)
	}
	if sel.Fields, err = fields.ParseSelector(s.fields); err != nil {
		return sel, fmt.Errorf("--field-selector: %w", err)
	}
	if s.nodeLabels != "" {
		if sel.NodeLabel, err = labels.Parse(s.nodeLabels); err != nil {
			return sel, fmt.Errorf("--node-selector: %w", err)
		}
	}
	if s.sample != "" {
		if sel.Sample, err = parseSample(s.sample, s.seed); err != nil {
			return sel, err
		}
	}
	for _, arg := range args {
		ref, err := parsePod(arg, namespace)
		if err != nil {
			return sel, err
		}
		if !slices.Contains(sel.Pods, ref) {
			sel.Pods = append(sel.Pods, ref)
		}
	}
	return sel, s.validate(&sel)
}

func (s *selectFlags) validate(sel *Selection) error {
	switch {
	case len(sel.Pods) > 0 && (s.labels != "" || s.fields != ""):
		return errors.New("pods can be chosen by name or by a selector, not by both")
	case len(sel.Pods) > 0 && s.allNamespaces:
		return errors.New("a pod cannot be named across all namespaces: write NAMESPACE/POD in place of --all-namespaces")
	case slices.Contains(s.nodes, ""):
		return errors.New("--node: the name of a node is missing")
	case s.allNodes && len(s.nodes) > 0:
		return errors.New("--all-nodes and --node exclude each other")
	case s.nodeLabels != "" && len(s.nodes) > 0:
		return errors.New("--node-selector and --node exclude each other")
	case s.sample != "" && len(s.nodes) > 0:
		return errors.New("--sample and --node exclude each other")
	case len(sel.Pods) > 0 && (s.nodeLabels != "" || s.sample != ""):
		return errors.New("pods that are named are on the nodes they are on: leave out --node-selector and --sample")
	}
	return nil
}

// parsePod reads POD, NAMESPACE/POD, or pod/POD as kubectl prints it with -o name.
func parsePod(arg, namespace string) (PodRef, error) {
	ns, name, ok := strings.Cut(arg, "/")
	if !ok {
		ns, name = namespace, arg
	} else if ns == "pod" {
		ns = namespace
	}
	if name == "" || ok && ns == "" && namespace != "" || strings.Contains(name, "/") {
		return PodRef{}, fmt.Errorf("%q names no pod: write POD or NAMESPACE/POD", arg)
	}
	return PodRef{ns, name}, nil
}

// admitsHost tells whether the row of a node itself is wanted: when nodes were asked for, or all pods.
func (sel *Selection) admitsHost(node string) bool {
	if len(sel.Nodes) > 0 {
		return slices.Contains(sel.Nodes, node)
	}
	return sel.Hosts || sel.AllNodes || sel.NodeLabel != nil || len(sel.Pods) == 0 && sel.Labels.Empty() && sel.Fields.Empty() && sel.Namespace == ""
}

// offline checks that a selection can be made on a saved file, which has neither the labels nor most fields of a pod.
func (sel *Selection) offline() error {
	if !sel.Labels.Empty() {
		return errors.New("--selector needs the cluster: a saved file has no labels of pods")
	}
	if sel.NodeLabel != nil || !sel.Sample.all() {
		return errors.New("--node-selector and --sample need the cluster: of a saved file, name the nodes with --node")
	}
	for _, r := range sel.Fields.Requirements() {
		if !slices.Contains([]string{"metadata.name", "metadata.namespace", "spec.nodeName"}, r.Field) {
			return fmt.Errorf("--field-selector %s needs the cluster: a saved file has only metadata.name, metadata.namespace and spec.nodeName", r.Field)
		}
	}
	return nil
}

// admits tells whether a pod of a saved file is selected. A named pod without a namespace is met in any.
func (sel *Selection) admits(box *metrics.Sandbox) bool {
	if len(sel.Pods) > 0 {
		return slices.ContainsFunc(sel.Pods, func(p PodRef) bool {
			return p.Name == box.Pod && (p.Namespace == "" || p.Namespace == box.Namespace)
		})
	}
	return (len(sel.Nodes) == 0 || slices.Contains(sel.Nodes, box.Node)) &&
		(sel.Namespace == "" || sel.Namespace == box.Namespace) &&
		sel.Fields.Matches(fields.Set{"metadata.name": box.Pod, "metadata.namespace": box.Namespace, "spec.nodeName": box.Node})
}
