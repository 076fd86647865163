package plugin

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// completionPatience is how long a press of the tab key may wait for the API server, and most what it then gets.
const (
	completionPatience = 2 * time.Second
	completionMost     = 500
)

// inventory is what a completion chooses from: what the API server knows, or what a saved file has. What cannot be had is
// not there: a tab key has no error to show.
type inventory struct {
	namespace  string // of pods without their own; empty: of any
	pods       func(namespace string) []string
	nodes      func() []string
	namespaces func() []string
}

// completer lists the names of an inventory that a word which begins like prefix may be.
type completer func(have *inventory, prefix string) []string

// complete makes a completer one of cobra's, for at most so many arguments (0: any number). It leaves out arguments that
// are there already.
func (f *factory) complete(of completer, most int, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		have := f.inventory(ctx, cmd)
		if have == nil {
			return nil, directive
		}
		names := slices.DeleteFunc(of(have, prefix), func(name string) bool {
			return !strings.HasPrefix(name, prefix) || slices.Contains(args, name)
		})
		return names, directive
	}
}

// inventory is that of the file that --from names, else of the cluster; nil when there is neither.
func (f *factory) inventory(ctx context.Context, cmd *cobra.Command) *inventory {
	if from := cmd.Flag("from"); from != nil && from.Changed && from.Value.String() != "-" {
		fleet, err := readFleet(ctx, from.Value.String(), nil, moment{})
		if err != nil {
			return nil
		}
		have := fleet.inventory()
		have.namespace = *f.flags.Namespace
		return have
	}
	client, err := f.client()
	if err != nil {
		return nil
	}
	namespace, err := f.namespace()
	if err != nil {
		return nil
	}
	have := clusterInventory(ctx, client)
	have.namespace = namespace
	return have
}

func clusterInventory(ctx context.Context, client kubernetes.Interface) *inventory {
	most := metav1.ListOptions{Limit: completionMost}
	return &inventory{
		pods: func(namespace string) []string {
			pods, err := client.CoreV1().Pods(namespace).List(ctx, most)
			if err != nil {
				return nil
			}
			return namesOf(pods.Items, func(pod *corev1.Pod) string { return pod.Name })
		},
		nodes: func() []string {
			nodes, err := client.CoreV1().Nodes().List(ctx, most)
			if err != nil {
				return nil
			}
			return namesOf(nodes.Items, func(node *corev1.Node) string { return node.Name })
		},
		namespaces: func() []string {
			namespaces, err := client.CoreV1().Namespaces().List(ctx, most)
			if err != nil {
				return nil
			}
			return namesOf(namespaces.Items, func(namespace *corev1.Namespace) string { return namespace.Name })
		},
	}
}

// inventory is what a saved file has.
func (f *Fleet) inventory() *inventory {
	var boxes []metrics.Sandbox
	for _, o := range f.Observations {
		for _, s := range o.Snapshots {
			for i := range s.Records {
				boxes = append(boxes, s.Records[i].Sandbox)
			}
		}
	}
	return &inventory{
		pods: func(namespace string) []string {
			in := slices.DeleteFunc(slices.Clone(boxes), func(box metrics.Sandbox) bool { return namespace != "" && box.Namespace != namespace })
			return namesOf(in, func(box *metrics.Sandbox) string { return box.Pod })
		},
		nodes: func() []string { return namesOf(boxes, func(box *metrics.Sandbox) string { return box.Node }) },
		namespaces: func() []string {
			pods := slices.DeleteFunc(slices.Clone(boxes), func(box metrics.Sandbox) bool { return box.Pod == "" })
			return namesOf(pods, func(box *metrics.Sandbox) string { return box.Namespace })
		},
	}
}

// namesOf are the names of some objects, sorted, each once.
func namesOf[T any](objects []T, name func(*T) string) []string {
	var names []string
	for i := range objects {
		if n := name(&objects[i]); n != "" && typeable(n) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// podNames completes POD, and NAMESPACE/POD once a namespace is written.
func podNames(have *inventory, prefix string) []string {
	namespace, _, ok := strings.Cut(prefix, "/")
	if !ok {
		return have.pods(have.namespace)
	}
	return prefixed(namespace+"/", have.pods(namespace))
}

// sideNames completes what diff compares.
func sideNames(have *inventory, prefix string) []string {
	if strings.HasPrefix(prefix, "node/") {
		return prefixed("node/", have.nodes())
	}
	return podNames(have, prefix)
}

func nodeNames(have *inventory, _ string) []string { return have.nodes() }

func namespaceNames(have *inventory, _ string) []string { return have.namespaces() }

func prefixed(prefix string, names []string) []string {
	for i := range names {
		names[i] = prefix + names[i]
	}
	return names
}
