package plugin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// access is whether somebody has a right in a namespace, as the API server says it to whom it concerns.
type access struct {
	Right
	namespace string // empty: in all, or of the cluster
	allowed   bool
	err       error // why that could not be told
}

// whoAmI is the user that the API server takes the plugin's for, empty where it does not tell (it does since 1.28).
func whoAmI(ctx context.Context, client kubernetes.Interface) string {
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return ""
	}
	return review.Status.UserInfo.Username
}

// access asks for every right that a run may need. A review is no object: nothing is stored.
func (x *examination) access(ctx context.Context) []access {
	var asked []access
	for _, r := range Rights() {
		switch {
		case r.Where == InCollectors:
			asked = append(asked, access{Right: r, namespace: x.home})
		case r.Where == InTargets && len(x.sel.Pods) > 0:
			for _, ref := range x.sel.Pods {
				if a := (access{Right: r, namespace: ref.Namespace}); !slices.Contains(asked, a) {
					asked = append(asked, a)
				}
			}
		case r.Where == InTargets:
			asked = append(asked, access{Right: r, namespace: x.sel.Namespace})
		default:
			asked = append(asked, access{Right: r})
		}
	}
	var reviews errgroup.Group
	reviews.SetLimit(16)
	for i := range asked {
		reviews.Go(func() error {
			a := &asked[i]
			a.allowed, a.err = may(ctx, x.client, a.attributes())
			return nil
		})
	}
	reviews.Wait()
	return asked
}

func (a *access) attributes() *authorizationv1.ResourceAttributes {
	resource, subresource, _ := strings.Cut(a.Resource, "/")
	attributes := &authorizationv1.ResourceAttributes{Namespace: a.namespace, Verb: a.Verb, Version: "v1", Resource: resource, Subresource: subresource}
	if a.Resource == "namespaces" {
		attributes.Name, attributes.Namespace = homeNamespace, homeNamespace
	}
	return attributes
}

// may asks whether the plugin's user has a right.
func may(ctx context.Context, client kubernetes.Interface, attributes *authorizationv1.ResourceAttributes) (bool, error) {
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return false, err
	case !review.Status.Allowed && review.Status.EvaluationError != "":
		return false, fmt.Errorf("%s", review.Status.EvaluationError)
	}
	return review.Status.Allowed, nil
}

// needs tells whether the run that is asked about cannot do without a right.
func (x *examination) needs(r Right) bool {
	switch {
	case r.Exporter:
		return x.Carrier == ExporterCarrier
	case r.Where == InCollectors && x.Carrier == ExporterCarrier:
		return r.Verb == "list" && r.Resource == "pods"
	case r.Where == InCollectors:
		return r.Without == "" && x.makesPods()
	case r.Where == InTargets:
		return (r.Verb == "get") == (len(x.sel.Pods) > 0)
	case r.Resource == "nodes" && r.Verb == "list":
		return x.nodes.listed
	}
	return false
}

// wants tells whether the run would make use of a right at all.
func (x *examination) wants(r Right) bool {
	switch {
	case r.Exporter:
		return x.Carrier == ExporterCarrier || x.Carrier == AnyCarrier && len(x.exporters.ready) > 0
	case r.Where == InCollectors && x.Carrier == ExporterCarrier:
		return x.needs(r)
	case r.Resource == "namespaces":
		return x.Namespace == ""
	}
	return true
}

// rights is one line for all rights that are there, and one for each that is not.
func (x *examination) rights(asked []access) []Check {
	const name = "rights"
	there, wanted := 0, 0
	var lines []Check
	for _, a := range asked {
		if !x.wants(a.Right) {
			continue
		}
		wanted++
		what := fmt.Sprintf("%s %s in %s", a.Verb, a.Resource, a.where())
		var c Check
		switch {
		case a.allowed:
			there++
			continue
		case a.err != nil:
			c = checkOf(name, StatusUnknown, fmt.Errorf("%s: %w", what, a.err))
		default:
			c = Check{Check: name, Status: StatusFail, Detail: "may not " + what, Fix: []string{granting(cmp.Or(x.user, "USER"), a.Verb, a.Resource, a.namespace)}}
		}
		if !x.needs(a.Right) {
			c = c.besides()
			if a.Without != "" {
				c.Detail += ": " + a.Without
			}
		}
		lines = append(lines, c)
	}
	if there == 0 {
		return lines
	}
	return append([]Check{{Check: name, Status: StatusOK, Detail: fmt.Sprintf("%d of %d that a run may ask for%s", there, wanted, x.as())}}, lines...)
}

func (a *access) where() string {
	switch {
	case a.Where == InCluster:
		return string(InCluster)
	case a.namespace == "":
		return "all namespaces"
	}
	return "namespace " + a.namespace
}

func (x *examination) as() string {
	if x.user == "" {
		return ""
	}
	return ", as " + x.user
}
