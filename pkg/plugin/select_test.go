package plugin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

func TestSelection(t *testing.T) {
	tests := map[string]struct {
		flags     selectFlags
		namespace string
		args      []string
		want      Selection
		err       string
	}{
		"the namespace of the context": {namespace: "shop", want: Selection{Namespace: "shop"}},
		"all namespaces":               {flags: selectFlags{allNamespaces: true}, namespace: "shop", want: Selection{}},
		"pods":                         {namespace: "shop", args: []string{"web", "lab/udp", "pod/api", "web"}, want: Selection{Namespace: "shop", Pods: []PodRef{{"shop", "web"}, {"lab", "udp"}, {"shop", "api"}}}},
		"pods of a file":               {args: []string{"web", "lab/udp"}, want: Selection{Pods: []PodRef{{"", "web"}, {"lab", "udp"}}}},
		"nodes":                        {flags: selectFlags{nodes: []string{"a", "b"}}, namespace: "shop", want: Selection{Namespace: "shop", Nodes: []string{"a", "b"}}},
		"every node":                   {flags: selectFlags{allNodes: true}, namespace: "shop", want: Selection{Namespace: "shop", AllNodes: true}},
		"selectors":                    {flags: selectFlags{labels: "app=web", fields: "status.phase=Running"}, want: Selection{Labels: labels.SelectorFromSet(labels.Set{"app": "web"}), Fields: fields.OneTermEqualSelector("status.phase", "Running")}},
		"a bad label selector":         {flags: selectFlags{labels: "app in web"}, err: "--selector: "},
		"a bad field selector":         {flags: selectFlags{fields: "status.phase"}, err: "--field-selector: "},
		"name and selector":            {flags: selectFlags{labels: "app=web"}, namespace: "shop", args: []string{"web"}, err: "not by both"},
		"name in all namespaces":       {flags: selectFlags{allNamespaces: true}, namespace: "shop", args: []string{"web"}, err: "across all namespaces"},
		"an empty node":                {flags: selectFlags{nodes: []string{""}}, err: "--node"},
		"nodes twice":                  {flags: selectFlags{nodes: []string{"a"}, allNodes: true}, err: "exclude each other"},
		"nodes by label":               {flags: selectFlags{nodeLabels: "pool=web"}, want: Selection{NodeLabel: labels.SelectorFromSet(labels.Set{"pool": "web"})}},
		"a bad node selector":          {flags: selectFlags{nodeLabels: "pool in web"}, err: "--node-selector: "},
		"a sample of nodes by label":   {flags: selectFlags{nodeLabels: "pool=web", sample: "5%", seed: 7}, want: Selection{NodeLabel: labels.SelectorFromSet(labels.Set{"pool": "web"}), Sample: Sample{5, 7}}},
		"a bad sample":                 {flags: selectFlags{sample: "5"}, err: `--sample "5": give a share`},
		"nodes by name and label":      {flags: selectFlags{nodes: []string{"a"}, nodeLabels: "pool=web"}, err: "exclude each other"},
		"a sample of named nodes":      {flags: selectFlags{nodes: []string{"a"}, sample: "5%"}, err: "exclude each other"},
		"a named pod and a sample":     {flags: selectFlags{sample: "5%"}, args: []string{"web"}, err: "leave out"},
		"an empty pod":                 {namespace: "shop", args: []string{""}, err: "names no pod"},
		"an empty name":                {namespace: "shop", args: []string{"shop/"}, err: "names no pod"},
		"an empty namespace":           {namespace: "shop", args: []string{"/web"}, err: "names no pod"},
		"too many slashes":             {namespace: "shop", args: []string{"a/b/c"}, err: "names no pod"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.flags.selection(tt.namespace, tt.args)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.want.Labels == nil {
				tt.want.Labels, tt.want.Fields = labels.Everything(), fields.Everything()
			}
			asText := cmp.Options{
				cmp.Transformer("text", func(s labels.Selector) string { return fmt.Sprint(s) }),
				cmp.Transformer("text", func(s fields.Selector) string { return s.String() }),
			}
			if diff := cmp.Diff(tt.want, got, asText); diff != "" {
				t.Errorf("selection (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseSide(t *testing.T) {
	tests := map[string]struct {
		arg  string
		want side
		err  string
	}{
		"a pod":                   {arg: "web", want: side{pod: PodRef{"shop", "web"}}},
		"of another namespace":    {arg: "lab/udp", want: side{pod: PodRef{"lab", "udp"}}},
		"as -o name prints it":    {arg: "pod/web", want: side{pod: PodRef{"shop", "web"}}},
		"a pod with dots":         {arg: "web.v2", want: side{pod: PodRef{"shop", "web.v2"}}},
		"a node":                  {arg: "node/n1", want: side{node: "n1"}},
		"a file":                  {arg: "a.prom", want: side{file: "a.prom"}},
		"a file by its path":      {arg: "./web", want: side{file: "./web"}},
		"standard input":          {arg: "-", want: side{file: "-"}},
		"a pod of a file":         {arg: "a#web", want: side{file: "a", pod: PodRef{"", "web"}}},
		"of a namespace, too":     {arg: "a.prom#lab/udp", want: side{file: "a.prom", pod: PodRef{"lab", "udp"}}},
		"a node of a file":        {arg: "-#node/n1", want: side{file: "-", node: "n1"}},
		"a file and an empty pod": {arg: "a.prom#", want: side{file: "a.prom"}},
		"no file":                 {arg: "#web", err: "names no file"},
		"no node":                 {arg: "node/", err: "names no node"},
		"nothing":                 {arg: "", err: "names no pod"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseSide(tt.arg, "shop")
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			tt.want.text = tt.arg
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}
