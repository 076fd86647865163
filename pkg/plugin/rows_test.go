package plugin

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// listed is a running pod as the API server lists it.
func listed(namespace, name, node string, changes ...func(*corev1.Pod)) corev1.Pod {
	pod := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.7"},
	}
	for _, change := range changes {
		change(&pod)
	}
	return pod
}

func phase(p corev1.PodPhase) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Status.Phase = p }
}

func owner(kind, name string) func(*corev1.Pod) {
	yes := true
	return func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: "x"}, {Kind: kind, Name: name, Controller: &yes}}
	}
}

// live is a fleet of one node that answered once, with the given records and pods.
func live(t *testing.T, pods []corev1.Pod, boxes ...metrics.Sandbox) *Fleet {
	var members []member
	for _, box := range boxes {
		m := member{box: box}
		if !box.HostNetwork {
			m.first = counted{"Tcp_CurrEstab": 3}
		}
		members = append(members, m)
	}
	known := []livePod{}
	for i := range pods {
		known = append(known, newLivePod(&pods[i]))
	}
	fleet := &Fleet{Pods: known, Observations: []Observation{{Node: "node-1", Snapshots: record(t, "node-1", members, 1)}}}
	fleet.name()
	return fleet
}

// brief writes a row as one line: name, first value or word, controller, why.
func brief(r *row) string {
	columns := []column{{name: "EST", formula: formula{sum: []string{snmp + "Tcp_CurrEstab"}}}}
	return strings.Join(strings.Fields(r.title()+" "+r.cells(columns)[0].text+" "+r.controller()+" "+r.why), " ")
}

func TestRowsOfListedPods(t *testing.T) {
	uid := metrics.Sandbox{NetNS: "uid-web", UID: "uid-web"} // as the restricted profile tells it
	tests := map[string]struct {
		pods  []corev1.Pod
		boxes []metrics.Sandbox
		want  []string
	}{
		"by name": {
			pods:  []corev1.Pod{listed("shop", "web", "node-1")},
			boxes: []metrics.Sandbox{{Namespace: "shop", Pod: "web", NetNS: "cni-1"}, {Namespace: "shop", Pod: "other", NetNS: "cni-2"}},
			want:  []string{"shop/web 3"},
		},
		"by UID": {
			pods:  []corev1.Pod{listed("shop", "web", "node-1")},
			boxes: []metrics.Sandbox{uid},
			want:  []string{"shop/web 3"},
		},
		"a static pod by its manifest's hash": {
			pods: []corev1.Pod{listed("kube-system", "etcd-node-1", "node-1", func(p *corev1.Pod) {
				p.Annotations = map[string]string{"kubernetes.io/config.hash": "uid-web", corev1.MirrorPodAnnotationKey: "uid-web"}
			})},
			boxes: []metrics.Sandbox{uid},
			want:  []string{"kube-system/etcd-node-1 3"},
		},
		"nobody's record": {
			pods:  []corev1.Pod{listed("shop", "db", "node-1")},
			boxes: []metrics.Sandbox{uid},
			want:  []string{"shop/db gone the node has no network namespace of it"},
		},
		"an old sandbox of the same name": {
			pods: []corev1.Pod{listed("shop", "web", "node-1")},
			boxes: []metrics.Sandbox{
				{Namespace: "shop", Pod: "web", NetNS: "cni-old", UID: "uid-old", ControllerKind: "Old", ControllerName: "old"},
				{Namespace: "shop", Pod: "web", NetNS: "cni-new", UID: "uid-web", ControllerKind: "New", ControllerName: "new"},
			},
			want: []string{"shop/web 3 new/new"},
		},
		"host network": {
			pods: []corev1.Pod{
				listed("kube-system", "proxy", "node-1"),
				listed("kube-system", "proxy-nobody-told-of", "node-1", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
			},
			boxes: []metrics.Sandbox{{Namespace: "kube-system", Pod: "proxy", NetNS: "HOST-proxy", HostNetwork: true}},
			want:  []string{"kube-system/proxy host", "kube-system/proxy-nobody-told-of host"},
		},
		"on its way": {
			pods: []corev1.Pod{
				listed("shop", "waits", "", phase(corev1.PodPending)),
				listed("shop", "starts", "node-1", phase(corev1.PodPending)),
				listed("shop", "gated", ""),
			},
			want: []string{"shop/gated gone it is on no node", "shop/starts pending", "shop/waits pending"},
		},
		"ended": {
			pods: []corev1.Pod{listed("shop", "job", "node-1", phase(corev1.PodSucceeded)), listed("shop", "evicted", "", phase(corev1.PodFailed))},
		},
		"on a node that did not answer": {
			pods: []corev1.Pod{listed("shop", "web", "node-9")},
		},
		"a Deployment's": {
			pods: []corev1.Pod{
				listed("shop", "web-5b7c8-x", "node-1", owner("ReplicaSet", "web-5b7c8"), func(p *corev1.Pod) { p.Labels = map[string]string{"pod-template-hash": "5b7c8"} }),
				listed("shop", "bare-rs-x", "node-1", owner("ReplicaSet", "bare-rs")),
				listed("shop", "agent-x", "node-1", owner("DaemonSet", "agent")),
			},
			want: []string{
				"shop/agent-x gone daemonset/agent the node has no network namespace of it",
				"shop/bare-rs-x gone replicaset/bare-rs the node has no network namespace of it",
				"shop/web-5b7c8-x gone deployment/web the node has no network namespace of it",
			},
		},
		"none": {pods: []corev1.Pod{}, boxes: []metrics.Sandbox{{Namespace: "shop", Pod: "web", NetNS: "cni-1"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			sel := anything()
			sel.Namespace = "shop" // no row of the node itself
			var got []string
			for _, r := range rowsOf(live(t, tt.pods, tt.boxes...), &sel, false) {
				got = append(got, brief(r))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReborn(t *testing.T) {
	first := metrics.Sandbox{Namespace: "shop", Pod: "web-0", NetNS: "cni-1", UID: "uid-1"}
	tests := map[string]struct {
		last       func(*metrics.Sandbox)
		wantReborn bool
	}{
		"the same":             {func(*metrics.Sandbox) {}, false},
		"a new sandbox":        {func(s *metrics.Sandbox) { s.NetNS = "cni-2" }, true},
		"a new pod":            {func(s *metrics.Sandbox) { s.UID = "uid-2" }, true},
		"a controller came up": {func(s *metrics.Sandbox) { s.ControllerKind, s.ControllerName = "StatefulSet", "web" }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			last := first
			tt.last(&last)
			earlier := &metrics.Snapshot{Records: []metrics.Record{{Sandbox: first}}}
			if r, reborn := beginning(earlier, &last); r == nil || reborn != tt.wantReborn {
				t.Errorf("record found: %v, reborn: %v, want %v", r != nil, reborn, tt.wantReborn)
			}
		})
	}
	t.Run("two without a name", func(t *testing.T) {
		one := &metrics.Snapshot{Records: []metrics.Record{{Sandbox: metrics.Sandbox{NetNS: "a", UID: "a"}}}}
		if r, reborn := beginning(one, &metrics.Sandbox{NetNS: "b", UID: "b"}); r != nil || reborn {
			t.Errorf("a nameless record was taken for another: found %v, reborn %v", r != nil, reborn)
		}
	})
}

func TestRates(t *testing.T) {
	two := []*metrics.Snapshot{{Time: began}, {Time: began.Add(time.Second)}}
	stuck := []*metrics.Snapshot{{Time: began}, {Time: began}}
	tests := map[string]struct {
		snapshots [][]*metrics.Snapshot
		wanted    bool
		want      bool
		wantErrs  []string
	}{
		"two samples":        {[][]*metrics.Snapshot{two}, true, true, []string{""}},
		"not wanted":         {[][]*metrics.Snapshot{two}, false, false, []string{""}},
		"one sample":         {[][]*metrics.Snapshot{two[:1]}, true, false, []string{""}},
		"one of two has one": {[][]*metrics.Snapshot{two, two[:1]}, true, true, []string{"", "one sample"}},
		"the clock stood":    {[][]*metrics.Snapshot{stuck}, true, true, []string{"clock did not move"}},
		"nobody answered":    {[][]*metrics.Snapshot{nil}, true, false, []string{""}},
		"no node at all":     {nil, true, false, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fleet := &Fleet{}
			for _, s := range tt.snapshots {
				fleet.Observations = append(fleet.Observations, Observation{Snapshots: s})
			}
			if got := fleet.rates(tt.wanted); got != tt.want {
				t.Errorf("rates: %v, want %v", got, tt.want)
			}
			for i, o := range fleet.Observations {
				if want := tt.wantErrs[i]; (o.Err == nil) != (want == "") || o.Err != nil && !strings.Contains(o.Err.Error(), want) {
					t.Errorf("node %d: %v, want %q", i, o.Err, want)
				}
			}
		})
	}
}

func TestAdmitsHost(t *testing.T) {
	labelled := anything()
	labelled.Fields = fields.OneTermEqualSelector("metadata.name", "web")
	tests := map[string]struct {
		sel  Selection
		want bool
	}{
		"all pods":               {anything(), true},
		"one namespace":          {with(anything(), func(s *Selection) { s.Namespace = "shop" }), false},
		"named pods":             {with(anything(), func(s *Selection) { s.Pods = []PodRef{{"shop", "web"}} }), false},
		"a selector":             {labelled, false},
		"this node":              {with(anything(), func(s *Selection) { s.Namespace, s.Nodes = "shop", []string{"node-1"} }), true},
		"another node":           {with(anything(), func(s *Selection) { s.Nodes = []string{"node-2"} }), false},
		"named pods, this node":  {with(anything(), func(s *Selection) { s.Pods, s.Nodes = []PodRef{{"shop", "web"}}, []string{"node-1"} }), true},
		"a selector, every node": {with(labelled, func(s *Selection) { s.AllNodes = true }), true},
	}
	for name, tt := range tests {
		if got := tt.sel.admitsHost("node-1"); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func with(sel Selection, change func(*Selection)) Selection {
	change(&sel)
	return sel
}
