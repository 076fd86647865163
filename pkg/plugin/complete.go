package plugin

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// completionPatience is how long a press of the tab key may wait for the API server, and most what it then gets.
const (
	completionPatience = 2 * time.Second
	completionMost     = 500
)

// completer lists what the API server knows by the names that begin like prefix.
type completer func(ctx context.Context, client kubernetes.Interface, namespace, prefix string) []string

// complete makes a completer one of cobra's. Whatever goes wrong completes to nothing: a tab key has no error to show.
func (f *factory) complete(of completer, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		client, err := f.client()
		if err != nil {
			return nil, directive
		}
		namespace, err := f.namespace()
		if err != nil {
			return nil, directive
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		var names []string
		for _, name := range of(ctx, client, namespace, prefix) {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
		return names, directive
	}
}

// podNames completes POD, and NAMESPACE/POD once a namespace is written.
func podNames(ctx context.Context, client kubernetes.Interface, namespace, prefix string) []string {
	ns, _, ok := strings.Cut(prefix, "/")
	if !ok {
		ns = namespace
	}
	pods, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{Limit: completionMost})
	if err != nil {
		return nil
	}
	var names []string
	for i := range pods.Items {
		name := pods.Items[i].Name
		if ok {
			name = ns + "/" + name
		}
		names = append(names, name)
	}
	return names
}

func nodeNames(ctx context.Context, client kubernetes.Interface, _, _ string) []string {
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: completionMost})
	if err != nil {
		return nil
	}
	var names []string
	for i := range nodes.Items {
		names = append(names, nodes.Items[i].Name)
	}
	return names
}

// sideNames completes what diff compares.
func sideNames(ctx context.Context, client kubernetes.Interface, namespace, prefix string) []string {
	if !strings.HasPrefix(prefix, "node/") {
		return podNames(ctx, client, namespace, prefix)
	}
	names := nodeNames(ctx, client, namespace, prefix)
	for i := range names {
		names[i] = "node/" + names[i]
	}
	return names
}

// completeFlags completes the flags of a command that have a list of values.
func completeFlags(f *factory, cmd *cobra.Command) {
	register := func(name string, complete cobra.CompletionFunc) {
		if cmd.Flags().Lookup(name) == nil {
			return
		}
		if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
			panic(err) // registered twice: a mistake in this file
		}
	}
	fixed := map[string][]string{
		"metrics": {"default", "errors", "all"},
		"source":  {string(AnyCarrier), string(PodCarrier), string(ExporterCarrier)},
		"sort-by": append([]string{"POD", "NAMESPACE"}, columnNames()...),
		"columns": columnNames(),
		"load":    loaderKinds(),
		"output":  {"wide", "json", "yaml", "name", "custom-columns=", "jsonpath=", "go-template="},
	}
	if cmd.Name() == "serve" {
		known, _ := components()
		fixed["component"], fixed["profile"] = known, []string{string(Privileged), string(Restricted)}
		fixed["dry-run"] = []string{"none", "client", "server"}
		fixed["output"] = []string{"yaml", "json", "name", "jsonpath=", "go-template="}
	} else if cmd.Flags().Lookup("sort-by") == nil {
		delete(fixed, "output") // of snapshot it is a file, and the others have fewer formats
	}
	for name, values := range fixed {
		register(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	register("node", f.complete(nodeNames, cobra.ShellCompDirectiveNoFileComp))
}
