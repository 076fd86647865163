package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// guarded is the namespace that the policy is bound to here.
const guarded = "faults-guarded"

// guard applies deploy/policy, for a namespace of the suite's as docs/security.md says it, until the test ends.
func (c *cluster) guard(t *testing.T) kubernetes.Interface {
	t.Helper()
	folder := t.TempDir()
	policy, err := filepath.Abs("../../deploy/policy")
	if err == nil {
		policy, err = filepath.Rel(folder, policy)
	}
	if err != nil {
		t.Fatal(err)
	}
	overlay := strings.NewReplacer("https://github.com/cosanet/kubectl-cosanet//deploy/policy?ref=v0.1.0", policy, "observability", guarded).Replace(documented(t))
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Must(t, "delete", "-k", folder, "--ignore-not-found", "--timeout=60s") // of a run before
	t.Cleanup(func() { c.Must(t, "delete", "-k", folder, "--ignore-not-found", "--wait=false") })
	c.Must(t, "apply", "-k", folder)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	embedded.Eventually(t, "the policies hold", func() error {
		pod := genuine(t, "privileged")
		pod.Spec.HostIPC = true
		if err := try(t, client, pod); err == nil || !strings.Contains(err.Error(), "cosanet-collector-pods") {
			return fmt.Errorf("a pod with hostIPC: %v", err)
		}
		return try(t, client, genuine(t, "privileged")) // the namespace has its service account
	})
	return client
}

// documented is the kustomization of docs/security.md for another namespace and registry.
func documented(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(text), "```yaml\n# kustomization.yaml\n")
	block, _, ok2 := strings.Cut(after, "```")
	if !ok || !ok2 {
		t.Fatal("docs/security.md has no kustomization")
	}
	return block
}

// try asks the API server whether it would take a pod.
func try(t *testing.T, client kubernetes.Interface, pod *corev1.Pod) error {
	_, err := client.CoreV1().Pods(guarded).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// genuine is the pod of a run with a profile, or of one that only pulls, as pkg/plugin holds it to pod.go.
func genuine(t *testing.T, profile string) *corev1.Pod {
	t.Helper()
	text, err := os.ReadFile("../../pkg/plugin/testdata/pod-" + profile + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict(text, pod); err != nil {
		t.Fatal(err)
	}
	pod.Namespace, pod.Spec.Containers[0].Image = guarded, repository+":v0.1.0"
	return pod
}

const repository = "ghcr.io/cosanet/kubectl-cosanet"

// exporterPod is the pod that the DaemonSet's controller would make of a manifest that pkg/plugin holds to deploy.
func exporterPod(t *testing.T, component string) *corev1.Pod {
	t.Helper()
	text, err := os.ReadFile("../../pkg/plugin/testdata/serve-" + component + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		daemonSet := &appsv1.DaemonSet{}
		if err := documents.Decode(daemonSet); err != nil {
			t.Fatalf("%s has no DaemonSet: %v", component, err)
		}
		if daemonSet.Kind != "DaemonSet" {
			continue
		}
		yes := true
		pod := &corev1.Pod{ObjectMeta: daemonSet.Spec.Template.ObjectMeta, Spec: daemonSet.Spec.Template.Spec}
		pod.Namespace, pod.GenerateName = guarded, daemonSet.Name+"-"
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: daemonSet.Name, UID: "x", Controller: &yes}}
		pod.Spec.Containers[0].Image = repository + "@sha256:" + strings.Repeat("0a", 32)
		pod.Spec.ServiceAccountName = "cosanet-exporter"
		return pod
	}
}

// The policy admits the pods that the plugin makes, of every profile and component, and of those that differ from one in one thing
// none, and says in what. A pod that is there can be changed into none of them.
func TestPolicy(t *testing.T) {
	c := need(t)
	t.Parallel()
	client := c.guard(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "cosanet-exporter"}}
	if _, err := client.CoreV1().ServiceAccounts(guarded).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Run("genuine", func(t *testing.T) {
		pods, err := filepath.Glob("../../pkg/plugin/testdata/pod-*.yaml")
		if err != nil || len(pods) < 4 {
			t.Fatalf("%d pods, %v", len(pods), err)
		}
		for _, file := range pods {
			profile := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "pod-"), ".yaml")
			if err := try(t, client, genuine(t, profile)); err != nil {
				t.Errorf("%s: %v", profile, err)
			}
		}
		manifests, err := filepath.Glob("../../pkg/plugin/testdata/serve-*.yaml")
		if err != nil || len(manifests) < 8 {
			t.Fatalf("%d manifests, %v", len(manifests), err)
		}
		for _, manifest := range manifests {
			component := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(manifest), "serve-"), ".yaml")
			if err := try(t, client, exporterPod(t, component)); err != nil {
				t.Errorf("exporter, %s: %v", component, err)
			}
		}
	})
	for _, m := range mutations() {
		t.Run(m.name, func(t *testing.T) {
			pod := genuine(t, "privileged")
			switch {
			case m.exporter:
				pod = exporterPod(t, "tls")
			case m.restricted:
				pod = genuine(t, "restricted")
			}
			m.change(pod)
			err := try(t, client, pod)
			if err == nil {
				t.Fatal("it is admitted")
			}
			for _, words := range []string{"ValidatingAdmissionPolicy 'cosanet-collector-pods'", m.want} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("the refusal does not say %q: %v", words, err)
				}
			}
		})
	}
	if err := client.CoreV1().ServiceAccounts(guarded).Delete(t.Context(), account.Name, metav1.DeleteOptions{}); err != nil { // serve brings its own
		t.Fatal(err)
	}
	t.Run("in use", c.guardedUse)
	if !t.Failed() {
		n := len(mutations())
		trial.Record(t, trial.Result{Group: trial.Privilege, Runs: n, Faults: n, Survived: n,
			Claim: "Under deploy/policy the pods that the plugin makes are admitted, and none that differs from them in one thing"})
	}
}

// guardedUse shows that under the policy runs and the exporter work, and that nobody gets into their pods by any way there is.
func (c *cluster) guardedUse(t *testing.T) {
	in := []string{"-n", namespace, "--collector-namespace", guarded, "--node", "node-1"}
	said := c.diagnosis(t, 0, in...)
	if want := "ok: cosanet-collector-pods, cosanet-collector-access: bound to namespace " + guarded + ", Deny, failurePolicy Fail"; said["policy"][0] != want {
		t.Errorf("policy: %v, want %s", said["policy"], want)
	}
	for _, args := range [][]string{{"--profile", "privileged"}, {"--profile", "netadmin"}, {"--profile", "restricted"}, {"--sockets", "--metrics", "all", "--interval", "0"}, {"--cri-socket", "/run/containerd/containerd.sock"}, {"--image-prepull"}} {
		fine("node-1").check(t, c.Run(append(append([]string{"cosanet", "top"}, in...), args...)...))
	}
	outcome{code: 1, err: []string{"cosanet-collector-pods", "spec.containers[0].image cosanet-demo:dev", "deploy/policy"}}.check(t,
		c.Run(append(append([]string{"cosanet", "top"}, in...), "--image", "cosanet-demo:dev")...))

	t.Run("a run's pod", func(t *testing.T) {
		run := make(chan embedded.Result, 1)
		go func() { run <- c.Run(append([]string{"cosanet", "top", "--interval", "15s"}, in...)...) }()
		pod := c.WaitCollector(t, "Running", guarded)
		c.closed(t, pod, "/api/v1/namespaces/"+guarded+"/pods/"+pod.Name+":10250/proxy/healthz")
		r := c.Run("-n", guarded, "set", "image", "pod/"+pod.Name, "collector=cosanet-demo:dev")
		if r.Code == 0 || !strings.Contains(r.Stderr, "spec.containers[0].image cosanet-demo:dev") {
			t.Errorf("its image can be changed: %+v", r)
		}
		c.Must(t, "-n", guarded, "label", "pod", pod.Name, "seen=yes") // what does no harm stays possible
		fine("node-1").check(t, <-run)
	})
	t.Run("the exporter", func(t *testing.T) {
		c.Cosanet(t, 0, "serve", "--collector-namespace", guarded, "--timeout", "60s")
		t.Cleanup(func() { c.Cosanet(t, 0, "serve", "--remove", "--collector-namespace", guarded, "--timeout", "60s") })
		fine("node-1").check(t, c.Run(append([]string{"cosanet", "top", "--source", "exporter"}, in...)...))
		pod := c.Pods(t, "app.kubernetes.io/component=exporter", guarded)[0]
		c.closed(t, pod, "")
	})
	t.Run("pods of others", func(t *testing.T) {
		c.Must(t, "-n", guarded, "create", "job", "other", "--image", "cosanet-demo:dev")
		embedded.Eventually(t, "the job's pod is refused", func() error {
			if events := c.Must(t, "-n", guarded, "get", "events", "--field-selector", "reason=FailedCreate"); !strings.Contains(events, "cosanet-collector-pods") {
				return errors.New(events)
			}
			return nil
		})
	})
	c.WantNothingLeft(t, guarded)
}

// closed tries every way into a pod; raw is a path of the API, if there is one more.
func (c *cluster) closed(t *testing.T, pod corev1.Pod, raw string) {
	t.Helper()
	container := pod.Spec.Containers[0].Name
	ways := map[string][]string{
		"pods/exec":                {"exec", pod.Name, "--", "/cosanet-collector", "--version"},
		"pods/attach":              {"attach", pod.Name},
		"pods/portforward":         {"port-forward", "pod/" + pod.Name, ":10250", "--pod-running-timeout=5s"},
		"pods/ephemeralcontainers": {"debug", pod.Name, "--image=cosanet-demo:dev", "--target=" + container, "--profile=general", "--attach=false"},
	}
	if raw != "" {
		ways["pods/proxy"] = []string{"get", "--raw", raw}
	}
	for subresource, args := range ways {
		r := c.Run(append([]string{"-n", pod.Namespace}, args...)...)
		if says := subresource + " of " + pod.Name; r.Code == 0 || !strings.Contains(r.Stderr, says) || !strings.Contains(r.Stderr, "nobody enters a collector pod") {
			t.Errorf("kubectl %s: exit code %d, want a refusal that says %q\n%s%s", strings.Join(args, " "), r.Code, says, r.Stdout, r.Stderr)
		}
	}
}

// The published roles are plugin.Rights, to the letter.
func TestRolesOfThePolicy(t *testing.T) {
	text, err := os.ReadFile("../../deploy/policy/roles.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []right
	where := map[string]string{"cosanet-run": home, "cosanet-pods": target, "cosanet-nodes": all}
	documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role struct {
			Metadata metav1.ObjectMeta
			Rules    []struct{ APIGroups, Resources, Verbs []string }
		}
		if err := documents.Decode(&role); err != nil {
			break
		}
		for _, rule := range role.Rules {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					got = append(got, right{where[role.Metadata.Name], resource, verb})
				}
			}
		}
	}
	want, _ := json.Marshal(fmt.Sprint(published))
	have, _ := json.Marshal(fmt.Sprint(got))
	if len(got) != len(published) {
		t.Errorf("%d rights, want %d:\n%s\n%s", len(got), len(published), have, want)
	}
	for _, r := range published {
		if !strings.Contains(fmt.Sprint(got), r.String()) {
			t.Errorf("no role has: %s", r)
		}
	}
}
