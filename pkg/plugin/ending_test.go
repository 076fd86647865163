package plugin

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestLastWords(t *testing.T) {
	var log strings.Builder
	if err := metrics.WriteFrame(&log, metrics.Gzip, "r", &metrics.Snapshot{}); err != nil {
		t.Fatal(err)
	}
	frame := log.String()
	const sentence = "cosanet-collector: error: terminated signal received"
	for _, tt := range []struct{ name, message, want string }{
		{"nothing", "", ""},
		{"an error alone", sentence + "\n", sentence},
		{"behind a frame", frame + sentence + "\n", sentence},
		{"behind the end of one", frame[strings.Index(frame, "\n")+5:] + sentence, sentence},
		{"within one", strings.Repeat("H4sIAAAA", 100) + "\n" + sentence, sentence},
		{"a frame alone", frame, ""},
		{"two lines", "panic: x\n\ngoroutine 1 [running]:\n", "panic: x\ngoroutine 1 [running]:"},
	} {
		if got := lastWords(tt.message); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestOutOfMemory(t *testing.T) {
	const webhook = "\n  a webhook of the cluster lowered it from 256Mi: exempt its namespace, or use another one with --collector-namespace"
	for _, tt := range []struct {
		name, limit string
		state       corev1.ContainerStateTerminated
		want        string
	}{
		{"out of memory", "256Mi", corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}, "OOMKilled: the collector needed more memory than its limit of 256Mi"},
		{"out of lowered memory", "6Mi", corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}, "OOMKilled: the collector needed more memory than its limit of 6Mi" + webhook},
		{"out of memory before it began", "3Mi", corev1.ContainerStateTerminated{Reason: "StartError", ExitCode: 128,
			Message: "failed to create containerd task: runc create failed: unable to start container process: container init was OOM-killed (memory limit too low?): unknown"},
			"OOMKilled: the collector needed more memory than its limit of 3Mi" + webhook},
		{"no collector", "256Mi", corev1.ContainerStateTerminated{Reason: "StartError", ExitCode: 128, Message: `exec: "/x": no such file`},
			"StartError: exec: \"/x\": no such file\n  check that registry.example/cosanet/collector:v0.1.0 is a cosanet collector image"},
	} {
		pod := testOrder(Privileged).pod()
		pod.Spec.Containers[0].Resources.Limits[corev1.ResourceMemory] = resource.MustParse(tt.limit)
		if got := terminated(pod, &tt.state).Error(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDeleted(t *testing.T) {
	pod := testOrder(Privileged).pod()
	const advice = "\n  ask again, or see kubectl get events -n cosanet --field-selector involvedObject.name=cosanet-x7k2m9pq"
	if got, want := deleted(pod).Error(), "somebody deleted it while it was in use"+advice; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting"}}
	if got, want := deleted(pod).Error(), "somebody deleted it while it was in use (EvictionByEvictionAPI: Eviction API: evicting)"+advice; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
