package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// refused makes what testdata/refused.yaml declares, until the test ends.
func (c *cluster) refused(t *testing.T) {
	t.Helper()
	c.Must(t, "delete", "-f", "testdata/refused.yaml", "--ignore-not-found", "--timeout=60s") // of a run before
	t.Cleanup(func() { c.Must(t, "delete", "-f", "testdata/refused.yaml", "--ignore-not-found", "--wait=false") })
	c.Must(t, "apply", "-f", "testdata/refused.yaml")
	for node, says := range map[string][2]string{
		"windows-1": {"windows", "True"}, "fargate-1": {"linux", "True"}, "virtual-1": {"linux", "True"}, "silent-1": {"linux", "Unknown"},
	} {
		c.Must(t, "patch", "node", node, "--subresource=status", "--type=merge", "-p",
			`{"status":{"nodeInfo":{"operatingSystem":"`+says[0]+`"},"conditions":[{"type":"Ready","status":"`+says[1]+`","reason":"Test","message":"kubelet stopped posting node status"}]}}`)
	}
	c.Must(t, "delete", "namespace", "faults-ending", "--wait=false")
	t.Cleanup(func() {
		c.Must(t, "-n", "faults-ending", "patch", "configmap", "hold", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	})
	for _, limited := range []string{"faults-quota-pods", "faults-quota-cpu", "faults-quota-memory"} {
		embedded.Eventually(t, "the quota of "+limited+" counts", func() error {
			if used := c.Must(t, "-n", limited, "get", "quota", "few", "-o", "jsonpath={.status.used}"); used == "" {
				return fmt.Errorf("not yet")
			}
			return nil
		})
	}
}

// What cannot work is refused long before the time is up, in words: the object, the reason, the next step. No pod is left.
func TestRefusals(t *testing.T) {
	c := need(t)
	t.Parallel()
	c.refused(t)
	in := func(ns string, args ...string) []string {
		return append([]string{"-n", namespace, "quiet-1", "--collector-namespace", ns}, args...)
	}
	const images = "faults-images"
	c.namespace(t, images, "privileged")
	image := func(name string, args ...string) []string { return in(images, append(args, "--image", name)...) }
	privileged := func(ns string) string {
		return "kubectl label namespace " + ns + " pod-security.kubernetes.io/enforce=privileged --overwrite\n  or use another namespace with --collector-namespace"
	}
	tests := []struct {
		name string
		args []string
		code int
		want []string // words on standard error
	}{
		{"Pod Security baseline", in("faults-baseline"), 1, []string{"creating collector pod faults-baseline/cosanet-", `violates PodSecurity "baseline:latest"`, "hostPID=true", privileged("faults-baseline")}},
		{"Pod Security restricted", in("faults-restricted"), 1, []string{`violates PodSecurity "restricted:latest"`, privileged("faults-restricted")}},
		{"Pod Security restricted, least profile", in("faults-restricted", "--profile", "restricted"), 1, []string{`violates PodSecurity "restricted:latest"`, privileged("faults-restricted")}},
		{"quota of pods", in("faults-quota-pods"), 1, []string{"exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0", "kubectl describe quota -n faults-quota-pods", "--max-concurrent-nodes"}},
		{"quota of CPU", in("faults-quota-cpu"), 1, []string{"exceeded quota: few, requested: limits.cpu=1", "kubectl describe quota -n faults-quota-cpu"}},
		{"quota of memory", in("faults-quota-memory"), 1, []string{"exceeded quota: few, requested: requests.memory=32Mi", "kubectl describe quota -n faults-quota-memory"}},
		{"limit range, maximum", in("faults-limit-max"), 1, []string{"maximum memory usage per Container is 128Mi, but limit is 256Mi", "kubectl describe limitrange -n faults-limit-max"}},
		{"limit range, minimum", in("faults-limit-min"), 1, []string{"minimum cpu usage per Container is 100m, but request is 10m", "kubectl describe limitrange -n faults-limit-min"}},
		{"limit range, ratio", in("faults-limit-ratio"), 1, []string{"cpu max limit to request ratio per Container is 2", "kubectl describe limitrange -n faults-limit-ratio"}},
		{"no such namespace", in("faults-nosuch"), 1, []string{`namespaces "faults-nosuch" not found`, "kubectl create namespace faults-nosuch && kubectl label namespace faults-nosuch pod-security.kubernetes.io/enforce=privileged"}},
		{"namespace that ends", in("faults-ending"), 1, []string{"faults-ending because it is being terminated", "use another namespace with --collector-namespace"}},
		{"Windows node", []string{"--node", "windows-1"}, 1, []string{"node windows-1: it runs windows"}},
		{"Fargate node", []string{"--node", "fargate-1"}, 1, []string{"node fargate-1: it is an AWS Fargate node"}},
		{"virtual node", []string{"--node", "virtual-1"}, 1, []string{"node virtual-1: it is a virtual node (virtual-kubelet)"}},
		{"NotReady node", []string{"--node", "silent-1"}, 1, []string{"node silent-1: it is NotReady: Test: kubelet stopped posting node status", "kubectl describe node silent-1"}},
		{"image that is not there", image("cosanet-demo:nosuch", "--image-pull-policy", "Never"), 1, []string{"node node-1: ", "ErrImageNeverPull", "kubectl cosanet image says how to load cosanet-demo:nosuch onto the node, or let it pull with --image-pull-policy IfNotPresent"}},
		{"image of no registry", image("127.0.0.1:9/cosanet:v1"), 1, []string{"node node-1: ", "ErrImagePull", "127.0.0.1:9", "connection refused", "check that the node can pull 127.0.0.1:9/cosanet:v1; see --image, --image-pull-secret and --image-pull-policy"}},
		{"image of no registry, with a secret that is not there", image("127.0.0.1:9/cosanet:v1", "--image-pull-secret", "nosuch"), 1, []string{"ErrImagePull", "connection refused", "--image-pull-secret"}},
		{"image that is another program", image("cosanet-demo:dev", "--image-pull-policy", "Never"), 1, []string{"the collector failed (exit code 1): demo: error: what to be?"}},
		{"image name that is none", image("Not/A Name"), 2, []string{"Not/A Name", "is no name of an image"}},
		{"user without any right", append(in(namespace), "--as", "faults-nobody"), 1, []string{`getting pod faults/quiet-1: pods "quiet-1" is forbidden: User "faults-nobody" cannot get`, "kubectl create rolebinding cosanet-targets -n faults --clusterrole=view --user=\"faults-nobody\""}},
	}
	t.Run("cases", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				start := time.Now()
				r := c.Run(append([]string{"cosanet", "top"}, tt.args...)...)
				t.Logf("%.1f s", time.Since(start).Seconds())
				outcome{code: tt.code, err: tt.want}.check(t, r)
				if strings.Contains(r.Stderr, "no answer within") {
					t.Error("it took until the time was up")
				}
				c.foretold(t, append([]string{"cosanet", "top"}, tt.args...), r)
			})
		}
	})
	c.WantNothingLeft(t, images)
	t.Run("the fix helps", func(t *testing.T) {
		advice := strings.Fields(strings.Split(privileged("faults-baseline"), "\n")[0])
		c.Must(t, advice[1:]...)
		fine("node-1").check(t, c.Run(append([]string{"cosanet", "top"}, in("faults-baseline")...)...))
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "Pod Security, quotas, limit ranges, namespaces, nodes and images that cannot work are refused: the object, the reason, the fix"})
	}
}

// What looks as if it were in the way, and is not.
func TestTolerated(t *testing.T) {
	c := need(t)
	t.Parallel()
	tests := []struct {
		name       string
		make, undo []string
		node       string
		args       []string
	}{
		{"cordoned", []string{"cordon", "node-2"}, []string{"uncordon", "node-2"}, "node-2", nil},
		{"tainted NoSchedule", []string{"taint", "node", "node-2", "faults.test/x=y:NoSchedule"}, []string{"taint", "node", "node-2", "faults.test/x-"}, "node-2", nil},
		{"tainted NoExecute", []string{"taint", "node", "node-1", "faults.test/x=y:NoExecute"}, []string{"taint", "node", "node-1", "faults.test/x-"}, "node-1", nil},
		{"another hostname", []string{"label", "node", "node-1", "kubernetes.io/hostname=ip-192-0-2-1", "--overwrite"}, []string{"label", "node", "node-1", "kubernetes.io/hostname=node-1", "--overwrite"}, "node-1", nil},
		{"secret that is not there, image that is", []string{"version"}, []string{"version"}, "node-1", []string{"--image-pull-secret", "nosuch"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c.Must(t, tt.make...)
			t.Cleanup(func() { c.Must(t, tt.undo...) })
			c.foretold(t, append([]string{"cosanet", "top", "--node", tt.node, "-n", namespace}, tt.args...), embedded.Result{})
			fine(tt.node).check(t, c.top(tt.node, tt.args...))
			c.WantNothingLeft(t, namespace)
		})
	}
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "Cordoned and tainted nodes, other host names and missing secrets of images that are there are no obstacle"})
	}
}
