package plugin

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// refusedError is what holds for every pod of a namespace alike, so that asking for a second one is of no use.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// explainCreate adds to the API server's refusal of a collector pod what helps against it.
func explainCreate(err error, pod *corev1.Pod) error {
	namespace, text := pod.Namespace, err.Error()
	elsewhere := "or use another namespace with --collector-namespace"
	switch {
	case apierrors.IsNotFound(err) && strings.Contains(text, "namespaces "):
		return &refusedError{advise(err, "kubectl create namespace %s && kubectl label namespace %[1]s pod-security.kubernetes.io/enforce=privileged\n  %s", namespace, elsewhere)}
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return &refusedError{advise(err, "use another namespace with --collector-namespace")}
	case forbiddenByRBAC.MatchString(text):
		return &refusedError{explainForbidden(err)}
	case strings.Contains(text, "violates PodSecurity"):
		return &refusedError{advise(err, "kubectl label namespace %s pod-security.kubernetes.io/enforce=privileged --overwrite\n  %s", namespace, elsewhere)}
	case strings.Contains(text, "unable to validate against any security context constraint"):
		return &refusedError{advise(err, "oc adm policy add-scc-to-user privileged -z default -n %s", namespace)}
	case strings.Contains(text, "quota"):
		return advise(err, "kubectl describe quota -n %s\n  ask fewer nodes at a time with --max-concurrent-nodes, %s", namespace, elsewhere)
	case strings.Contains(text, " usage per "), strings.Contains(text, "limit to request ratio"):
		return &refusedError{advise(err, "kubectl describe limitrange -n %s\n  %s", namespace, elsewhere)}
	case strings.Contains(text, "error looking up service account"):
		return advise(err, "kubectl get serviceaccount -n %s default; a new namespace gets it in a moment", namespace)
	case strings.Contains(text, "failed calling webhook"), strings.Contains(text, "failed to call webhook"):
		return advise(err, "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations; the one named does not answer\n  %s", elsewhere)
	case strings.Contains(text, "ValidatingAdmissionPolicy 'cosanet-collector-"):
		return &refusedError{advise(err, "deploy/policy admits only pods as the plugin of its own version makes them, with images of the repositories that it names: see docs/security.md\n  %s", elsewhere)}
	case strings.Contains(text, "admission webhook"), strings.Contains(text, "ValidatingAdmissionPolicy"):
		return advise(err, "a policy of this cluster forbids the pod: try --profile restricted, %s", elsewhere)
	}
	return err
}

// forbiddenByRBAC matches how the API server words a missing right
// (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go).
var forbiddenByRBAC = regexp.MustCompile(`User "(.*)" cannot (\S+) resource "(\S+)" in API group "\S*"(?: in the namespace "(\S+)"| at the cluster scope)`)

// explainForbidden adds to a refusal for want of rights the command that grants them; other errors stay as they are.
func explainForbidden(err error) error {
	if !apierrors.IsForbidden(err) {
		return err
	}
	m := forbiddenByRBAC.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return advise(err, "%s", granting(m[1], m[2], m[3], m[4]))
}

// subject is the flag of kubectl create rolebinding that names a user.
func subject(user string) string {
	if account, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		return "--serviceaccount=" + account
	}
	return fmt.Sprintf("--user=%q", user)
}

// unreachable adds to a refused connection, or one that is never answered, where to look; other errors stay as they are.
func unreachable(err error) error {
	var request *url.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return advise(err, "no API server answers there: see kubectl config get-contexts and kubectl cluster-info")
	case errors.As(err, &request) && request.Timeout():
		return advise(err, "the API server did not answer in time: see --request-timeout and kubectl cluster-info")
	}
	return err
}

// lost tells whether an error leaves open if the API server did what it was asked: the connection broke, or something
// between did. A 4xx is an answer.
func lost(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	return status.Status().Code >= 500 || status.Status().Reason == metav1.StatusReasonTimeout
}
