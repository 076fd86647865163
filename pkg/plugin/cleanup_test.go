package plugin

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// leftPod is a collector pod that was made so long ago; ended is how long ago its container ended, 0 when it runs.
func leftPod(namespace, name string, made, ended time.Duration) *corev1.Pod {
	o := testOrder(Privileged)
	o.namespace, o.name = namespace, name
	pod := o.pod()
	pod.CreationTimestamp = metav1.NewTime(time.Now().Add(-made))
	if ended > 0 {
		pod.Status = exited(0, "")
		pod.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(time.Now().Add(-ended))
	}
	return pod
}

// unstarted is a pod whose container ended before it ran.
func unstarted(pod *corev1.Pod) *corev1.Pod {
	pod.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.Time{}
	return pod
}

func TestLeftover(t *testing.T) {
	for _, tt := range []struct {
		name string
		pod  *corev1.Pod
		want bool
	}{
		{"just made", leftPod("default", "x", time.Second, 0), false},
		{"just ended", leftPod("default", "x", time.Hour, time.Minute), false},
		{"long ended", leftPod("default", "x", time.Hour, 6*time.Minute), true},
		{"before its deadline of 91 s and 5 min", leftPod("default", "x", 6*time.Minute, 0), false},
		{"just failed to start, nobody says when", unstarted(leftPod("default", "x", time.Second, time.Minute)), false},
		{"long past its deadline", leftPod("default", "x", 7*time.Minute, 0), true},
	} {
		if got := leftover(tt.pod, time.Now()); got != tt.want {
			t.Errorf("%s: leftover = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// collectors fills a server with what a cleanup meets.
func collectors(t *testing.T) *apiServer {
	s := newAPIServer(t, "a")
	s.put(leftPod("default", "cosanet-old", time.Hour, 50*time.Minute))
	s.put(leftPod("default", "cosanet-new", time.Second, 0))
	s.put(leftPod("cosanet", "cosanet-far", time.Hour, 50*time.Minute))
	yes := true
	exporter := leftPod("default", "cosanet-exporter", time.Hour, 50*time.Minute)
	exporter.OwnerReferences = []metav1.OwnerReference{{Kind: "DaemonSet", Name: "cosanet", Controller: &yes}}
	s.put(exporter)
	copied := leftPod("default", "cosanet-labels-alone", time.Hour, 50*time.Minute)
	copied.Annotations = nil
	s.put(copied)
	s.put(podAt("default", "web", "a", corev1.PodRunning))
	return s
}

func TestSweep(t *testing.T) {
	s := collectors(t)
	sweep(s.client(t), "default")
	want := []string{"cosanet/cosanet-far", "default/cosanet-exporter", "default/cosanet-labels-alone", "default/cosanet-new"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(s.left()))); diff != "" {
		t.Errorf("left after a sweep of default (-want +got):\n%s", diff)
	}
}

// The exporter's pods are nobody's leftovers: neither the sweep of every run nor a cleanup touches them.
func TestCleanupSparesExporters(t *testing.T) {
	s := newAPIServer(t, "a")
	for _, orphan := range []bool{false, true} {
		pod := exporterOn("a")
		pod.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Hour))
		if orphan {
			pod.Name, pod.OwnerReferences = "orphan", nil
		}
		s.put(pod)
	}
	sweep(s.client(t), homeNamespace)
	streams, _, _, _ := genericiooptions.NewTestIOStreams()
	if err := (&cleanup{all: true}).run(t.Context(), s.client(t), &factory{streams: streams}); err != nil {
		t.Fatal(err)
	}
	if len(s.deletes) > 0 {
		t.Errorf("deleted %v", s.deletes)
	}
}

// timeless hides how much time a pod has left.
func timeless(text string) string {
	return regexp.MustCompile(`another \S+:`).ReplaceAllString(text, "another TIME:")
}

func TestCleanup(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cleanup cleanup
		refuse  bool // to list all namespaces
		out     []string
		left    []string // of the three that are ours alone
		spared  string   // what is said of those on standard error
	}{
		{name: "those whose time is up", out: []string{`pod "cosanet-far" deleted from cosanet namespace`, `pod "cosanet-old" deleted from default namespace`}, left: []string{"default/cosanet-new"},
			spared: `pod "cosanet-new" in default namespace may be in use for another TIME: --all deletes it too` + "\n"},
		{name: "all", cleanup: cleanup{all: true}, out: []string{`pod "cosanet-far" deleted from cosanet namespace`, `pod "cosanet-new" deleted from default namespace`, `pod "cosanet-old" deleted from default namespace`}},
		{name: "one namespace", cleanup: cleanup{namespace: "cosanet"}, out: []string{`pod "cosanet-far" deleted from cosanet namespace`}, left: []string{"default/cosanet-new", "default/cosanet-old"}},
		{name: "old", cleanup: cleanup{olderThan: time.Minute}, out: []string{`pod "cosanet-far" deleted from cosanet namespace`, `pod "cosanet-old" deleted from default namespace`}, left: []string{"default/cosanet-new"}},
		{name: "dry run", cleanup: cleanup{dryRun: true, namespace: "cosanet"}, out: []string{`pod "cosanet-far" deleted from cosanet namespace (dry run)`},
			left: []string{"cosanet/cosanet-far", "default/cosanet-new", "default/cosanet-old"}},
		{name: "without the right to list all", cleanup: cleanup{all: true}, refuse: true, out: []string{`pod "cosanet-far" deleted from cosanet namespace`, `pod "cosanet-new" deleted from default namespace`, `pod "cosanet-old" deleted from default namespace`}},
		{name: "nothing", cleanup: cleanup{namespace: "void"}, left: []string{"cosanet/cosanet-far", "default/cosanet-new", "default/cosanet-old"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := collectors(t)
			if tt.refuse {
				s.listable = func(namespace string) *metav1.Status {
					if namespace == "" {
						return failure(http.StatusForbidden, metav1.StatusReasonForbidden, `pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope`)
					}
					return nil
				}
			}
			streams, _, out, errOut := genericiooptions.NewTestIOStreams()
			if err := tt.cleanup.run(t.Context(), s.client(t), &factory{streams: streams}); err != nil {
				t.Fatal(err)
			}
			lines := slices.Sorted(strings.Lines(out.String()))
			for i := range lines {
				lines[i] = strings.TrimSuffix(lines[i], "\n")
			}
			if diff := cmp.Diff(tt.out, lines); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if want := tt.spared + map[bool]string{true: "No resources found\n"}[len(tt.out) == 0]; timeless(errOut.String()) != want {
				t.Errorf("standard error %q, want %q", errOut, want)
			}
			left := slices.DeleteFunc(slices.Sorted(slices.Values(s.left())), func(key string) bool {
				return key == "default/cosanet-exporter" || key == "default/cosanet-labels-alone"
			})
			if diff := cmp.Diff(tt.left, left, cmp.Transformer("", func(s []string) string { return strings.Join(s, " ") })); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}
