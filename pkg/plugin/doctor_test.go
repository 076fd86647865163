package plugin

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

// examined is a cluster of two nodes where all is well, with the policy in place.
func examined(t *testing.T) *apiServer {
	s := newAPIServer(t, "n1", "n2")
	s.namespaces = map[string]string{homeNamespace: "privileged"}
	s.policies, s.bindings = inPlace()
	return s
}

// inPlace are the policies as deploy/policy has them, as far as doctor looks.
func inPlace() (policies []admissionv1.ValidatingAdmissionPolicy, bindings []admissionv1.ValidatingAdmissionPolicyBinding) {
	fail := admissionv1.Fail
	for _, name := range deploy.Policies() {
		meta := metav1.ObjectMeta{Name: name}
		policies = append(policies, admissionv1.ValidatingAdmissionPolicy{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicySpec{FailurePolicy: &fail}})
		bindings = append(bindings, admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: meta, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: homeNamespace}}},
		}})
	}
	return policies, bindings
}

// serving gives every node an exporter of version v0.1.0.
func serving(s *apiServer) {
	for _, node := range s.nodes {
		s.put(exporterOn(node))
	}
	s.exporter = func(w http.ResponseWriter, r *http.Request, nth int) {
		w.Write(scrapeOf(strings.TrimPrefix(strings.TrimSuffix(r.PathValue("name"), ":9156"), deploy.Name+"-"), nth, countsDefault))
	}
}

func refusing403(message string) func(*corev1.Pod) *metav1.Status {
	return func(*corev1.Pod) *metav1.Status {
		return failure(http.StatusForbidden, metav1.StatusReasonForbidden, message)
	}
}

// TestDoctor compares what doctor says with testdata/doctor.txtar, and sees that it stores and deletes nothing. That what it
// says is what a run then does is shown on a real cluster, in test/faults.
func TestDoctor(t *testing.T) {
	t.Setenv("KUBECONFIG", os.DevNull)
	t.Setenv(ImageVariable, "")
	tests := []struct {
		name   string
		args   string
		change func(s *apiServer)
	}{
		{"well", "", nil},
		{"well, as yaml", "-o yaml --no-headers", nil},
		{"nobody", "", func(s *apiServer) {
			s.denied, s.forbidden = map[string]bool{}, true
			for _, r := range Rights() {
				s.denied[r.Verb+" "+r.Resource] = true
			}
		}},
		{"no right to get logs and events", "", func(s *apiServer) { s.denied = map[string]bool{"get pods/log": true, "list events": true} }},
		{"pod security", "--collector-namespace shop", func(s *apiServer) {
			s.namespaces["shop"] = "baseline"
			s.admit = refusing403(`pods "cosanet-x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true)`)
		}},
		{"quota", "--profile restricted", func(s *apiServer) {
			s.admit = refusing403(`pods "cosanet-x" is forbidden: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0`)
		}},
		{"a webhook takes hostPID", "", func(s *apiServer) {
			s.admit = func(pod *corev1.Pod) *metav1.Status { pod.Spec.HostPID = false; return nil }
		}},
		{"a webhook that cannot be tried", "", func(s *apiServer) {
			s.admit = func(*corev1.Pod) *metav1.Status {
				return failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, `admission webhook "x.example" does not support dry run`)
			}
		}},
		{"no namespace", "--collector-namespace void", func(s *apiServer) {
			s.admit = func(*corev1.Pod) *metav1.Status {
				return failure(http.StatusNotFound, metav1.StatusReasonNotFound, `namespaces "void" not found`)
			}
		}},
		{"one Windows node", "", func(s *apiServer) { s.patients = windows("n2") }},
		{"one Windows node, named", "--node n2", func(s *apiServer) { s.patients = windows("n2") }},
		{"Windows alone", "", func(s *apiServer) { s.patients = windows("n1", "n2") }},
		{"no such node", "--node n3", nil},
		{"image on one node", "", func(s *apiServer) {
			s.patients = func(node *corev1.Node) {
				if node.Name == "n2" {
					node.Status.Images = nil
				}
			}
		}},
		{"another image, never pulled", "--image team/cosanet:v9 --image-pull-policy Never", nil},
		{"always pulled", "--image-pull-policy Always", nil},
		{"leftovers", "", func(s *apiServer) {
			s.put(leftPod("default", "cosanet-old", time.Hour, 50*time.Minute))
			s.put(leftPod("default", "cosanet-new", time.Second, 0))
		}},
		{"exporter", "", serving},
		{"exporter, and no pod may be made", "", func(s *apiServer) {
			serving(s)
			s.denied = map[string]bool{"create pods": true}
			s.admit = refusing403(`pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "cosanet"`)
		}},
		{"exporter alone, on one node of two", "--source exporter", func(s *apiServer) {
			serving(s)
			s.mu.Lock()
			delete(s.pods, homeNamespace+"/"+deploy.Name+"-n2")
			s.mu.Unlock()
		}},
		{"exporter alone, not there", "--source exporter", nil},
		{"exporter that does not answer", "", func(s *apiServer) {
			serving(s)
			s.exporter = func(w http.ResponseWriter, _ *http.Request, _ int) {
				answer(w, failure(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "error trying to reach service: dial tcp 10.0.0.1:9156: connect: connection refused"))
			}
		}},
		{"no policy", "", func(s *apiServer) { s.policies, s.bindings = nil, nil }},
		{"policy that warns", "", func(s *apiServer) {
			s.bindings[0].Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Warn}
		}},
		{"policy of another namespace", "--collector-namespace other", func(s *apiServer) { s.namespaces["other"] = "" }},
		{"policy that may fail", "", func(s *apiServer) { ignore := admissionv1.Ignore; s.policies[1].Spec.FailurePolicy = &ignore }},
		{"an old server", "", func(s *apiServer) { s.minor = "29+" }},
	}
	archive := &txtar.Archive{Comment: []byte("What doctor prints: standard output, standard error, exit code.\n")}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := examined(t)
			if tt.change != nil {
				tt.change(s)
			}
			text := s.doctor(t, strings.Fields(tt.args)...)
			archive.Files = append(archive.Files, txtar.File{Name: tt.name, Data: []byte(text)})
		})
	}
	golden.File(t, "testdata/doctor.txtar", string(txtar.Format(archive)), *update)
}

func windows(names ...string) func(*corev1.Node) {
	return func(node *corev1.Node) {
		if slices.Contains(names, node.Name) {
			node.Status.NodeInfo.OperatingSystem = "windows"
		}
	}
}

// doctor runs the verb and returns what it printed. Whatever it asks for may change nothing.
func (s *apiServer) doctor(t *testing.T, args ...string) string {
	t.Helper()
	s.throttle = func(_ http.ResponseWriter, r *http.Request) bool {
		tried := r.Method == http.MethodPost && (r.URL.Query().Get("dryRun") == "All" || strings.HasSuffix(r.URL.Path, "reviews"))
		if r.Method != http.MethodGet && !tried {
			t.Errorf("%s %s changes something", r.Method, r.URL)
		}
		return false
	}
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	var ledger Ledger
	build := Build{Version: "v1.2.3", Image: "registry.example/cosanet:v1.2.3"}
	code := Main(t.Context(), build, streams, &ledger, append([]string{"doctor", "--server", s.url}, args...))
	var text bytes.Buffer
	fmt.Fprintf(&text, "> doctor %s\n%s%s> exit code %d\n", strings.Join(args, " "), out, errOut, code)
	return text.String()
}

// TestClientMinor holds the version that skew is told from to the library that is linked.
func TestClientMinor(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("k8s.io/client-go v0.%d.", clientMinor); !strings.Contains(string(text), want) {
		t.Errorf("go.mod has no %s", want)
	}
}
