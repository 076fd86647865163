package plugin

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

// testOrder is a pod with every field filled that a flag can fill.
func testOrder(profile Profile) *order {
	return &order{
		name:      "cosanet-x7k2m9pq",
		namespace: "cosanet",
		node:      "node-1",
		run:       "k3f6w2",
		together:  "q4n8ab",
		profile:   profile,
		pull:      Pull{Image: "registry.example/cosanet/collector:v0.1.0", Policy: string(corev1.PullIfNotPresent)},
		version:   "v0.1.0+dirty",
		timeout:   61 * time.Second,
		ask:       Ask{Metrics: metrics.Default, Samples: 2, Interval: time.Second},
	}
}

func TestPodGolden(t *testing.T) {
	orders := map[string]*order{"prepull": testOrder(Privileged)}
	orders["prepull"].pullOnly = true
	for _, profile := range []Profile{Privileged, NetAdmin, Restricted} {
		orders[string(profile)] = testOrder(profile)
	}
	for name, order := range orders {
		t.Run(name, func(t *testing.T) {
			got, err := yaml.Marshal(order.pod())
			if err != nil {
				t.Fatal(err)
			}
			golden.File(t, filepath.Join("testdata", "pod-"+name+".yaml"), string(got), *update)
		})
	}
}

func TestPodOfFlags(t *testing.T) {
	o := testOrder(Privileged)
	o.pull.Policy, o.pull.Secrets, o.criSocket = string(corev1.PullNever), []string{"a", "b"}, "/run/x.sock"
	o.ask = Ask{Metrics: metrics.All, Sockets: true}
	pod := o.pod()
	if diff := cmp.Diff([]corev1.LocalObjectReference{{Name: "a"}, {Name: "b"}}, pod.Spec.ImagePullSecrets); diff != "" {
		t.Errorf("pull secrets (-want +got):\n%s", diff)
	}
	if got := pod.Spec.Containers[0].ImagePullPolicy; got != corev1.PullNever {
		t.Errorf("pull policy %s, want Never", got)
	}
	wantArgs := []string{"--once", "--run", "k3f6w2", "--encoding", "gzip", "--samples", "1", "--interval", "0s",
		"--deadline", "1m1s", "--metrics", "all", "--cri-socket", "/run/x.sock", "--collector.sockproto.enabled"}
	if diff := cmp.Diff(wantArgs, pod.Spec.Containers[0].Args); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
}

func TestLabelValue(t *testing.T) {
	for in, want := range map[string]string{
		"v0.1.0":                              "v0.1.0",
		"v0.1.0-3-gabc123+dirty":              "v0.1.0-3-gabc123-dirty",
		"v0.1.0 (built by hand)":              "v0.1.0-built-by-hand",
		"":                                    "",
		string(make([]byte, 200)):             "",
		"v1." + string(make([]byte, 9)) + "2": "v1.-2",
	} {
		if got := labelValue(in); got != want {
			t.Errorf("labelValue(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAltered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*corev1.PodSpec)
		want   []string
	}{
		{"as asked", func(*corev1.PodSpec) {}, nil},
		{"defaults and a sidecar added", func(s *corev1.PodSpec) {
			no := false
			s.Containers[0].SecurityContext.AllowPrivilegeEscalation = &no
			s.Containers = append([]corev1.Container{{Name: "proxy"}}, s.Containers...)
			s.SchedulerName = "default-scheduler"
		}, nil},
		{"from a mirror", func(s *corev1.PodSpec) { s.Containers[0].Image = "mirror.example/x/collector:v0.1.0" }, nil},
		{"no host namespaces", func(s *corev1.PodSpec) { s.HostPID, s.HostNetwork = false, false },
			[]string{"hostPID is false, not true", "hostNetwork is false, not true"}},
		{"no privileges", func(s *corev1.PodSpec) { *s.Containers[0].SecurityContext.Privileged = false },
			[]string{"securityContext.privileged is false, not true"}},
		{"no security context", func(s *corev1.PodSpec) { s.Containers[0].SecurityContext = nil }, []string{
			"securityContext.privileged is <nil>, not true",
			"securityContext.readOnlyRootFilesystem is <nil>, not true",
			"securityContext.runAsUser is <nil>, not 0",
		}},
		{"another image", func(s *corev1.PodSpec) { s.Containers[0].Image = "registry.example/cosanet/collector:v9" },
			[]string{"image is collector:v9, not collector:v0.1.0"}},
		{"another command", func(s *corev1.PodSpec) { s.Containers[0].Command = []string{"sh"} }, []string{"command is [sh], not []"}},
		{"another container", func(s *corev1.PodSpec) { s.Containers[0].Name = "x" }, []string{"there is no container collector"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := testOrder(Privileged).pod()
			got := asked.DeepCopy()
			tt.change(&got.Spec)
			if diff := cmp.Diff(tt.want, altered(asked, got)); diff != "" {
				t.Errorf("altered (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProfileFlag(t *testing.T) {
	p := Privileged
	if err := p.Set("root"); err == nil || p != Privileged {
		t.Errorf("Set(root) = %v and changed the profile to %s, want an error and no change", err, p)
	}
	if err := p.Set("netadmin"); err != nil || p != NetAdmin {
		t.Errorf("Set(netadmin) = %v, profile %s", err, p)
	}
}
