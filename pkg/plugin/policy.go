package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/version"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

// policy is the line of the admission policy of deploy/policy. No run depends on it: it is for those who give the rights.
func (x *examination) policy(ctx context.Context) Check {
	c := Check{Check: "policy", Status: StatusOK, aside: true}
	ours := metav1.ListOptions{LabelSelector: labels.Set{partOfLabel: partOf}.String()}
	registration := x.client.AdmissionregistrationV1()
	policies, err := registration.ValidatingAdmissionPolicies().List(ctx, ours)
	bindings := &admissionv1.ValidatingAdmissionPolicyBindingList{}
	if err == nil {
		bindings, err = registration.ValidatingAdmissionPolicyBindings().List(ctx, ours)
	}
	switch {
	case apierrors.IsForbidden(err):
		c.Status, c.Detail = StatusUnknown, "may not be looked at; a dry run of the collector pod has asked it all the same"
		return c
	case apierrors.IsNotFound(err):
		c.Status, c.Detail = StatusWarn, "the API server has no ValidatingAdmissionPolicy, which Kubernetes has since 1.30"
		return c
	case err != nil:
		return checkOf(c.Check, StatusUnknown, err).besides()
	}
	if trouble := untrusted(policies.Items, bindings.Items, x.labels(ctx)); trouble != "" {
		c.Status = StatusWarn
		c.Detail = "namespace " + x.home + ": " + trouble + ", and whoever may make pods there is root on the nodes"
		c.Fix = []string{"kubectl apply -k https://github.com/cosanet/kubectl-cosanet//deploy/policy?ref=" + x.version, "docs/security.md says what it gives"}
		return c
	}
	c.Detail = fmt.Sprintf("%s: bound to namespace %s, Deny, failurePolicy Fail", strings.Join(deploy.Policies(), ", "), x.home)
	return c
}

// labels are those of the collector pods' namespace, as far as they may be read.
func (x *examination) labels(ctx context.Context) labels.Set {
	ns, err := x.client.CoreV1().Namespaces().Get(ctx, x.home, metav1.GetOptions{})
	if err != nil {
		return labels.Set{corev1.LabelMetadataName: x.home}
	}
	return ns.Labels
}

// untrusted says why the policies do not hold in a namespace with these labels, empty where they do.
func untrusted(policies []admissionv1.ValidatingAdmissionPolicy, bindings []admissionv1.ValidatingAdmissionPolicyBinding, namespace labels.Set) string {
	for _, name := range deploy.Policies() {
		i := slices.IndexFunc(policies, func(p admissionv1.ValidatingAdmissionPolicy) bool { return p.Name == name })
		switch {
		case i < 0 && len(policies) == 0:
			return "none is installed"
		case i < 0:
			return name + " is missing"
		case policies[i].Spec.FailurePolicy != nil && *policies[i].Spec.FailurePolicy != admissionv1.Fail:
			return name + " has failurePolicy " + string(*policies[i].Spec.FailurePolicy)
		}
		if !slices.ContainsFunc(bindings, func(b admissionv1.ValidatingAdmissionPolicyBinding) bool {
			return b.Spec.PolicyName == name && slices.Contains(b.Spec.ValidationActions, admissionv1.Deny) && covers(&b, namespace)
		}) {
			return name + " is not bound to it with the action Deny"
		}
	}
	return ""
}

// covers tells whether a binding holds for all that is made in a namespace with these labels.
func covers(b *admissionv1.ValidatingAdmissionPolicyBinding, namespace labels.Set) bool {
	match := b.Spec.MatchResources
	if match == nil {
		return true
	}
	selector, err := metav1.LabelSelectorAsSelector(orEverything(match.NamespaceSelector))
	return err == nil && selector.Matches(namespace) && len(match.ExcludeResourceRules) == 0 &&
		(match.ObjectSelector == nil || len(match.ObjectSelector.MatchLabels)+len(match.ObjectSelector.MatchExpressions) == 0)
}

// orEverything is a selector, which selects everything where there is none.
func orEverything(s *metav1.LabelSelector) *metav1.LabelSelector {
	if s == nil {
		return &metav1.LabelSelector{}
	}
	return s
}

// server is the line of the API server. Its error is that nobody answers there.
func (x *examination) server(ctx context.Context) (Check, error) {
	const name = "API server"
	var about version.Info
	text, err := x.client.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err == nil {
		err = json.Unmarshal(text, &about)
	}
	switch {
	case err != nil && lost(err):
		return Check{}, err
	case err != nil:
		return checkOf(name, StatusUnknown, err).besides(), nil
	}
	c := Check{Check: name, Status: StatusOK, Detail: about.GitVersion, aside: true}
	server, err := strconv.Atoi(strings.TrimRight(about.Minor, "+"))
	if skew := server - clientMinor; err == nil && (skew < -1 || skew > 1) {
		c.Status = StatusWarn
		c.Detail += fmt.Sprintf(": the plugin's client is of 1.%d, and Kubernetes supports clients of one minor version more or less; v1 of the API is all it asks for", clientMinor)
	}
	return c, nil
}

// clientMinor is the minor version of Kubernetes that the client library is of, k8s.io/client-go v0.37 in go.mod.
const clientMinor = 37
