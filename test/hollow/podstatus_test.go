package main

import (
	"encoding/json"
	"flag"
	"net/netip"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The statuses of a pod's life, to be read in testdata beside those of `kubectl get pod -o yaml` on a real node.
func TestPodStatus(t *testing.T) {
	at := func(second int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 24, 12, 0, second, 0, time.UTC))
	}
	base := stage{host: netip.MustParseAddr("10.0.128.1"), arrived: at(0)}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "cosanet-x", Namespace: "default", UID: "u", Generation: 1},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "collector", Image: "cosanet:v1"}}},
		Status:     corev1.PodStatus{QOSClass: corev1.PodQOSBurstable},
	}
	stages := []struct {
		name   string
		change func(*stage)
	}{
		{"creating", func(s *stage) {
			s.phase, s.waiting = corev1.PodPending, corev1.ContainerStateWaiting{Reason: "ContainerCreating"}
		}},
		{"pull failed", func(s *stage) {
			s.phase, s.waiting = corev1.PodPending, corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such host"}
		}},
		{"running", func(s *stage) { s.phase, s.started, s.pod = corev1.PodRunning, at(1), base.host }},
		{"succeeded", func(s *stage) { s.phase, s.started, s.finished, s.pod = corev1.PodSucceeded, at(1), at(3), base.host }},
		{"failed", func(s *stage) {
			s.phase, s.started, s.finished, s.exitCode, s.message, s.pod = corev1.PodFailed, at(1), at(2), 2, "error", base.host
		}},
	}
	got := &txtar.Archive{}
	for _, tt := range stages {
		s := base
		tt.change(&s)
		text, err := json.Marshal(podStatus(pod, s))
		if err != nil {
			t.Fatal(err)
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			t.Fatal(err)
		}
		got.Files = append(got.Files, txtar.File{Name: tt.name, Data: text})
	}
	golden.File(t, "testdata/podstatus.txtar", string(txtar.Format(got)), *update)
}
