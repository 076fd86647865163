package plugin

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// manifest is what of the exporter is chosen; the rest is in package deploy.
type manifest struct {
	namespace  string
	components []string // of deploy, sorted
	pull       Pull
	metrics    metrics.Set
	sockets    bool
	criSocket  string
	nodes      map[string]string // labels of the nodes it runs on, beside those of deploy; empty: every Linux node
}

// components are those of deploy that can be added to its base, sorted.
func components() ([]string, error) {
	entries, err := fs.ReadDir(deploy.Files, "components")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// render builds the objects in the order in which they are to be applied, as kubectl kustomize would from the files.
func (m *manifest) render() ([]*unstructured.Unstructured, error) {
	tree := filesys.MakeFsInMemory()
	err := fs.WalkDir(deploy.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(deploy.Files, name)
		if err != nil {
			return err
		}
		return tree.WriteFile(name, text)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the embedded manifests: %w", err)
	}
	text, err := m.kustomization()
	if err != nil {
		return nil, err
	}
	if err := tree.WriteFile("chosen/kustomization.yaml", text); err != nil {
		return nil, err
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // a namespace before what is in it
	built, err := krusty.MakeKustomizer(options).Run(tree, "chosen")
	if err != nil {
		return nil, fmt.Errorf("building the manifests: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range built.Resources() {
		object := &unstructured.Unstructured{}
		text, err := resource.MarshalJSON()
		if err == nil {
			err = object.UnmarshalJSON(text)
		}
		if err != nil {
			return nil, fmt.Errorf("building the manifests: %w", err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// kustomization is the one on top of deploy's.
func (m *manifest) kustomization() ([]byte, error) {
	patch, err := yaml.Marshal(m.operations())
	if err != nil {
		return nil, err
	}
	var chosen []string
	for _, name := range m.components {
		chosen = append(chosen, "../components/"+name)
	}
	return yaml.Marshal(map[string]any{
		"apiVersion": "kustomize.config.k8s.io/v1beta1",
		"kind":       "Kustomization",
		"namespace":  m.namespace,
		"resources":  []string{"../base"},
		"components": chosen,
		"patches":    []any{map[string]any{"target": map[string]string{"kind": "DaemonSet", "name": deploy.Name}, "patch": string(patch)}},
	})
}

// operation is one of a JSON patch (RFC 6902).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations say the choices to the DaemonSet.
func (m *manifest) operations() []operation {
	const pod, container = "/spec/template/spec", "/spec/template/spec/containers/0"
	ops := []operation{
		{"replace", container + "/image", m.pull.Image},
		{"replace", container + "/imagePullPolicy", m.pull.Policy},
	}
	if len(m.pull.Secrets) > 0 {
		ops = append(ops, operation{"add", pod + "/imagePullSecrets", references(m.pull.Secrets)})
	}
	for _, arg := range m.args() {
		ops = append(ops, operation{"add", container + "/args/-", arg})
	}
	for _, key := range slices.Sorted(maps.Keys(m.nodes)) {
		escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
		ops = append(ops, operation{"add", pod + "/nodeSelector/" + escaped, m.nodes[key]})
	}
	return ops
}

func (m *manifest) args() []string {
	var args []string
	if m.metrics != metrics.Default {
		args = append(args, "--metrics="+m.metrics.String())
	}
	if m.sockets {
		args = append(args, "--collector.sockproto.enabled")
	}
	if m.criSocket != "" {
		args = append(args, "--cri-socket="+m.criSocket)
	}
	return args
}

// everything renders the objects of all components, for those who look for what is there.
func everything(namespace string) ([]*unstructured.Unstructured, error) {
	all, err := components()
	if err != nil {
		return nil, err
	}
	m := manifest{namespace: namespace, components: all, pull: Pull{Image: deploy.Image, Policy: string(corev1.PullIfNotPresent)}, metrics: metrics.Default}
	return m.render()
}

// checkNodeSelector says what of --node-selector no cluster would take.
func checkNodeSelector(pairs map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		if problems := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(pairs[key])); len(problems) > 0 {
			return fmt.Errorf("--node-selector %s=%s: %s", key, pairs[key], problems[0])
		}
	}
	return nil
}

// resourceOf guesses an object's resource from its kind, which is right for all that deploy has.
func resourceOf(object *unstructured.Unstructured) schema.GroupVersionResource {
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	return resource
}

// titleOf names an object as kubectl does: daemonset.apps/cosanet-exporter.
func titleOf(object *unstructured.Unstructured) string {
	return path.Join(kindOf(object), object.GetName())
}

func kindOf(object *unstructured.Unstructured) string {
	gvk := object.GroupVersionKind()
	return strings.TrimSuffix(strings.ToLower(gvk.Kind)+"."+gvk.Group, ".")
}
