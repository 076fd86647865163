package faults

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/plugin"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// Where a right is given.
const (
	home   = "faults-rights" // the namespace of the collector pods and of the exporter
	target = namespace       // that of the pods looked at
	all    = ""              // the whole cluster
)

// right is one verb on one resource.
type right struct{ where, resource, verb string }

func (r right) String() string {
	if r == (right{}) {
		return "nothing"
	}
	return r.verb + " " + r.resource + " in " + map[string]string{home: "the collector namespace", target: "the namespace of the pods", all: "the cluster"}[r.where]
}

// published are the rights that the documents name.
var published = func() (rights []right) {
	where := map[plugin.Place]string{plugin.InCollectors: home, plugin.InTargets: target, plugin.InCluster: all}
	for _, r := range plugin.Rights() {
		rights = append(rights, right{where[r.Where], r.Resource, r.Verb})
	}
	return rights
}()

// grant makes the roles and bindings by which a user has exactly these rights, and returns them as a manifest.
func grant(t testing.TB, user string, rights []right) string {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for _, r := range rights {
		rules[r.where] = append(rules[r.where], rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{r.resource}, Verbs: []string{r.verb}})
	}
	subjects := []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}}
	var objects []any
	for where, rules := range rules {
		meta := metav1.ObjectMeta{Name: user, Namespace: where}
		kind := func(name string) metav1.TypeMeta {
			return metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: name}
		}
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user}
		if where == all {
			ref.Kind = "ClusterRole"
			objects = append(objects, rbacv1.ClusterRole{TypeMeta: kind("ClusterRole"), ObjectMeta: meta, Rules: rules},
				rbacv1.ClusterRoleBinding{TypeMeta: kind("ClusterRoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref})
			continue
		}
		objects = append(objects, rbacv1.Role{TypeMeta: kind("Role"), ObjectMeta: meta, Rules: rules},
			rbacv1.RoleBinding{TypeMeta: kind("RoleBinding"), ObjectMeta: meta, Subjects: subjects, RoleRef: ref})
	}
	var documents []string
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, string(text))
	}
	return strings.Join(documents, "\n---\n")
}

// The published rights are enough for every kind of run. Without any one of them, what needs it is refused with the command
// that grants it, and no pod is left; or nothing is lost, and that is said here.
func TestRights(t *testing.T) {
	c := need(t)
	t.Parallel()
	c.namespace(t, home, "privileged")
	c.Cosanet(t, 0, "serve", "--collector-namespace", home, "--timeout", "60s")

	pod := []string{"top", "-n", target, "quiet-1", "--collector-namespace", home, "--source", "pod"}
	list := []string{"top", "-n", target, "-l", "app=quiet", "--collector-namespace", home, "--source", "pod"}
	nodes := []string{"top", "--node-selector", "kubernetes.io/os=linux", "-n", target, "--collector-namespace", home, "--source", "pod"}
	exporter := []string{"top", "-n", target, "quiet-1", "--collector-namespace", home, "--source", "exporter"}
	either := []string{"top", "-n", target, "quiet-1", "--collector-namespace", home}
	role := "kubectl create role cosanet -n " + home + " --verb=create,get,list,watch,delete --resource=pods,pods/log && kubectl create rolebinding cosanet -n " + home + " --role=cosanet --user="
	view := "kubectl create rolebinding cosanet-targets -n " + target + " --clusterrole=view --user="
	wide := "kubectl create clusterrole cosanet-targets --verb=get,list --resource=pods,nodes && kubectl create clusterrolebinding cosanet-targets --clusterrole=cosanet-targets --user="
	proxy := "kubectl create role cosanet-exporter -n " + home + " --verb=get --resource=pods/proxy && kubectl create rolebinding cosanet-exporter -n " + home + " --role=cosanet-exporter --user="
	refused := func(words ...string) outcome { return outcome{code: 1, err: words} }
	shown := func(words ...string) outcome { return outcome{out: []string{"quiet-1"}, err: words} }
	tests := []struct {
		without right // none: all are there
		run     []string
		want    outcome
	}{
		{run: pod, want: shown()}, {run: list, want: shown()}, {run: nodes, want: shown()}, {run: exporter, want: shown()}, {run: either, want: shown()},
		{right{home, "pods", "create"}, pod, refused("creating collector pod "+home+"/cosanet-", `cannot create resource "pods"`, role)},
		{right{home, "pods", "get"}, pod, shown()},  // asked only where the answer to a creation was lost, or a watch ended
		{right{home, "pods", "list"}, pod, shown()}, // asked only for what earlier runs left
		{right{home, "pods", "list"}, exporter, refused(`cannot list resource "pods"`, home)},
		{right{home, "pods", "watch"}, pod, refused("watching it: ", `cannot watch resource "pods"`, role)},
		{right{home, "pods", "delete"}, pod, outcome{code: 1, out: []string{"quiet-1"}, err: []string{"deleting collector pod " + home + "/cosanet-", `cannot delete resource "pods"`, "kubectl delete pod -n " + home + " cosanet-"}}},
		{right{home, "pods/log", "get"}, pod, refused("opening it: ", `cannot get resource "pods/log"`, role)},
		{right{home, "events", "list"}, pod, shown()}, // asked only for better words where time is over
		{right{target, "pods", "get"}, pod, refused("getting pod "+target+"/quiet-1: ", `cannot get resource "pods"`, view)},
		{right{target, "pods", "list"}, list, refused("listing pods: ", `cannot list resource "pods"`, view)},
		{right{all, "nodes", "get"}, pod, shown()}, // the pod's own state tells the same, later
		{right{all, "nodes", "list"}, nodes, refused("listing nodes: ", `cannot list resource "nodes"`, wide)},
		{right{all, "namespaces", "get"}, pod, shown()}, // asked only where --collector-namespace names none: then it is default
		{right{all, "namespaces", "get"}, []string{"top", "-n", target, "quiet-1"}, refused("creating collector pod default/cosanet-", `cannot create resource "pods"`)},
		{right{home, "pods/proxy", "get"}, exporter, refused(`cannot get resource "pods/proxy"`, proxy)},
		{right{home, "pods/proxy", "get"}, either, shown("asked by a pod, since ")},
	}
	var manifests []string
	users := map[right]string{}
	for i, without := range append([]right{{}}, published...) {
		if !slices.ContainsFunc(tests, func(tt struct {
			without right
			run     []string
			want    outcome
		}) bool {
			return tt.without == without
		}) {
			t.Errorf("nothing shows what comes of a missing right to %s", without)
		}
		users[without] = fmt.Sprintf("faults-user-%d", i)
		manifests = append(manifests, grant(t, users[without], slices.DeleteFunc(slices.Clone(published), func(r right) bool { return r == without })))
	}
	c.Apply(t, strings.Join(manifests, "\n---\n"))
	t.Cleanup(func() {
		for _, user := range users {
			c.Must(t, "delete", "clusterrole,clusterrolebinding", user, "--ignore-not-found", "--wait=false")
			c.Must(t, "-n", target, "delete", "role,rolebinding", user, "--ignore-not-found", "--wait=false")
		}
	})
	embedded.Eventually(t, "the last role is known", func() error {
		if r := c.Run("auth", "can-i", "get", "pods", "-n", target, "--as", users[published[len(published)-1]]); r.Code != 0 {
			return fmt.Errorf("%s", r.Stdout)
		}
		return nil
	})

	t.Run("one by one", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(fmt.Sprintf("without %s, %s", tt.without, tt.run[len(tt.run)-1]), func(t *testing.T) {
				t.Parallel()
				user := users[tt.without]
				r := c.Run(append(append([]string{"cosanet"}, tt.run...), "--as", user)...)
				tt.want.check(t, r)
				if strings.Contains(r.Stderr, "--user=") && !strings.Contains(r.Stderr, fmt.Sprintf("--user=%q", user)) {
					t.Errorf("the advice is for somebody else:\n%s", r.Stderr)
				}
				c.follow(t, r, "kubectl delete pod ")
				c.foretold(t, append(append([]string{"cosanet"}, tt.run...), "--as", user), r)
			})
		}
	})
	c.WantNothingLeft(t, home)
	t.Run("the fix helps", func(t *testing.T) {
		user := "faults-user-new"
		c.Apply(t, grant(t, user, []right{{target, "pods", "get"}}))
		defer c.Must(t, "-n", target, "delete", "role,rolebinding", user)
		r := c.Run(append(append([]string{"cosanet"}, pod...), "--as", user)...)
		refused(role).check(t, r)
		c.follow(t, r, "kubectl create role ")
		shown().check(t, c.Run(append(append([]string{"cosanet"}, pod...), "--as", user)...))
		c.WantNothingLeft(t, home)
	})
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Privilege, Runs: len(tests) + 1, Faults: len(tests) - 4, // all but those with all rights, and the fix
			Survived: len(tests) + 1,
			Claim:    "The published rights are enough, and each one that is missing is told with the command that grants it, or missed by nobody"})
	}
}

// follow runs, as the administrator, the line of an error that begins with a command.
func (c *cluster) follow(t testing.TB, r embedded.Result, command string) {
	t.Helper()
	for line := range strings.Lines(r.Stderr) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, command) {
			shell := exec.Command("sh", "-c", strings.ReplaceAll(line, "kubectl ", c.Kubectl+" "))
			shell.Env = c.Env
			if done := embedded.Finish(shell); done.Code != 0 {
				t.Errorf("%s: exit code %d: %s", line, done.Code, done.Stderr)
			}
		}
	}
}
