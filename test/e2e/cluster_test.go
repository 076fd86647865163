// Package e2e drives kubectl-cosanet as its users do, by the real kubectl, against the embedded Kubernetes of
// test/cluster. `make test-e2e` brings the cluster up, imports the images and runs it.
package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// namespace is where the suite's own pods live.
const namespace = "e2e"

// cluster is the embedded Kubernetes with what the suite asks of it.
type cluster struct{ embedded.Cluster }

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
	c, err := embedded.Connect("")
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
		if r := c.Run(args...); r.Code != 0 {
			return fmt.Errorf("kubectl %s: %s", strings.Join(args, " "), r.Stderr)
		}
	}
	return nil
}
