package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestProgramOf(t *testing.T) {
	const image = "ghcr.io/cosanet/kubectl-cosanet:v1.2.3"
	tests := []struct {
		name    string
		image   string
		restart corev1.RestartPolicy
		args    []string
		want    program
	}{
		{"a collector's run", image, corev1.RestartPolicyNever,
			[]string{"--once", "--run", "abc", "--encoding", "gzip", "--samples", "2", "--interval", "1s", "--deadline", "1m0s", "--metrics", "all", "--cri-socket", "/x", "--collector.sockproto.enabled"},
			program{kind: collects, run: "abc", encoding: metrics.Gzip, samples: 2, interval: time.Second, question: question{set: metrics.All, sockets: true}}},
		{"with sources beside the set", image, corev1.RestartPolicyNever, []string{"--once", "--collector.tcp.enabled", "--collector.conntrack-owners.enabled"},
			program{kind: collects, samples: 1, question: question{set: metrics.Default, sources: [len(switched)]bool{1: true, 3: true}}}},
		{"an exporter", image, corev1.RestartPolicyAlways, []string{"--serve"}, program{kind: exports, samples: 1, question: question{set: metrics.Default}}},
		{"its version", image, corev1.RestartPolicyNever, []string{"--version"}, program{kind: ends, says: "v1.2.3\n"}},
		{"a flag it has not", image, corev1.RestartPolicyNever, []string{"--once", "--colour"},
			program{kind: ends, exitCode: 2, says: "cosanet-collector: error: flag provided but not defined: -colour\n"}},
		{"another image", "nginx", corev1.RestartPolicyAlways, nil, program{kind: runs, says: "hollow: nothing runs here\n"}},
		{"another image's job", "nginx", corev1.RestartPolicyOnFailure, nil, program{kind: ends, says: "hollow: nothing runs here\n"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: tt.restart, Containers: []corev1.Container{{Image: tt.image, Args: tt.args}}}}
			if diff := cmp.Diff(tt.want, programOf(pod), cmp.AllowUnexported(program{}, question{})); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestVersionOfImage(t *testing.T) {
	for image, want := range map[string]string{"a.test:5000/b:v1": "v1", "a.test:5000/b": "latest", "b": "latest"} {
		if got := version(image); got != want {
			t.Errorf("%s: got %s, want %s", image, got, want)
		}
	}
}

func TestFarewell(t *testing.T) {
	const grace = 20 * time.Second
	for kind, want := range map[programKind]time.Duration{collects: 0, ends: 0, exports: 10 * time.Second, runs: grace} {
		if got := (&program{kind: kind}).farewell(grace); got != want {
			t.Errorf("kind %d: ends %s after it is asked to, want %s", kind, got, want)
		}
	}
}
