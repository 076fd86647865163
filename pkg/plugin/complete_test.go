package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

func TestCompletions(t *testing.T) {
	web, udp := listed("shop", "web", "n1"), listed("lab", "udp", "n1")
	client := fake.NewClientset(&web, &udp, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lab"}})
	tests := map[string]struct {
		of     completer
		prefix string
		want   []string
	}{
		"pods of the namespace": {podNames, "", []string{"web"}},
		"of another":            {podNames, "lab/u", []string{"lab/udp"}},
		"nodes":                 {nodeNames, "", []string{"n1"}},
		"sides":                 {sideNames, "w", []string{"web"}},
		"nodes as sides":        {sideNames, "node/", []string{"node/n1"}},
		"namespaces":            {namespaceNames, "", []string{"lab", "shop"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			have := clusterInventory(t.Context(), client)
			have.namespace = "shop"
			got := tt.of(have, tt.prefix)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
