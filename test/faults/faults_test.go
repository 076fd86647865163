// Package faults breaks what kubectl-cosanet stands on, and looks at what it says and leaves: signals, connections, kubelets,
// container runtimes, webhooks, quotas and rights, on an embedded Kubernetes of its own.
package faults

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// namespace is where the suite's own pods live, and its collectors unless a test says otherwise.
const namespace = "faults"

// cluster is the embedded Kubernetes with what the suite does to it.
type cluster struct{ embedded.Cluster }

// need returns the running cluster with the suite's pods on it. A laptop without one skips; CI must have one.
func need(t testing.TB) *cluster {
	t.Helper()
	c, err := connect()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("%v (bin/cluster up --name faults brings it up)", err)
	}
	if err := deployed(); err != nil {
		t.Fatal(err)
	}
	return c
}

var connect = sync.OnceValues(func() (*cluster, error) {
	c, err := embedded.Connect("faults")
	if err != nil {
		return nil, err
	}
	return &cluster{*c}, nil
})

var deployed = sync.OnceValue(func() error {
	c, err := connect()
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"delete", "namespace", namespace, "--ignore-not-found", "--wait"},
		{"apply", "-f", "testdata/pods.yaml"},
		{"-n", namespace, "wait", "pod", "--all", "--for=condition=Ready", "--timeout=120s"},
	} {
		if r := c.Run(args...); r.Code != 0 {
			return fmt.Errorf("kubectl %s: %s", strings.Join(args, " "), r.Stderr)
		}
	}
	return nil
})

// namespace makes a namespace that admits pods of a level of Pod Security, until the test ends.
func (c *cluster) namespace(t testing.TB, name, level string) {
	t.Helper()
	c.Must(t, "delete", "namespace", name, "--ignore-not-found", "--timeout=60s") // of a run before
	t.Cleanup(func() { c.Must(t, "delete", "namespace", name, "--wait=false") })
	c.Apply(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+name+`", "labels": {"pod-security.kubernetes.io/enforce": "`+level+`"}}}`)
	embedded.Eventually(t, "namespace "+name+" has its service account", func() error { // no pod is admitted before
		if r := c.Run("-n", name, "get", "serviceaccount", "default"); r.Code != 0 {
			return fmt.Errorf("%s", r.Stderr)
		}
		return nil
	})
}
