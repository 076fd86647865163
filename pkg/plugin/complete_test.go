package plugin

import (
	"strings"
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

// Whatever is typed, each completion goes on from it, and completes to a list of columns that is taken.
func FuzzCompleteColumns(f *testing.F) {
	for _, list := range []string{"", "IN,", "in,retr", "IN,OUT,TcpExt_Listen", "proc_net_tcp{LISTEN,ipv4},R", "proc_net_tcp{", ",,", "IN,,OU"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		completions, _ := completeColumns(nil, nil, list)
		for _, completion := range completions {
			whole, _, _ := strings.Cut(completion, "\t")
			rest, ok := strings.CutPrefix(whole, list)
			if !ok {
				t.Errorf("%q does not begin with %q", whole, list)
			}
			elements := splitOutside(list + rest)
			if _, err := parseColumn(elements[len(elements)-1]); err != nil {
				t.Errorf("%q of %q: %v", whole, list, err)
			}
		}
	})
}
