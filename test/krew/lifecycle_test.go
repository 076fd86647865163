package krew

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// older is the version before the release, of which only this platform's archive is built. What runs is the same program by
// another version.
const older = "v0.0.1"

// olderRelease makes the files of a release of the older version, whose archives are to be found at url.
func (m *machine) olderRelease(t testing.TB, folder, url string) {
	t.Helper()
	programs := t.TempDir()
	build := exec.Command("go", "build", "-ldflags", "-s -w -X main.version="+older+" -X main.image=registry.example/cosanet:"+older,
		"-o", filepath.Join(programs, runtime.GOOS, runtime.GOARCH, "kubectl-cosanet"), "./cmd/kubectl-cosanet")
	build.Dir = m.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building version %s: %v\n%s", older, err, out)
	}
	pack := exec.Command(filepath.Join(m.tools, "dist"), "-version", older, "-license", filepath.Join(m.root, "LICENSE"), "-url", strings.TrimSuffix(url, "/"),
		"-o", folder, programs)
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("packing version %s: %v\n%s", older, err, out)
	}
}

// publish commits a manifest to an index, as the maintainers of the real one do, and makes the index if there is none.
func (u *user) publish(t testing.TB, index string, manifest []byte) {
	t.Helper()
	if _, err := os.Stat(index); err != nil {
		u.must(t, "git", "init", "--quiet", "--initial-branch=main", index)
	}
	write(t, filepath.Join(index, "plugins/cosanet.yaml"), manifest)
	u.must(t, "git", "-C", index, "add", "-A")
	u.must(t, "git", "-C", index, "commit", "--quiet", "-m", "cosanet")
}

// version is what the plugin says of itself through kubectl.
func (u *user) version(t testing.TB) (version, image string) {
	t.Helper()
	out, _ := u.must(t, "kubectl", "cosanet", "version", "-o", "json")
	var v struct{ Version, Image string }
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatalf("kubectl cosanet version: %v\n%s", err, out)
	}
	return v.Version, v.Image
}

// installed lists what krew's folder of programs holds.
func (u *user) installed(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(u.krewRoot, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A user's way from first hearing of it until it is gone: search, install, upgrade, use, uninstall.
func TestLifecycle(t *testing.T) {
	index := filepath.Join(t.TempDir(), "krew-index")
	u := newUser(t, "KREW_DEFAULT_INDEX_URI="+index)
	newer, olderFiles := u.manifest.Spec.Version, t.TempDir()
	url := mirror(t, map[string]string{newer: u.release, older: olderFiles})
	u.olderRelease(t, olderFiles, url)
	manifest, err := os.ReadFile(filepath.Join(olderFiles, "krew-manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	u.publish(t, index, manifest)

	u.must(t, "kubectl", "krew", "update")
	found, _ := u.must(t, "kubectl", "krew", "search", "network counters")
	if !strings.Contains(found, u.manifest.Spec.ShortDescription) {
		t.Errorf("kubectl krew search shows:\n%s", found)
	}
	u.must(t, "kubectl", "krew", "install", "cosanet")
	if got, _ := u.version(t); got != older {
		t.Errorf("installed %s, want %s", got, older)
	}
	u.must(t, "kubectl", "cosanet", "completion", "install")
	u.wantCompletion(t)

	u.publish(t, index, u.mirrored(t, url))
	u.must(t, "kubectl", "krew", "upgrade")
	if got, image := u.version(t); got != newer || !strings.Contains(image, ":"+newer) {
		t.Errorf("upgraded to %s with the image %s, want %s", got, image, newer)
	}
	u.wantCompletion(t)
	u.wantTop(t)

	u.must(t, "kubectl", "cosanet", "completion", "uninstall")
	if diff := cmp.Diff([]string{"kubectl-cosanet"}, u.installed(t)); diff != "" {
		t.Errorf("before krew uninstalls (-want +got):\n%s", diff)
	}
	u.must(t, "kubectl", "krew", "uninstall", "cosanet")
	if diff := cmp.Diff([]string{}, u.installed(t)); diff != "" {
		t.Errorf("after krew uninstalled (-want +got):\n%s", diff)
	}
	if out, said, err := u.run("kubectl", "cosanet", "version"); err == nil {
		t.Errorf("it is still there:\n%s%s", out, said)
	}
}

// An index of one's own, by its name: how a company without a way to GitHub offers plugins.
func TestIndexOfOnesOwn(t *testing.T) {
	index := filepath.Join(t.TempDir(), "index")
	u := newUser(t)
	url := mirror(t, map[string]string{u.manifest.Spec.Version: u.release})
	u.publish(t, index, u.mirrored(t, url))
	u.must(t, "kubectl", "krew", "index", "add", "acme", index)
	u.must(t, "kubectl", "krew", "install", "acme/cosanet")
	if got, _ := u.version(t); got != u.manifest.Spec.Version {
		t.Errorf("installed %s, want %s", got, u.manifest.Spec.Version)
	}
	u.must(t, "kubectl", "krew", "uninstall", "cosanet")
}

// wantCompletion asks kubectl as a shell does.
func (u *user) wantCompletion(t testing.TB) {
	t.Helper()
	got, _ := u.must(t, "kubectl", "__complete", "cosanet", "to")
	if !strings.HasPrefix(got, "top\t") {
		t.Errorf("kubectl cosanet to<TAB> completes to:\n%s", got)
	}
}

// wantTop runs the plugin on the cluster, with the image that it was built for, and wants all nodes and nothing left.
func (u *user) wantTop(t testing.TB) {
	t.Helper()
	const namespace = "krew-check" // where nobody else's collectors run
	u.must(t, "kubectl", "delete", "namespace", namespace, "--ignore-not-found")
	u.must(t, "kubectl", "create", "namespace", namespace)
	defer u.must(t, "kubectl", "delete", "namespace", namespace)
	table, _ := u.must(t, "kubectl", "cosanet", "top", "-A", "--source", "pod", "--collector-namespace", namespace)
	nodes, _ := u.must(t, "kubectl", "get", "nodes", "-o", "name")
	for _, node := range strings.Fields(nodes) {
		if !strings.Contains(table, " "+node+" ") {
			t.Errorf("no row of %s in\n%s", node, table)
		}
	}
	u.must(t, "kubectl", "wait", "pod", "--all", "--for=delete", "-n", namespace, "--timeout=60s")
	t.Logf("kubectl cosanet top -A\n%s", table)
}
