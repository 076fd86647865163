package plugin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

func podAt(namespace, name, node string, phase corev1.PodPhase) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: phase},
	}
}

// onHosts selects nodes by the label that each has.
func onHosts(names ...string) labels.Selector {
	r, err := labels.NewRequirement(corev1.LabelHostname, selection.In, names)
	if err != nil {
		panic(err)
	}
	return labels.NewSelector().Add(*r)
}

func TestResolve(t *testing.T) {
	s := newAPIServer(t, "n1", "n2", "n3")
	for _, pod := range []*corev1.Pod{
		podAt("shop", "web", "n1", corev1.PodRunning),
		podAt("shop", "db", "n2", corev1.PodRunning),
		podAt("shop", "new", "", corev1.PodPending),
		podAt("shop", "starting", "n2", corev1.PodPending),
		podAt("shop", "done", "n3", corev1.PodSucceeded),
		podAt("lab", "web", "n2", corev1.PodRunning),
	} {
		s.put(pod)
	}
	named := func(refs ...PodRef) Selection { return Selection{Namespace: "shop", Pods: refs} }
	for _, tt := range []struct {
		name  string
		sel   Selection
		pods  []string
		nodes []string
	}{
		{"a namespace", Selection{Namespace: "shop"}, []string{"shop/db", "shop/done", "shop/new", "shop/starting", "shop/web"}, []string{"n1", "n2"}},
		{"all namespaces", Selection{}, []string{"lab/web", "shop/db", "shop/done", "shop/new", "shop/starting", "shop/web"}, []string{"n1", "n2"}},
		{"a namespace without pods", Selection{Namespace: "void"}, nil, nil},
		{"all nodes", Selection{Namespace: "lab", AllNodes: true}, []string{"lab/web"}, []string{"n1", "n2", "n3"}},
		{"some nodes", Selection{Nodes: []string{"n1", "n3", "n1"}}, []string{"shop/done", "shop/web"}, []string{"n1", "n3"}},
		{"nodes without their pods", Selection{Nodes: []string{"n2", "n1"}, HostsOnly: true}, nil, []string{"n1", "n2"}},
		{"a pod", named(PodRef{"", "web"}), []string{"shop/web"}, []string{"n1"}},
		{"a pod twice, one elsewhere", named(PodRef{"", "web"}, PodRef{"shop", "web"}, PodRef{"lab", "web"}), []string{"lab/web", "shop/web"}, []string{"n1", "n2"}},
		{"nodes by label", Selection{Namespace: "shop", NodeLabel: onHosts("n2", "n3")}, []string{"shop/db", "shop/done", "shop/starting"}, []string{"n2", "n3"}},
		{"a sample", Selection{Namespace: "lab", Sample: Sample{100, 1}}, []string{"lab/web"}, []string{"n2"}},
		{"a sample of all nodes", Selection{AllNodes: true, Sample: Sample{1, 2}}, []string{"shop/web"}, []string{"n1"}},
		{"a pod and a node", Selection{Namespace: "shop", Pods: []PodRef{{"", "web"}}, Nodes: []string{"n3"}}, []string{"shop/web"}, []string{"n1", "n3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.sel.Labels, tt.sel.Fields = labels.Everything(), fields.Everything()
			got, err := tt.sel.resolve(t.Context(), s.client(t))
			if err != nil {
				t.Fatal(err)
			}
			var pods []string
			for _, pod := range got.pods {
				pods = append(pods, pod.namespace+"/"+pod.name)
			}
			if diff := cmp.Diff(tt.pods, pods); diff != "" {
				t.Errorf("pods (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.nodes, got.nodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
		})
	}
}

// A pod is joined by the others of its workload, wherever they run.
func TestResolveKin(t *testing.T) {
	s := newAPIServer(t, "n1", "n2", "n3")
	owned := func(pod *corev1.Pod, kind, name string) {
		yes := true
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: &yes}}
		s.put(pod)
	}
	owned(podAt("shop", "web-0", "n1", corev1.PodRunning), "StatefulSet", "web")
	owned(podAt("shop", "web-1", "n2", corev1.PodRunning), "StatefulSet", "web")
	owned(podAt("shop", "web-2", "n3", corev1.PodFailed), "StatefulSet", "web")
	owned(podAt("lab", "web-3", "n3", corev1.PodRunning), "StatefulSet", "web")
	owned(podAt("shop", "agent", "n3", corev1.PodRunning), "DaemonSet", "web")
	s.put(podAt("shop", "bare", "n3", corev1.PodRunning))
	s.put(podAt("shop", "bare-too", "n3", corev1.PodRunning))
	for pod, want := range map[string][]string{"web-0": {"web-0 n1", "web-1 n2"}, "bare": {"bare n3"}} {
		sel := anything()
		sel.Pods, sel.Kin = []PodRef{{"shop", pod}}, true
		got, err := sel.resolve(t.Context(), s.client(t))
		if err != nil {
			t.Fatal(err)
		}
		var pods []string
		for _, p := range got.pods {
			pods = append(pods, p.name+" "+p.node)
		}
		if diff := cmp.Diff(want, pods); diff != "" {
			t.Errorf("%s and its siblings (-want +got):\n%s", pod, diff)
		}
	}
}

// Everything that is wrong with the named pods is said at once.
func TestResolveProblems(t *testing.T) {
	s := newAPIServer(t)
	s.put(podAt("shop", "done", "n3", corev1.PodSucceeded))
	waiting := podAt("shop", "waiting", "", corev1.PodPending)
	waiting.Status = scheduled(corev1.ConditionFalse, "Unschedulable", "0/2 nodes are available: 2 Insufficient cpu.")
	s.put(waiting)
	s.put(podAt("shop", "fine", "n1", corev1.PodRunning))
	evicted := podAt("shop", "evicted", "n1", corev1.PodFailed)
	evicted.Status.Reason = "Evicted"
	s.put(evicted)
	sel := Selection{Namespace: "shop", Pods: []PodRef{{"", "nosuch"}, {"", "fine"}, {"", "done"}, {"", "waiting"}, {"", "evicted"}, {"void", "x"}}}
	_, err := sel.resolve(t.Context(), s.client(t))
	want := `pods "nosuch" not found in namespace "shop"
  kubectl get pods -A --field-selector metadata.name=nosuch
pod shop/done has ended (Succeeded): its network namespace and the counters in it are gone
  kubectl get pods -n shop
pod shop/waiting is on no node yet: 0/2 nodes are available: 2 Insufficient cpu.
  kubectl describe pod -n shop waiting
pod shop/evicted has ended (Evicted): its network namespace and the counters in it are gone
  kubectl get pods -n shop
pods "x" not found in namespace "void"
  kubectl get pods -A --field-selector metadata.name=x`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// A listing larger than a page comes whole, of one node and of any.
func TestResolvePages(t *testing.T) {
	s := newAPIServer(t)
	for i := range 1201 {
		s.put(podAt("shop", fmt.Sprintf("web-%04d", i), fmt.Sprintf("n%d", i%2), corev1.PodRunning))
	}
	for _, tt := range []struct {
		nodes []string
		pods  int
	}{{nil, 1201}, {[]string{"n0"}, 601}, {[]string{"n0", "n1"}, 1201}} {
		sel := Selection{Namespace: "shop", Labels: labels.Everything(), Fields: fields.Everything(), Nodes: tt.nodes}
		got, err := sel.resolve(t.Context(), s.client(t))
		if err != nil || len(got.pods) != tt.pods {
			t.Errorf("on %v %d pods, %v; want %d", tt.nodes, len(got.pods), err, tt.pods)
		}
	}
}

// A listing whose moment the API server forgets between two pages goes on from where it is, with nothing twice.
func TestResolveForgottenPages(t *testing.T) {
	s := newAPIServer(t)
	for i := range 1201 {
		s.put(podAt("shop", fmt.Sprintf("web-%04d", i), "n1", corev1.PodRunning))
	}
	forgotten := 0
	s.throttle = func(w http.ResponseWriter, r *http.Request) bool {
		next := r.URL.Query().Get("continue")
		if next == "" || strings.HasPrefix(next, "0") {
			return false
		}
		forgotten++
		status := failure(410, metav1.StatusReasonExpired, "The provided continue parameter is too old to display a consistent list result.")
		status.Continue = "0" + next
		answer(w, status)
		return true
	}
	sel := Selection{Namespace: "shop", Labels: labels.Everything(), Fields: fields.Everything()}
	got, err := sel.resolve(t.Context(), s.client(t))
	if err != nil || len(got.pods) != 1201 || forgotten != 2 {
		t.Errorf("%d pods, %v, forgotten %d times; want 1201 and 2", len(got.pods), err, forgotten)
	}
}

// What is selected is for the API server to decide: it gets the selectors.
func TestResolveSelectors(t *testing.T) {
	var asked []string
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, strings.Join([]string{r.URL.Path, q.Get("labelSelector"), q.Get("fieldSelector")}, " "))
		answer(w, &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}})
	}))
	defer server.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	app := labels.SelectorFromSet(labels.Set{"app": "web"})
	for _, sel := range []Selection{
		{Namespace: "shop", Labels: app, Fields: fields.OneTermEqualSelector("status.phase", "Running")},
		{Labels: app, Fields: fields.Everything(), Nodes: []string{"n1"}},
		{Labels: labels.Everything(), Fields: fields.OneTermEqualSelector("status.phase", "Running"), Nodes: []string{"n1"}},
		{Labels: labels.Everything(), Fields: fields.Everything(), Nodes: []string{"n1", "n2"}},
		{Labels: labels.Everything(), Fields: fields.Everything(), Nodes: strings.Split("abcdefghijklmnopq", "")}, // each by itself would be too many
	} {
		if _, err := sel.resolve(t.Context(), client); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"/api/v1/namespaces/shop/pods app=web status.phase=Running",
		"/api/v1/pods app=web spec.nodeName=n1",
		"/api/v1/pods  status.phase=Running,spec.nodeName=n1",
		"/api/v1/pods  ",
		"/api/v1/pods  spec.nodeName=n1",
		"/api/v1/pods  spec.nodeName=n2",
	}
	slices.Sort(want)
	slices.Sort(asked)
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}
