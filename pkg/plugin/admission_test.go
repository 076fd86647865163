package plugin

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func refusalOf(code int32, reason metav1.StatusReason, message string, causes ...metav1.StatusCause) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: &metav1.StatusDetails{Causes: causes},
	}}
}

// The messages are an API server's of Kubernetes 1.37; OpenShift's and Kyverno's are from their documentation.
func TestExplainCreate(t *testing.T) {
	forbidden := func(message string) error {
		return refusalOf(http.StatusForbidden, metav1.StatusReasonForbidden, message)
	}
	elsewhere := "or use another namespace with --collector-namespace"
	for _, tt := range []struct {
		name string
		err  error
		next []string // the lines that are added
		all  bool     // it holds for every pod of the namespace
	}{
		{"pod security", forbidden(`pods "cosanet-f8vpfjl8" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true, hostPID=true), privileged (container "collector" must not set securityContext.privileged=true)`),
			[]string{"kubectl label namespace cosanet pod-security.kubernetes.io/enforce=privileged --overwrite", elsewhere}, true},
		{"no namespace", refusalOf(http.StatusNotFound, metav1.StatusReasonNotFound, `namespaces "cosanet" not found`),
			[]string{"kubectl create namespace cosanet && kubectl label namespace cosanet pod-security.kubernetes.io/enforce=privileged", elsewhere}, true},
		{"namespace going away", refusalOf(http.StatusForbidden, metav1.StatusReasonForbidden, `pods "x" is forbidden: unable to create new content in namespace cosanet because it is being terminated`, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause}),
			[]string{"use another namespace with --collector-namespace"}, true},
		{"rights", forbidden(`pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "cosanet"`),
			[]string{`kubectl create role cosanet -n cosanet --verb=create,get,list,watch,delete --resource=pods,pods/log && kubectl create rolebinding cosanet -n cosanet --role=cosanet --user="jane"`}, true},
		{"quota", forbidden(`pods "x" is forbidden: exceeded quota: q, requested: pods=1,requests.memory=32Mi, used: pods=1,requests.memory=32Mi, limited: pods=1,requests.memory=40Mi`),
			[]string{"kubectl describe quota -n cosanet", "ask fewer nodes at a time with --max-concurrent-nodes, " + elsewhere}, false},
		{"limit range", forbidden(`pods "x" is forbidden: maximum memory usage per Container is 64Mi, but limit is 256Mi`),
			[]string{"kubectl describe limitrange -n cosanet", elsewhere}, true},
		{"new namespace", forbidden(`pods "x" is forbidden: error looking up service account cosanet/default: serviceaccount "default" not found`),
			[]string{"kubectl get serviceaccount -n cosanet default; a new namespace gets it in a moment"}, false},
		{"OpenShift", forbidden(`pods "x" is forbidden: unable to validate against any security context constraint: [provider "anyuid": Forbidden: not usable by user or serviceaccount]`),
			[]string{"oc adm policy add-scc-to-user privileged -z default -n cosanet"}, true},
		{"webhook says no", refusalOf(http.StatusBadRequest, metav1.StatusReasonBadRequest, `admission webhook "validate.kyverno.svc-fail" denied the request: disallow-host-namespaces`),
			[]string{"a policy of this cluster forbids the pod: try --profile restricted, " + elsewhere}, false},
		{"policy says no", refusalOf(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, `pods "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: false`),
			[]string{"a policy of this cluster forbids the pod: try --profile restricted, " + elsewhere}, false},
		{"the policy of deploy/policy says no", refusalOf(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, `pods "x" is forbidden: ValidatingAdmissionPolicy 'cosanet-collector-pods' with binding 'cosanet-collector-pods' denied request: spec.hostIPC: no collector pod has it`),
			[]string{"deploy/policy admits only pods as the plugin of its own version makes them, with images of the repositories that it names: see docs/security.md", elsewhere}, true},
		{"webhook does not answer", refusalOf(http.StatusInternalServerError, metav1.StatusReasonInternalError, `Internal error occurred: failed calling webhook "x.istio.io": failed to call webhook: Post "https://istiod.istio-system.svc:443/inject?timeout=10s": context deadline exceeded`),
			[]string{"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations; the one named does not answer", elsewhere}, false},
		{"anything else", errors.New("connection refused"), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := explainCreate(tt.err, testOrder(Privileged).pod())
			if !errors.Is(got, tt.err) {
				t.Errorf("%v does not wrap the API server's error", got)
			}
			want := strings.Join(append([]string{tt.err.Error()}, tt.next...), "\n  ")
			if diff := cmp.Diff(want, got.Error()); diff != "" {
				t.Errorf("explainCreate (-want +got):\n%s", diff)
			}
			if all := errors.As(got, new(*refusedError)); all != tt.all {
				t.Errorf("holds for the whole namespace: %v, want %v", all, tt.all)
			}
		})
	}
}

func TestExplainForbidden(t *testing.T) {
	for _, tt := range []struct{ name, message, next string }{
		{"target pods", `pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "shop"`,
			"\n  kubectl create rolebinding cosanet-targets -n shop --clusterrole=view --user=\"jane\""},
		{"all namespaces", `pods is forbidden: User "system:serviceaccount:ci:bot" cannot list resource "pods" in API group "" at the cluster scope`,
			"\n  kubectl create clusterrole cosanet-targets --verb=get,list --resource=pods,nodes && kubectl create clusterrolebinding cosanet-targets --clusterrole=cosanet-targets --serviceaccount=ci:bot"},
		{"log", `pods "x" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "cosanet"`,
			"\n  kubectl create role cosanet -n cosanet --verb=create,get,list,watch,delete --resource=pods,pods/log && kubectl create rolebinding cosanet -n cosanet --role=cosanet --user=\"jane\""},
		{"not for want of rights", `pods "x" is forbidden: something else`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := explainForbidden(refusalOf(http.StatusForbidden, metav1.StatusReasonForbidden, tt.message))
			if diff := cmp.Diff(tt.message+tt.next, err.Error()); diff != "" {
				t.Errorf("explainForbidden (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"broken connection", errors.New("unexpected EOF"), true},
		{"gateway", refusalOf(http.StatusBadGateway, metav1.StatusReasonUnknown, "bad gateway"), true},
		{"server timeout", apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0), true},
		{"forbidden", refusalOf(http.StatusForbidden, metav1.StatusReasonForbidden, "no"), false},
		{"not found", refusalOf(http.StatusNotFound, metav1.StatusReasonNotFound, "no"), false},
	} {
		if got := lost(tt.err); got != tt.want {
			t.Errorf("%s: lost = %v, want %v", tt.name, got, tt.want)
		}
	}
}
