package collector

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// sandbox is one as a runtime lists it.
func sandbox(id, namespace, name, uid string) *cri.PodSandbox {
	return &cri.PodSandbox{Id: id, State: cri.PodSandboxState_SANDBOX_READY, Metadata: &cri.PodSandboxMetadata{Namespace: namespace, Name: name, Uid: uid}}
}

// sandboxesOf are the ids that a rawAnswer shows, each with the name in its message.
func sandboxesOf(message []byte) (ids []string, err error) {
	a := rawAnswer{message}
	err = a.sandboxes(func(id, message []byte) error {
		s, err := decodeSandbox(message)
		if err == nil {
			ids = append(ids, fmt.Sprint(string(id), " ", s.GetId(), " ", s.GetMetadata().GetName(), " ", s.GetLabels()))
		}
		return err
	})
	return ids, err
}

func TestRawAnswer(t *testing.T) {
	stopped := sandbox("b", "default", "stopped", "2")
	stopped.State = cri.PodSandboxState_SANDBOX_NOTREADY
	labelled := sandbox("c", "default", "web", "3")
	labelled.Labels = map[string]string{"app": "web"}
	labelled.CreatedAt = 1 << 62
	answer, err := proto.Marshal(&cri.ListPodSandboxResponse{Items: []*cri.PodSandbox{sandbox("a", "default", "db", "1"), stopped, {}, labelled}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := sandboxesOf(answer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a a db map[]", "c c web map[app:web]"}, got); diff != "" {
		t.Errorf("sandboxes (-want +got):\n%s", diff)
	}
	for cut := range answer {
		if ids, err := sandboxesOf(answer[:cut]); err == nil && len(ids) == 2 {
			t.Errorf("cut at byte %d of %d it is whole", cut, len(answer))
		}
	}
}

// FuzzRawAnswer compares with the generated decoder: what it takes shows the same sandboxes here.
func FuzzRawAnswer(f *testing.F) {
	for _, items := range [][]*cri.PodSandbox{nil, {sandbox("a", "default", "db", "1")}, {sandbox("a", "x", "y", "1"), sandbox("b", "x", "z", "2")}} {
		message, err := proto.Marshal(&cri.ListPodSandboxResponse{Items: items})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		got, err := sandboxesOf(message)
		var list cri.ListPodSandboxResponse
		if proto.Unmarshal(message, &list) != nil || err != nil {
			return
		}
		var want []string
		for _, s := range list.Items {
			if s.Id != "" && s.State == cri.PodSandboxState_SANDBOX_READY {
				want = append(want, fmt.Sprint(s.Id, " ", s.Id, " ", s.Metadata.GetName(), " ", s.Labels))
			}
		}
		if !cmp.Equal(want, got) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
