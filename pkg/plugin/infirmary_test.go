package plugin

import (
	"encoding/json"
	"net/http"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// infirmary is the part of the test API server that doctor alone asks: as if all were well, but for what a test changes.
type infirmary struct {
	denied     map[string]bool // "create pods", "get pods/log", ...
	namespaces map[string]string
	policies   []admissionv1.ValidatingAdmissionPolicy
	bindings   []admissionv1.ValidatingAdmissionPolicyBinding
	forbidden  bool // to look at policies
	minor      string
	patients   func(*corev1.Node) // changes what is said of a node; nil: nothing
}

func (s *infirmary) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		minor := s.minor
		if minor == "" {
			minor = "37"
		}
		answer(w, &version.Info{Major: "1", Minor: minor, GitVersion: "v1." + minor + ".2"})
	})
	mux.HandleFunc("POST /apis/authentication.k8s.io/v1/selfsubjectreviews", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, &authenticationv1.SelfSubjectReview{
			TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "SelfSubjectReview"},
			Status:   authenticationv1.SelfSubjectReviewStatus{UserInfo: authenticationv1.UserInfo{Username: "jane"}},
		})
	})
	mux.HandleFunc("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews", s.review)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("ns")
		level, ok := s.namespaces[name]
		if !ok {
			notFound(w, "namespaces", name)
			return
		}
		labels := map[string]string{corev1.LabelMetadataName: name, podSecurity: level}
		answer(w, &corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	})
	list := func(kind string, items func() any) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if s.forbidden {
				answer(w, failure(http.StatusForbidden, metav1.StatusReasonForbidden, "no"))
				return
			}
			answer(w, map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": map[string]any{}, "items": items()})
		}
	}
	const registration = "GET /apis/admissionregistration.k8s.io/v1/"
	mux.HandleFunc(registration+"validatingadmissionpolicies", list("ValidatingAdmissionPolicyList", func() any { return s.policies }))
	mux.HandleFunc(registration+"validatingadmissionpolicybindings", list("ValidatingAdmissionPolicyBindingList", func() any { return s.bindings }))
}

func (s *infirmary) review(w http.ResponseWriter, r *http.Request) {
	review := &authorizationv1.SelfSubjectAccessReview{}
	if err := json.NewDecoder(r.Body).Decode(review); err != nil {
		answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
		return
	}
	a := review.Spec.ResourceAttributes
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectAccessReview"
	review.Status.Allowed = !s.denied[a.Verb+" "+resource]
	answer(w, review)
}

// nodeAs is a node as the server tells of it.
func (s *infirmary) nodeAs(name string) *corev1.Node {
	node := nodeNamed(name)
	node.Status.Images = []corev1.ContainerImage{{Names: []string{"registry.example/cosanet@sha256:0a", "registry.example/cosanet:v1.2.3"}}}
	if s.patients != nil {
		s.patients(node)
	}
	return node
}
