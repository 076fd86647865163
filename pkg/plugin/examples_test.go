package plugin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestExamples runs every example of every command as it stands there, in a shell, against servers that answer like a
// cluster with the pods which the examples name; test/e2e runs them on a real one.
func TestExamples(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("the examples are for a shell: no bash here")
	}
	cluster, installing := exampleCluster(t), newObjectServer(t)
	installing.scheduled(t, allReady(2), readyStatus, readyStatus)
	folder := exampleFolder(t)
	for _, cmd := range commandsOf(documentedRoot()) {
		server := cluster.url
		if cmd.Name() == "serve" {
			server = installing.url
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			t.Run(line, func(t *testing.T) { runExample(t, folder, server, line) })
		}
	}
	if left := cluster.left(); len(left) > 0 {
		t.Errorf("collector pods are left behind: %v", left)
	}
}

// exampleFolder has what the examples read: two saved files, and a home.
func exampleFolder(t *testing.T) string {
	folder := t.TempDir()
	recorded, err := os.ReadFile("testdata/fleet.prom")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"before.prom", "after.prom"} {
		if err := os.WriteFile(filepath.Join(folder, name), recorded, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(folder, ".local", "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// runExample runs a line with a context whose namespace is shop. It must end well, where diff may also find a difference,
// and say something.
func runExample(t *testing.T, folder, server, line string) {
	if !strings.HasPrefix(line, "kubectl cosanet ") {
		t.Fatalf("%q is no call of kubectl cosanet", line)
	}
	config := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q}}],
contexts: [{name: c, context: {cluster: c, user: "", namespace: shop}}]}`, server)
	kubeconfig := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kubeconfig, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", line)
	shell.Dir = folder
	shell.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+folder)
	var out, errOut bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &errOut
	err := shell.Run()
	different := strings.Contains(line, " diff ") && shell.ProcessState != nil && shell.ProcessState.ExitCode() == ExitFailed
	if err != nil && !different || strings.Contains(errOut.String(), "error:") {
		t.Errorf("%v\nstandard output:\n%s\nstandard error:\n%s", err, &out, &errOut)
	}
	if out.Len()+errOut.Len() == 0 && !strings.Contains(line, ".prom") {
		t.Error("prints nothing")
	}
}

// exampleCluster has two nodes, which count as recorded, and the pods that the examples name.
func exampleCluster(t *testing.T) *apiServer {
	s := newAPIServer(t, "node-1", "node-2")
	s.namespaces = map[string]string{"default": ""}
	members := map[string][]member{"node-1": nodes["node-1"], "node-2": slices.Clone(nodes["node-2"])}
	members["node-2"] = append(members["node-2"], member{box: web("staging", "web-0", "cni-staging"), first: quiet, last: quiet.with(busy)})
	for node, of := range members {
		for _, m := range of {
			if m.box.Pod != "" && (m.box.Namespace == "shop" || m.box.Namespace == "staging") {
				pod := listed(m.box.Namespace, m.box.Pod, node)
				s.put(&pod)
			}
		}
	}
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) {
		args := pod.Spec.Containers[0].Args
		after := func(flag string) string { return args[slices.Index(args, flag)+1] }
		samples, err := strconv.Atoi(after("--samples"))
		if err != nil {
			t.Error(err)
		}
		for _, snapshot := range record(t, pod.Spec.NodeName, members[pod.Spec.NodeName], samples) {
			var frame strings.Builder
			if err := metrics.WriteFrame(&frame, metrics.Gzip, after("--run"), snapshot); err != nil {
				t.Error(err)
			}
			io.WriteString(w, frame.String())
		}
	}
	return s
}
