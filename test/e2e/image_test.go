package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// Where there is no registry: an image that no node has, by its digest as a release asks for it, is refused with the command
// that tells how to load it; what that prints for containerd is run on the node as it is, and then all is well.
func TestImageIsLoadedWithoutARegistry(t *testing.T) {
	c := need(t)
	name := "airgap.test/cosanet:v0.0.1-" + strings.ToLower(rand.Text())
	dir, digest := c.freshArchive(t, name)
	args := []string{"top", "--node", "node-1", "--no-headers", "--collector-namespace", namespace, "--image", name + "@" + digest}

	r := c.Cosanet(t, 1, append(args, "--image-pull-policy", "Never")...)
	for _, want := range []string{"ErrImageNeverPull", "kubectl cosanet image says how to load " + name + "@" + digest + " onto the node"} {
		if !strings.Contains(r.Stderr, want) {
			t.Errorf("stderr does not say %q:\n%s", want, r.Stderr)
		}
	}

	text, err := os.ReadFile(filepath.Join(dir, "dist", "collector-image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	const there = "/var/tmp/cosanet-e2e"
	c.onNode(t, "node-1", text, "sh", "-c", "mkdir -p "+there+"/dist && cat >"+there+"/dist/collector-image.tar")
	defer c.onNode(t, "node-1", nil, "rm", "-r", there)
	defer c.removeImage(t, "node-1", "airgap.test/cosanet")
	c.onNode(t, "node-1", []byte("cd "+there+"\n"+c.Cosanet(t, 0, "image", "--load", "containerd").Stdout), "sh", "-e")

	for _, policy := range []string{"Never", "IfNotPresent"} {
		embedded.Eventually(t, "containerd offers what it imported", func() error {
			if r := c.Run(append([]string{"cosanet"}, append(args, "--image-pull-policy", policy)...)...); r.Code != 0 {
				return fmt.Errorf("exit code %d: %s", r.Code, r.Stderr)
			}
			return nil
		})
	}
	c.WantNothingLeft(t)
}

// A registry of one's own, with a password: what kubectl cosanet image prints pushes the archive there; the node's pull is
// refused without a secret and with one that is not there, each with what helps, and goes well with the right one.
func TestImageIsPulledWithASecret(t *testing.T) {
	c := need(t)
	if _, err := exec.LookPath("skopeo"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("no skopeo: make deps installs it")
		}
		t.Skip("no skopeo, by which an archive is pushed to a registry")
	}
	tag := c.Cosanet(t, 0, "image", "-o", "jsonpath={.tag}").Stdout
	dir, _ := c.freshArchive(t, c.Cosanet(t, 0, "image", "-o", "jsonpath={.repository}").Stdout+":"+tag)
	registry := c.startRegistry(t, "node-1")
	name := registry.address + "/team/cosanet:" + tag
	c.push(t, registry, dir, name)

	c.Must(t, "-n", namespace, "create", "secret", "docker-registry", "pull", "--docker-server="+registry.address, "--docker-username=me", "--docker-password=secret")
	defer c.Must(t, "-n", namespace, "delete", "secret", "pull")
	top := func(code int, args ...string) embedded.Result {
		return c.Cosanet(t, code, append([]string{"top", "--node", "node-1", "--no-headers", "--collector-namespace", namespace, "--image", name}, args...)...)
	}

	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "kubectl create secret docker-registry NAME -n e2e --docker-server=" + registry.address},
		{[]string{"--image-pull-secret", "nosuch"}, registry.address + " does not take what --image-pull-secret names: kubectl get secret -n e2e nosuch"},
	} {
		if r := top(1, tt.args...); !strings.Contains(r.Stderr, tt.want) {
			t.Errorf("stderr does not say %q:\n%s", tt.want, r.Stderr)
		}
	}
	if registry.seen("401 - ", "/manifests/") == 0 || registry.seen("200 me GET", "/blobs/") != 0 {
		t.Errorf("without the password nothing but refusals is expected: %q", registry.requests)
	}

	defer c.removeImage(t, "node-1", registry.address)
	if r := top(0, "--image-pull-secret", "pull"); !strings.Contains(r.Stdout, "node/node-1") {
		t.Errorf("no row of node-1:\n%s%s", r.Stdout, r.Stderr)
	}
	if registry.seen("200 me GET", "/manifests/") == 0 || registry.seen("200 me GET", "/blobs/") < 2 {
		t.Errorf("a pull of a manifest, a configuration and a layer is expected: %q", registry.requests)
	}

	// The exporter is pulled in the same way, also where the node has the image: Always asks the registry.
	before := registry.seen("200 me ", "/manifests/")
	exporter := []string{"serve", "--collector-namespace", "e2e-pull"}
	c.Must(t, "create", "namespace", "e2e-pull")
	defer c.Must(t, "delete", "namespace", "e2e-pull", "--ignore-not-found", "--timeout=60s")
	c.Must(t, "-n", "e2e-pull", "create", "secret", "docker-registry", "pull", "--docker-server="+registry.address, "--docker-username=me", "--docker-password=secret")
	c.Must(t, "label", "namespace", "e2e-pull", "pod-security.kubernetes.io/enforce=privileged")
	c.Cosanet(t, 0, append(exporter, "--image", name, "--image-pull-secret", "pull", "--image-pull-policy", "Always", "--node-selector", "kubernetes.io/hostname=node-1", "--timeout", "90s")...)
	if registry.seen("200 me ", "/manifests/") == before {
		t.Error("the exporter's image was not asked for")
	}
	c.Cosanet(t, 0, append(exporter, "--remove", "--timeout", "60s")...)
	c.WantNothingLeft(t)
}

// push runs what kubectl cosanet image prints for a registry, as it is: where skopeo knows the password, and that this
// registry has no TLS.
func (c *cluster) push(t *testing.T, r *registry, dir, name string) {
	t.Helper()
	files := map[string]string{
		".config/containers/registries.conf": fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", r.address),
		"auth.json":                          fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, r.address, base64.StdEncoding.EncodeToString([]byte("me:secret"))),
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := exec.Command("nsenter", "--net="+r.netns, "sh", "-e")
	script.Dir, script.Env = dir, append(c.Env, "HOME="+dir, "REGISTRY_AUTH_FILE="+filepath.Join(dir, "auth.json"))
	script.Stdin = strings.NewReader(c.Cosanet(t, 0, "image", "--load", "registry", "--image", name).Stdout)
	if done := embedded.Finish(script); done.Code != 0 {
		t.Fatalf("exit code %d: %s%s", done.Code, done.Stdout, done.Stderr)
	}
	if r.seen("201 me PUT", "/manifests/"+name[strings.LastIndex(name, ":")+1:]) == 0 {
		t.Fatalf("nothing was pushed: %q", r.requests)
	}
}
