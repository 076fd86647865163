package deploy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
)

// TestKustomizationsOfOperations builds each kustomization of docs/operations.md with the components of this tree.
func TestKustomizationsOfOperations(t *testing.T) {
	remote := regexp.MustCompile(`https://github\.com/cosanet/kubectl-cosanet//deploy/(\S+)\?ref=v\S+`)
	built := 0
	for _, text := range blocks(t, "operations.md", "yaml") {
		if !strings.HasPrefix(text, "# kustomization.yaml\n") {
			continue
		}
		built++
		local := remote.ReplaceAllString(text, "../$1")
		if strings.Contains(local, "github.com") {
			t.Errorf("something is not of this tree in\n%s", text)
		}
		o := decode(t, build(t, "combined", []byte(local)...))
		o.checkPod(t)
		patched := map[string]bool{
			"--metrics=errors":           strings.Contains(strings.Join(o.container().Args, " "), "--serve --metrics=errors"),
			"/spec/ingress/0/from":       len(o.policy.Spec.Ingress[0].From) == 1,
			"podMetricsEndpoints/0/basi": o.podMonitor != nil && o.podMonitor.Spec.PodMetricsEndpoints[0].BasicAuth != nil,
			"secretGenerator":            o.secret != nil && o.secret.Name == "cosanet-exporter-web" && len(o.secret.Data) == 4,
		}
		for what, done := range patched {
			if strings.Contains(text, what) && !done {
				t.Errorf("%s had no effect in\n%s", what, text)
			}
		}
	}
	if built < 3 {
		t.Errorf("only %d kustomizations found", built)
	}
}

// TestWebConfigOfOperations has the toolkit read the web configuration of docs/operations.md.
func TestWebConfigOfOperations(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	for _, text := range blocks(t, "operations.md", "yaml") {
		if !strings.HasPrefix(text, "# web-config.yaml\n") {
			continue
		}
		file := filepath.Join(dir, "web-config.yaml")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := web.Validate(file); err != nil {
			t.Error(err)
		}
		return
	}
	t.Error("docs/operations.md has no web configuration")
}

// TestCommandsOfFindings runs every command of the plugin in docs/findings.md, on a saved file in place of a cluster.
func TestCommandsOfFindings(t *testing.T) {
	plugin := filepath.Join(t.TempDir(), "kubectl-cosanet")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", plugin, "../cmd/kubectl-cosanet").CombinedOutput(); err != nil {
		t.Fatalf("building the plugin: %v\n%s", err, out)
	}
	fill := strings.NewReplacer("$NAMESPACE", "shop", "$POD", "web-0", "$NODE", "node-1")
	ran := map[string]bool{}
	for _, text := range blocks(t, "findings.md", "") {
		for line := range strings.Lines(text) {
			command, isPlugin := strings.CutPrefix(strings.TrimSpace(line), "kubectl cosanet ")
			if !isPlugin || ran[command] {
				continue
			}
			ran[command] = true
			command, _, _ = strings.Cut(command, " | ")
			args := append(strings.Fields(fill.Replace(command)), "--from", "../pkg/plugin/testdata/fleet.prom")
			run := exec.CommandContext(t.Context(), plugin, args...)
			out, err := run.CombinedOutput()
			differ := args[0] == "diff" && run.ProcessState.ExitCode() == 1 // as diff(1) says that there are differences
			if err != nil && !differ {
				t.Errorf("kubectl cosanet %s: %v\n%s", command, err, out)
			}
		}
	}
	if len(ran) < 15 {
		t.Errorf("only %d commands found", len(ran))
	}
}

// blocks returns the fenced blocks of a document in a language.
func blocks(t testing.TB, document, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + document)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	return found
}

// writeCertificate makes tls.crt and tls.key.
func writeCertificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{Name}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: certificate},
		"tls.key": {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
