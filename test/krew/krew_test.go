// Package krew installs what `make dist` made by the real krew, as its users do, and runs it on the embedded Kubernetes of
// test/cluster. `make krew-check` builds all that is needed and runs it.
package krew

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// releases is where the manifest of a release says that its archives are.
const releases = "https://github.com/cosanet/kubectl-cosanet/releases/download/"

// machine is what the tests find on this one.
type machine struct {
	root       string // of the repository
	release    string // the folder with the files of the release
	tools      string // the folder with krew, by the name of kubectl-krew
	kubectl    string // the folder with the real one
	kubeconfig string
	manifest   manifest // of the release
}

// need returns what `make krew-check` prepares. A laptop without it skips; CI must have it.
func need(t testing.TB) *machine {
	t.Helper()
	m, err := prepared()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (make krew-check prepares it)", err)
	}
	return m
}

var prepared = sync.OnceValues(func() (*machine, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	m := &machine{root: root, release: filepath.Join(root, "dist/release"), tools: filepath.Join(root, "bin/tools")}
	for _, tool := range []string{"kubectl-krew", "validate-krew-manifest", "dist"} {
		if _, err := os.Stat(filepath.Join(m.tools, tool)); err != nil {
			return nil, fmt.Errorf("no %s: %w", tool, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(m.release, "krew-manifest.yaml"))
	if err != nil {
		return nil, fmt.Errorf("no release: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, &m.manifest); err != nil {
		return nil, fmt.Errorf("reading the release's manifest: %w", err)
	}
	kubeconfig, err := exec.Command(filepath.Join(root, "bin/cluster"), "kubeconfig").Output()
	if err != nil {
		return nil, fmt.Errorf("no embedded cluster: %w", err)
	}
	m.kubeconfig = strings.TrimSpace(string(kubeconfig))
	m.kubectl = filepath.Join(filepath.Dir(m.kubeconfig), "bin")
	return m, nil
})

// user is somebody with kubectl, krew and a cluster, and nothing else: no configuration, and no plugin on PATH but those
// that krew installs.
type user struct {
	*machine
	krewRoot string
	env      []string
}

func newUser(t testing.TB, more ...string) *user {
	t.Helper()
	m := need(t)
	home := t.TempDir()
	u := &user{machine: m, krewRoot: filepath.Join(home, ".krew")}
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	path := []string{filepath.Join(u.krewRoot, "bin"), m.tools, m.kubectl, filepath.Dir(git), "/usr/bin", "/bin"}
	u.env = append([]string{
		"HOME=" + home, "PATH=" + strings.Join(path, ":"), "KUBECONFIG=" + m.kubeconfig, "KREW_NO_UPGRADE_CHECK=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=test", "GIT_AUTHOR_EMAIL=test@example.com",
		"GIT_COMMITTER_NAME=test", "GIT_COMMITTER_EMAIL=test@example.com",
	}, more...)
	return u
}

// run runs a program of the user's PATH.
func (u *user) run(program string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command("/usr/bin/env", append([]string{program}, args...)...)
	cmd.Env = u.env
	cmd.Dir = filepath.Dir(u.krewRoot)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}

// must runs a program, which has to succeed, and returns what it printed and what it said.
func (u *user) must(t testing.TB, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := u.run(program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout, stderr
}

// mirror serves folders of release files over loopback, each as a release by the name of its version.
func mirror(t testing.TB, folders map[string]string) (url string) {
	t.Helper()
	mux := http.NewServeMux()
	for version, folder := range folders {
		mux.Handle("/"+version+"/", http.StripPrefix("/"+version+"/", http.FileServer(http.Dir(folder))))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// mirrored is the release's manifest with its archives at another place; the sums stay.
func (m *machine) mirrored(t testing.TB, url string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.release, "krew-manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(text, []byte(releases), []byte(url))
}

func write(t testing.TB, file string, text []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
