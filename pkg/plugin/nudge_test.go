package plugin

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

func TestStall(t *testing.T) {
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	look := func(ready int, updated int32) *standings {
		return &standings{ready: make([]string, ready), daemonSet: &appsv1.DaemonSet{
			Spec:   appsv1.DaemonSetSpec{MinReadySeconds: 10},
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: updated},
		}}
	}
	var w stall
	for _, step := range []struct {
		at      float64
		ready   int
		updated int32
		want    bool
		why     string
	}{
		{0, 0, 0, false, "no pod is ready"},
		{60, 0, 0, false, "nor is one after a minute: it is the pods that are late"},
		{61, 1, 0, false, "one is"},
		{73.9, 1, 0, false, "it is not overdue yet"},
		{74, 1, 0, true, "the old pod should have gone a second ago"},
		{75, 1, 0, false, "the controller was woken just now"},
		{87, 1, 0, true, "in vain"},
		{88, 1, 1, false, "the old pod went"},
		{150, 1, 1, false, "the next pod is late"},
	} {
		if got := w.over(look(step.ready, step.updated), at(step.at)); got != step.want {
			t.Errorf("after %v s, %s: over = %v", step.at, step.why, got)
		}
	}
}

// A rollout that its controller forgot goes on once the DaemonSet is touched.
func TestRolloutNudged(t *testing.T) {
	t.Parallel()
	s := newObjectServer(t)
	s.scheduled(t, appsv1.DaemonSetStatus{DesiredNumberScheduled: 1, CurrentNumberScheduled: 1}, readyStatus)
	s.touched = allReady(1)
	i, _, _ := s.installation(t)
	objects, err := testManifest().render()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() == "DaemonSet" {
			object.Object["spec"].(map[string]any)["minReadySeconds"] = int64(0)
		}
	}
	if err := i.install(t.Context(), objects); err != nil {
		t.Error(err)
	}
}
