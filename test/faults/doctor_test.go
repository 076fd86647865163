package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// foretold fails the test unless `kubectl cosanet doctor` with the flags of a run says what came of the run: exit code 0 where
// it worked and 1 where it did not, or 4 where it shows only in a run.
func (c *cluster) foretold(t testing.TB, run []string, was embedded.Result) {
	t.Helper()
	args := slices.Clone(run)
	args[slices.Index(args, "top")] = "doctor"
	image := slices.Contains(run, "--image")
	var r embedded.Result
	embedded.Eventually(t, "doctor can tell", func() error { // a kubelet looks through its images twice a minute
		if r = c.Run(append(args, "-o", "json")...); r.Code == 4 && !image {
			return fmt.Errorf("%s", r.Stdout)
		}
		return nil
	})
	want := map[bool]int{true: 0, false: 1}[was.Code == 0]
	switch {
	case was.Code == 2: // a command line that is wrong is wrong for both
		want = 2
	case was.Code != 0 && r.Code == 4 && image:
		return
	}
	if r.Code != want {
		t.Errorf("kubectl %s: exit code %d, and the run's was %d\n%s%s", strings.Join(args, " "), r.Code, was.Code, r.Stdout, r.Stderr)
	}
}

// diagnosis is what doctor shows as JSON, by check.
func (c *cluster) diagnosis(t testing.TB, code int, args ...string) map[string][]string {
	t.Helper()
	var d struct {
		Checks []struct{ Check, Status, Detail string }
	}
	r := c.Cosanet(t, code, append([]string{"doctor", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil {
		t.Fatal(err)
	}
	said := map[string][]string{}
	for _, check := range d.Checks {
		said[check.Check] = append(said[check.Check], check.Status+": "+check.Detail)
	}
	return said
}

// Doctor tells what there is, and its fixes are those that help: who has no right at all pastes them until all are there.
func TestDoctor(t *testing.T) {
	c := need(t)
	t.Parallel()
	const home, user = "faults-doctor", "faults-patient"
	c.namespace(t, home, "privileged")
	flags := []string{"-n", namespace, "--collector-namespace", home, "--node", "node-1", "--node", "node-2"} // other tests make more nodes
	embedded.Eventually(t, "the nodes tell of the collector's image", func() error {
		if r := c.Run(append([]string{"cosanet", "doctor"}, flags...)...); r.Code != 0 {
			return fmt.Errorf("%s%s", r.Stdout, r.Stderr)
		}
		return nil
	})

	t.Run("fixes", func(t *testing.T) {
		t.Cleanup(func() {
			c.Must(t, "delete", "clusterrole,clusterrolebinding", "cosanet-targets", "cosanet-home", "--ignore-not-found")
			c.Must(t, "-n", namespace, "delete", "rolebinding", "cosanet-targets", "--ignore-not-found")
		})
		as := append(slices.Clone(flags), "--as", user)
		r := c.Cosanet(t, 1, append([]string{"doctor"}, as...)...)
		if !strings.Contains(r.Stderr, "error: a run would fail, for rights") {
			t.Errorf("it does not say so:\n%s", r.Stderr)
		}
		_, fixes, _ := strings.Cut(r.Stdout, "\nrights:\n")
		fixes, _, _ = strings.Cut(fixes, "\n\n")
		c.follow(t, embedded.Result{Stderr: fixes}, "kubectl create ")
		embedded.Eventually(t, "a run would work", func() error {
			if r := c.Run(append([]string{"cosanet", "doctor"}, as...)...); r.Code != 0 || strings.Contains(r.Stdout, "may not") && !strings.Contains(r.Stdout, "policy") {
				return fmt.Errorf("%s%s", r.Stdout, r.Stderr)
			}
			return nil
		})
		fine("node-1").check(t, c.Run(append([]string{"cosanet", "top"}, as...)...))
		c.WantNothingLeft(t, home)
	})

	t.Run("leftovers", func(t *testing.T) {
		// What a run leaves that was killed: a pod with its marks, which has ended. Doctor counts it as such when it is old.
		c.Apply(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cosanet-leftover", "namespace": %q,
			"labels": {"app.kubernetes.io/managed-by": "kubectl-cosanet"}, "annotations": {"cosanet.io/run-id": "x"}},
			"spec": {"restartPolicy": "Never", "containers": [{"name": "collector", "image": "cosanet-demo:dev", "imagePullPolicy": "Never"}]}}`, home))
		t.Cleanup(func() { c.Must(t, "-n", home, "delete", "pod", "cosanet-leftover", "--ignore-not-found", "--force") })
		if said := c.diagnosis(t, 0, flags...)["leftovers"]; !strings.Contains(said[0], "of runs that may be under way") {
			t.Errorf("leftovers: %v", said)
		}
	})

	t.Run("exporter", func(t *testing.T) {
		c.Cosanet(t, 0, "serve", "--collector-namespace", home, "--timeout", "60s")
		t.Cleanup(func() { c.Cosanet(t, 0, "serve", "--remove", "--collector-namespace", home, "--timeout", "60s") })
		said := c.diagnosis(t, 0, flags...)
		if !strings.HasPrefix(said["exporter"][0], "ok: ready on 2 of 2 nodes, of version ") {
			t.Errorf("exporter: %v", said["exporter"])
		}
		c.foretold(t, append([]string{"cosanet", "top", "--source", "exporter"}, flags...), embedded.Result{})
	})
}

// Doctor changes nothing: what the API server keeps is the same before and after, but for what changes by itself.
func TestDoctorChangesNothing(t *testing.T) {
	c := need(t) // not parallel: the tests that are wait for this one's end
	everything := func() string {
		kinds := strings.Fields(c.Must(t, "api-resources", "--verbs=list", "-o", "name"))
		kinds = slices.DeleteFunc(kinds, func(kind string) bool {
			return slices.Contains([]string{"events", "events.events.k8s.io", "leases.coordination.k8s.io", "nodes", "componentstatuses"}, kind)
		})
		return c.Must(t, "get", strings.Join(kinds, ","), "-A", "--ignore-not-found", "--no-headers",
			"-o", "custom-columns=KIND:.kind,NS:.metadata.namespace,NAME:.metadata.name,UID:.metadata.uid,VERSION:.metadata.resourceVersion")
	}
	var before string
	embedded.Eventually(t, "the cluster is quiet", func() error { // controllers finish what the suite's pods began
		before = everything()
		time.Sleep(time.Second)
		if everything() != before {
			return fmt.Errorf("it is not")
		}
		return nil
	})
	for _, args := range [][]string{{"-A"}, {"--node", "node-1", "--profile", "restricted"}, {"--source", "exporter"}, {"--as", "faults-nobody"}} {
		c.Run(append([]string{"cosanet", "doctor"}, args...)...)
	}
	if after := everything(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
