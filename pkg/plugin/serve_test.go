package plugin

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

func testManifest(components ...string) *manifest {
	return &manifest{namespace: homeNamespace, components: components, pull: Pull{Image: "registry.example/cosanet:v1.2.3", Policy: string(corev1.PullIfNotPresent)}, metrics: metrics.Default}
}

// TestRender keeps testdata/serve-*.yaml: what is applied with each component, and with every flag.
func TestRender(t *testing.T) {
	names, err := components()
	if err != nil {
		t.Fatal(err)
	}
	manifests := map[string]*manifest{"base": testManifest(), "flags": {
		namespace: "observability", components: []string{"prometheus-operator", "tls"}, pull: Pull{Image: "localhost:5000/c@sha256:" + strings.Repeat("ab", 32), Policy: string(corev1.PullNever), Secrets: []string{"one", "two"}},
		metrics: metrics.All, sockets: true, criSocket: "/run/x.sock", nodes: map[string]string{"pool/kind": "apps", "zone": "a"},
	}}
	for _, name := range names {
		manifests[name] = testManifest(name)
	}
	for name, m := range manifests {
		t.Run(name, func(t *testing.T) {
			objects, err := m.render()
			if err != nil {
				t.Fatal(err)
			}
			var texts []string
			for _, object := range objects {
				if !ours(object) || object.GetKind() != "Namespace" && object.GetNamespace() != m.namespace {
					t.Errorf("%s is not marked as ours, or in namespace %q", titleOf(object), object.GetNamespace())
				}
				if object.GetKind() == "PrometheusRule" {
					delete(object.Object, "spec") // its rules are tested where they are
				}
				text, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, string(text))
			}
			if objects[0].GetKind() != "Namespace" {
				t.Errorf("the first object is %s, not the namespace", titleOf(objects[0]))
			}
			golden.File(t, filepath.Join("testdata", "serve-"+name+".yaml"), strings.Join(texts, "---\n"), *update)
		})
	}
}

// What --remove looks for is all that any installation makes.
func TestEverything(t *testing.T) {
	all, err := everything("observability")
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, object := range all {
		titles = append(titles, titleOf(object))
	}
	names, err := components()
	if err != nil {
		t.Fatal(err)
	}
	help := newServe(&factory{ledger: new(Ledger)}).Long
	for _, name := range names {
		if name != string(Restricted) && !strings.Contains(help, name+" (") {
			t.Errorf("--help does not say what component %s adds", name)
		}
		m := testManifest(name)
		m.namespace = "observability"
		objects, err := m.render()
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			if !slices.Contains(titles, titleOf(object)) {
				t.Errorf("component %s makes %s, which --remove does not look for", name, titleOf(object))
			}
		}
	}
}

func TestObjectPrinterList(t *testing.T) {
	s := &serve{dryRun: "none"}
	cmd := newServe(&factory{ledger: new(Ledger)})
	if cmd.Flags().Lookup("overlay") == nil {
		t.Error("no --overlay")
	}
	s.addFlags(cmd.InheritedFlags())
	*s.print.OutputFormat = "json"
	var out strings.Builder
	f := &factory{}
	f.streams.Out = &out
	p, err := s.printer(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if err := p.print(thing("v1", "ConfigMap", name, nil)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	list := &unstructured.UnstructuredList{}
	if err := list.UnmarshalJSON([]byte(out.String())); err != nil || list.GetKind() != "List" || len(list.Items) != 2 {
		t.Errorf("printed %s (%v), want one List of two", out.String(), err)
	}
}
