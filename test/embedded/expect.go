package embedded

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Must runs kubectl, which has to succeed, and returns its standard output.
func (c *Cluster) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := c.Run(args...)
	if r.Code != 0 {
		t.Fatalf("kubectl %s: exit code %d: %s", strings.Join(args, " "), r.Code, r.Stderr)
	}
	return r.Stdout
}

// Apply makes what a manifest says, in YAML or JSON.
func (c *Cluster) Apply(t testing.TB, manifest string) {
	t.Helper()
	cmd := c.Command("apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if r := Finish(cmd); r.Code != 0 {
		t.Fatalf("kubectl apply: exit code %d: %s", r.Code, r.Stderr)
	}
}

// Cosanet runs `kubectl cosanet ARGS`, and fails the test unless it exits with code.
func (c *Cluster) Cosanet(t testing.TB, code int, args ...string) Result {
	t.Helper()
	r := c.Run(append([]string{"cosanet"}, args...)...)
	if r.Code != code {
		t.Fatalf("kubectl cosanet %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
	return r
}

// Exec runs a command on a node, which has to succeed, and returns its standard output.
func (c *Cluster) Exec(t testing.TB, node string, command ...string) string {
	t.Helper()
	r := c.Control(append([]string{"exec", node, "--"}, command...)...)
	if r.Code != 0 {
		t.Fatalf("%v on %s: exit code %d: %s", command, node, r.Code, r.Stderr)
	}
	return r.Stdout
}

// InPod runs a command of the node inside a pod's network namespace. CRI-O's conmon, in a cgroup that is named by the container as
// well, is not in there.
func (c *Cluster) InPod(t testing.TB, pod corev1.Pod, command ...string) string {
	t.Helper()
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	script := fmt.Sprintf(`pid=$(grep -lsP '(?<!conmon-)%s' /proc/[0-9]*/cgroup | head -1 | cut -d/ -f3) && exec nsenter -t "$pid" -n "$@"`, id)
	return c.Exec(t, pod.Spec.NodeName, append([]string{"sh", "-c", script, "sh"}, command...)...)
}

// Pods lists what a selector finds, in the namespaces that are named, or in all.
func (c *Cluster) Pods(t testing.TB, selector string, namespaces ...string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := json.Unmarshal([]byte(c.Must(t, "get", "pods", "-A", "-l", selector, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		return len(namespaces) > 0 && !slices.Contains(namespaces, pod.Namespace)
	})
}

// Pod returns the pod of that name.
func (c *Cluster) Pod(t testing.TB, namespace, name string) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(c.Must(t, "-n", namespace, "get", "pod", name, "-o", "json")), &pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// WaitCollector waits until a collector pod is there that nobody deletes, in the given phase if that is not empty, and
// returns it. Namespaces are those to look in, all when none is named.
func (c *Cluster) WaitCollector(t testing.TB, phase corev1.PodPhase, namespaces ...string) corev1.Pod {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		for _, pod := range c.Pods(t, Ours, namespaces...) {
			if pod.DeletionTimestamp == nil && (phase == "" || pod.Status.Phase == phase) {
				return pod
			}
		}
	}
	t.Fatalf("no collector pod was %s in 30 s", phase)
	return corev1.Pod{}
}

// WantNothingLeft fails the test if a collector pod is still there, in the namespaces that are named or in all. Deletion is
// accepted before the plugin exits, so an object may be seen for the moment that the kubelet needs; it must be on its way
// out and gone soon.
func (c *Cluster) WantNothingLeft(t testing.TB, namespaces ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := c.Pods(t, Ours, namespaces...)
		for _, pod := range left {
			if pod.DeletionTimestamp == nil {
				t.Fatalf("%s/%s was left behind, and nobody deletes it", pod.Namespace, pod.Name)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s/%s is still being deleted", left[0].Namespace, left[0].Name)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Eventually waits until check has nothing to say against it, for a minute.
func Eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s: %v", what, err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}
