package plugin

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// completeFlags says for every flag of a command and of those below it how its value is completed: what names no file
// offers none.
func completeFlags(f *factory, cmd *cobra.Command) {
	values := flagValues(f, cmd)
	for _, flags := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.PersistentFlags()} {
		flags.VisitAll(func(flag *pflag.Flag) {
			if _, ok := cmd.GetFlagCompletionFunc(flag.Name); ok || namesFile(cmd, flag) {
				return
			}
			complete, ok := values[flag.Name]
			if !ok {
				complete = cobra.NoFileCompletions
			}
			if err := cmd.RegisterFlagCompletionFunc(flag.Name, complete); err != nil {
				panic(err) // registered twice: a mistake in this file
			}
		})
	}
	for _, sub := range cmd.Commands() {
		completeFlags(f, sub)
	}
}

// namesFile tells whether the value of a flag is a file or a directory of the workstation.
func namesFile(cmd *cobra.Command, flag *pflag.Flag) bool {
	files := []string{"from", "output-file", "kubeconfig", "certificate-authority", "client-certificate", "client-key", "cache-dir"}
	return slices.Contains(files, flag.Name) || flag.Name == "output" && cmd.Name() == "snapshot" || flag.Name == "dir"
}

// flagValues are the ways to complete the flags of a command, by name.
func flagValues(f *factory, cmd *cobra.Command) map[string]cobra.CompletionFunc {
	const noFile, noSpace = cobra.ShellCompDirectiveNoFileComp, cobra.ShellCompDirectiveNoSpace
	fixed := func(values ...string) cobra.CompletionFunc { return cobra.FixedCompletions(values, noFile) }
	open := func(values ...string) cobra.CompletionFunc { return cobra.FixedCompletions(values, noFile|noSpace) } // what is to be typed on

	values := map[string]cobra.CompletionFunc{
		"columns":             completeColumns,
		"sort-by":             completeSortBy,
		"metrics":             fixed("default\twhat the columns of top need", "errors\tevery error, drop and saturation", "all\teverything the kernel counts"),
		"source":              fixed(string(AnyCarrier), string(PodCarrier), string(ExporterCarrier)),
		"profile":             fixed(string(Privileged), string(NetAdmin), string(Restricted)),
		"output":              fixed("json", "yaml", "jsonpath=", "go-template="),
		"field-selector":      open("metadata.name=", "metadata.namespace=", "spec.nodeName=", "status.phase=", "status.podIP="),
		"image-pull-policy":   fixed(string(corev1.PullAlways), string(corev1.PullIfNotPresent), string(corev1.PullNever)),
		"load":                fixed(loaderKinds()...),
		"node":                f.complete(nodeNames, 0, noFile),
		"namespace":           f.complete(namespaceNames, 0, noFile),
		"collector-namespace": f.complete(namespaceNames, 0, noFile),
		"context":             f.completeConfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.Contexts)) }),
		"cluster":             f.completeConfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.Clusters)) }),
		"user":                f.completeConfig(func(c *api.Config) []string { return slices.Sorted(maps.Keys(c.AuthInfos)) }),
	}
	switch cmd.Name() {
	case "top":
		values["group-by"] = fixed(groupings()...)
		values["output"] = fixed("wide", "json", "yaml", "name", "custom-columns=", "jsonpath=", "go-template=")
	case "diff":
		values["output"] = fixed("wide", "json", "yaml", "jsonpath=", "go-template=")
	case "report":
		values["output"] = fixed(htmlFormat+"\ta page for a browser", markdownFormat+"\tfor a ticket")
	case "serve":
		known, _ := components() // an embedded file system cannot fail to be read
		values["component"] = fixed(known...)
		values["profile"] = fixed(string(Privileged), string(Restricted))
		values["dry-run"] = fixed("none", "client", "server")
		values["output"] = fixed("yaml", "json", "name", "jsonpath=", "go-template=")
	}
	return values
}

// completeConfig completes from the kubeconfig, whichever --kubeconfig names.
func (f *factory) completeConfig(names func(*api.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		config, err := f.flags.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		begin := slices.DeleteFunc(names(&config), func(name string) bool { return !strings.HasPrefix(name, prefix) })
		return begin, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeColumns completes the last element of a list of columns.
func completeColumns(_ *cobra.Command, _ []string, list string) ([]cobra.Completion, cobra.ShellCompDirective) {
	last := list
	for _, element := range splitOutside(list) {
		last = element
	}
	if strings.HasSuffix(list, ",") && strings.Count(list, "{") == strings.Count(list, "}") {
		last = ""
	}
	before := strings.TrimSuffix(list, last)
	var completions []cobra.Completion
	for _, c := range columnsLike(last) {
		if name, _, _ := strings.Cut(c, "\t"); !slices.Contains(splitOutside(before), name) {
			completions = append(completions, before+c)
		}
	}
	return completions, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeSortBy completes one column.
func completeSortBy(_ *cobra.Command, _ []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := columnsLike(prefix)
	for _, word := range []string{"POD", "NAMESPACE"} {
		if name, ok := inCaseOf(prefix, word); ok {
			words = append(words, name)
		}
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// columnsLike are the columns, and once something is written the metrics, that begin with prefix, each with its meaning.
func columnsLike(prefix string) []cobra.Completion {
	var like []cobra.Completion
	for _, c := range builtin() {
		if name, ok := inCaseOf(prefix, c.name); ok {
			like = append(like, cobra.CompletionWithDesc(name, c.meaning))
		}
	}
	if prefix == "" {
		return like
	}
	for _, m := range metrics.Catalog() {
		if own(m) {
			continue
		}
		for _, name := range []string{m.Short(), m.Name} {
			if strings.HasPrefix(name, prefix) {
				like = append(like, cobra.CompletionWithDesc(name, m.Help))
				break
			}
		}
	}
	return like
}

// inCaseOf is a name that begins with prefix, in the case in which that is written: columns are found in any, and a shell
// only offers what begins like what is there.
func inCaseOf(prefix, name string) (string, bool) {
	if prefix != "" && prefix == strings.ToLower(prefix) {
		name = strings.ToLower(name)
	}
	return name, strings.HasPrefix(name, prefix)
}
