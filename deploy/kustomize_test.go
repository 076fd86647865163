package deploy

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// TestBuildsAlike builds every kustomization from the embedded files and by kubectl from the directory.
func TestBuildsAlike(t *testing.T) {
	kubectl := findKubectl(t)
	for _, dir := range kustomizations(t) {
		t.Run(dir, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).Output()
			if err != nil {
				t.Fatalf("kubectl kustomize %s: %v", dir, err)
			}
			if diff := cmp.Diff(string(out), string(build(t, dir))); diff != "" {
				t.Errorf("kubectl (-) and krusty (+) disagree:\n%s", diff)
			}
		})
	}
}

// TestOverlayOfEachComponent keeps the two lists the same, and the overlays without anything of their own.
func TestOverlayOfEachComponent(t *testing.T) {
	if diff := cmp.Diff(directories(t, "components"), directories(t, "overlays")); diff != "" {
		t.Errorf("components (-) and overlays (+):\n%s", diff)
	}
	for _, name := range directories(t, "overlays") {
		want := string(compose("../../", name))
		got, err := fs.ReadFile(Files, path.Join("overlays", name, "kustomization.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("overlays/%s is more than base with its component (-want +got):\n%s", name, diff)
		}
	}
}

// TestCombinations builds base with each two of the components, and with all of them.
func TestCombinations(t *testing.T) {
	names := directories(t, "components")
	for i, a := range names {
		for _, b := range names[i+1:] {
			build(t, "combined", compose("../", a, b)...)
		}
	}
	build(t, "combined", compose("../", everyComponent...)...)
	if diff := cmp.Diff(names, everyComponent); diff != "" {
		t.Errorf("components (-) and everyComponent (+):\n%s", diff)
	}
}

// build builds a directory of the embedded tree; with kustomization, one of that text beside base.
func build(t testing.TB, dir string, kustomization ...byte) []byte {
	t.Helper()
	tree := filesys.MakeFsInMemory()
	err := fs.WalkDir(Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(Files, name)
		if err != nil {
			return err
		}
		return tree.WriteFile(name, text)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(kustomization) > 0 {
		// Beside it what a kustomization of docs/operations.md makes a Secret of.
		for _, file := range []string{"web-config.yaml", "tls.crt", "tls.key", "ca.crt", "kustomization.yaml"} {
			if err := tree.WriteFile(path.Join(dir, file), kustomization); err != nil {
				t.Fatal(err)
			}
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // as kubectl does: namespaces first
	resources, err := krusty.MakeKustomizer(options).Run(tree, dir)
	if err != nil {
		t.Fatalf("building %s: %v\n%s", dir, err, kustomization)
	}
	yaml, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return yaml
}

// compose is the kustomization of base with some components, seen from a directory that lies up from the root.
func compose(up string, components ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n  - %sbase\ncomponents:\n", up)
	for _, c := range components {
		fmt.Fprintf(&b, "  - %scomponents/%s\n", up, c)
	}
	return []byte(b.String())
}

// kustomizations lists the directories that can be built by themselves.
func kustomizations(t testing.TB) []string {
	t.Helper()
	all := []string{"base"}
	for _, name := range directories(t, "overlays") {
		all = append(all, path.Join("overlays", name))
	}
	return all
}

func directories(t testing.TB, in string) []string {
	t.Helper()
	entries, err := fs.ReadDir(Files, in)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names
}

// findKubectl finds the kubectl in PATH, else that of the embedded cluster.
func findKubectl(t testing.TB) string {
	t.Helper()
	if kubectl, err := exec.LookPath("kubectl"); err == nil {
		return kubectl
	}
	kubeconfig, err := exec.Command("../bin/cluster", "kubeconfig").Output()
	if err != nil {
		mustHave(t, "no kubectl: neither in PATH nor of a running cluster (make cluster-up)")
	}
	return path.Join(path.Dir(string(kubeconfig)), "bin", "kubectl")
}

// mustHave skips for want of a program, and fails instead where nothing may be skipped.
func mustHave(t testing.TB, missing string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
}
