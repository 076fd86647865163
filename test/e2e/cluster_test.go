// Package e2e drives kubectl-cosanet as its users do, by the real kubectl, against the embedded Kubernetes of
// test/cluster. `make test-e2e` brings the cluster up, imports the images and runs it.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// namespace is where the suite's own pods live.
const namespace = "e2e"

// ours selects what kubectl-cosanet creates, in whatever namespace.
const ours = "app.kubernetes.io/managed-by=kubectl-cosanet"

// cluster is the embedded Kubernetes as a shell on this machine sees it.
type cluster struct {
	program    string // bin/cluster
	kubectl    string // the real one
	kubeconfig string
	env        []string // KUBECONFIG, and a PATH on which kubectl finds the plugin
}

// need returns the running cluster with the suite's pods on it. A laptop without one skips; CI must have one.
func need(t testing.TB) *cluster {
	t.Helper()
	c := reach(t)
	if err := deployed(); err != nil {
		t.Fatal(err)
	}
	return c
}

// reach returns the running cluster as it is.
func reach(t testing.TB) *cluster {
	t.Helper()
	c, err := connect()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (make test-e2e brings a cluster up)", err)
	}
	return c
}

var connect = sync.OnceValues(func() (*cluster, error) {
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		return nil, err
	}
	c := &cluster{program: filepath.Join(bin, "cluster")}
	kubeconfig, err := exec.Command(c.program, "kubeconfig").Output()
	if err != nil {
		return nil, fmt.Errorf("no embedded cluster: %w", err)
	}
	c.kubeconfig = strings.TrimSpace(string(kubeconfig))
	c.kubectl = filepath.Join(filepath.Dir(c.kubeconfig), "bin", "kubectl")
	c.env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+bin+":"+os.Getenv("PATH"))
	return c, nil
})

var deployed = sync.OnceValue(func() error {
	c, err := connect()
	if err != nil {
		return err
	}
	return c.deploy()
})

// deploy puts the suite's pods on the cluster, anew, and waits until they are ready.
func (c *cluster) deploy() error {
	for _, args := range [][]string{
		{"delete", "namespace", namespace, "--ignore-not-found", "--wait"},
		{"apply", "-f", "testdata/pods.yaml"},
		{"-n", namespace, "rollout", "status", "deployment", "--timeout=120s"},
		{"-n", namespace, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s"},
	} {
		if r := c.run(args...); r.code != 0 {
			return fmt.Errorf("kubectl %s: %s", strings.Join(args, " "), r.stderr)
		}
	}
	return nil
}

// result is what a command left behind.
type result struct {
	stdout, stderr string
	code           int
}

func (c *cluster) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.kubectl, args...)
	cmd.Env = c.env
	return cmd
}

// run runs kubectl. A run that hangs is ended after two minutes, and shows as a code other than zero.
func (c *cluster) run(args ...string) result {
	return finish(c.command(args...))
}

func finish(cmd *exec.Cmd) result {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := cmd.Start()
	if err == nil {
		stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
		err = cmd.Wait()
		stop()
	}
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		r.code = exit.ExitCode()
	} else if err != nil {
		r.code, r.stderr = -1, r.stderr+err.Error()
	}
	return r
}

// cosanet runs `kubectl cosanet ARGS`, and fails the test unless it exits with code.
func (c *cluster) cosanet(t testing.TB, code int, args ...string) result {
	t.Helper()
	r := c.run(append([]string{"cosanet"}, args...)...)
	if r.code != code {
		t.Fatalf("kubectl cosanet %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", strings.Join(args, " "), r.code, code, r.stdout, r.stderr)
	}
	return r
}

// must runs kubectl, which has to succeed.
func (c *cluster) must(t testing.TB, args ...string) string {
	t.Helper()
	r := c.run(args...)
	if r.code != 0 {
		t.Fatalf("kubectl %s: exit code %d: %s", strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// pods lists what a selector finds in all namespaces.
func (c *cluster) pods(t testing.TB, selector string) []corev1.Pod {
	t.Helper()
	var list corev1.PodList
	if err := json.Unmarshal([]byte(c.must(t, "get", "pods", "-A", "-l", selector, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// pod returns one of the suite's pods.
func (c *cluster) pod(t testing.TB, name string) corev1.Pod {
	t.Helper()
	var pod corev1.Pod
	if err := json.Unmarshal([]byte(c.must(t, "-n", namespace, "get", "pod", name, "-o", "json")), &pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

// inPod runs a command of the node inside a pod's network namespace.
func (c *cluster) inPod(t testing.TB, pod corev1.Pod, command ...string) string {
	t.Helper()
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	script := fmt.Sprintf(`pid=$(grep -ls %s /proc/[0-9]*/cgroup | head -1 | cut -d/ -f3) && exec nsenter -t "$pid" -n "$@"`, id)
	r := finish(exec.Command(c.program, append([]string{"exec", pod.Spec.NodeName, "--", "sh", "-c", script, "sh"}, command...)...))
	if r.code != 0 {
		t.Fatalf("%v in %s: exit code %d: %s", command, pod.Name, r.code, r.stderr)
	}
	return r.stdout
}

// wantNothingLeft fails the test if a collector pod is still there. Deletion is accepted before the plugin exits, so an
// object may be seen for the moment that the kubelet needs; it must be on its way out and gone soon.
func (c *cluster) wantNothingLeft(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left := c.pods(t, ours)
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
