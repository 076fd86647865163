package plugin

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// remove deletes what an installation makes, of all components, and waits until it is gone. What bears one of the names and
// is not ours stays, and so does a namespace in which somebody has something.
func (i *installation) remove(ctx context.Context) error {
	objects, err := everything(i.namespace)
	if err != nil {
		return err
	}
	var namespace *unstructured.Unstructured
	var found []*unstructured.Unstructured
	for _, object := range slices.Backward(objects) { // pods before the account that they run by, the namespace at last
		got, err := i.removable(ctx, object)
		switch {
		case err != nil:
			return err
		case got == nil:
		case got.GetKind() == "Namespace":
			namespace = got
		case !ours(got):
			fmt.Fprintf(i.streams.ErrOut, "%s stays: kubectl cosanet did not make it\n", titleOf(got))
		default:
			found = append(found, got)
		}
	}
	for _, object := range found {
		if err := i.delete(ctx, object); err != nil {
			return err
		}
	}
	if err := i.gone(ctx, found); err != nil {
		return err
	}
	switch {
	case namespace != nil && ours(namespace):
		return i.removeNamespace(ctx, namespace)
	case len(found) == 0:
		fmt.Fprintln(i.streams.ErrOut, "No resources found")
	case namespace != nil:
		fmt.Fprintf(i.streams.ErrOut, "%s stays: kubectl cosanet did not make it\n", titleOf(namespace))
	}
	return nil
}

// removable gets an object that is there; nil when it is not, nor is its kind. A kind that not every cluster has may also be
// one that not everybody may see.
func (i *installation) removable(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	got, err := i.at(object).Get(ctx, object.GetName(), metav1.GetOptions{})
	switch {
	case err == nil:
		return got, nil
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsForbidden(err) && fromCRD(object):
		fmt.Fprintf(i.streams.ErrOut, "%s: not looked for: %s\n", titleOf(object), oneLine(err))
		return nil, nil
	}
	return nil, fmt.Errorf("looking for %s: %w", titleOf(object), err)
}

// fromCRD tells whether an object's kind is none of Kubernetes' own, and so may be missing.
func fromCRD(object *unstructured.Unstructured) bool {
	group := object.GroupVersionKind().Group
	return strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io")
}

// delete deletes exactly this object; of a DaemonSet the pods first.
func (i *installation) delete(ctx context.Context, object *unstructured.Unstructured) error {
	uid, propagation, suffix := object.GetUID(), metav1.DeletePropagationForeground, ""
	options := metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &propagation}
	switch i.dryRun {
	case "client":
		suffix = " (dry run)"
	case "server":
		suffix, options.DryRun = " (server dry run)", []string{metav1.DryRunAll}
	}
	if i.dryRun != "client" {
		err := i.at(object).Delete(ctx, object.GetName(), options)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s: %w", titleOf(object), err)
		}
	}
	from := ""
	if object.GetNamespace() != "" {
		from = " from " + object.GetNamespace() + " namespace"
	}
	_, err := fmt.Fprintf(i.streams.Out, "%s %q deleted%s%s\n", kindOf(object), object.GetName(), printableLine(from), suffix)
	return err
}

// gone waits until the objects are no more.
func (i *installation) gone(ctx context.Context, objects []*unstructured.Unstructured) error {
	if i.dryRun != "none" || i.timeout == 0 {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	for _, object := range objects {
		for {
			got, err := i.at(object).Get(timed, object.GetName(), metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && got.GetUID() != object.GetUID() {
				break
			}
			if err != nil && !lost(err) {
				return fmt.Errorf("waiting until %s is gone: %w", titleOf(object), err)
			}
			i.progress.show("waiting until " + titleOf(object) + " is gone")
			if !sleep(timed, rolloutPause) {
				return i.stillThere(ctx, object)
			}
		}
	}
	i.progress.clear()
	return nil
}

func (i *installation) stillThere(ctx context.Context, object *unstructured.Unstructured) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	where := ""
	if object.GetNamespace() != "" {
		where = " -n " + object.GetNamespace()
	}
	return advise(fmt.Errorf("%s is deleted, but still there after %s", titleOf(object), i.timeout), "kubectl get%s %s -o yaml, or give it longer with --timeout", where, titleOf(object))
}

// removeNamespace deletes the namespace unless somebody has something in it.
func (i *installation) removeNamespace(ctx context.Context, namespace *unstructured.Unstructured) error {
	others, err := i.others(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s stays, since it cannot be said what is in it: %w", titleOf(namespace), err)
	case len(others) > 0:
		fmt.Fprintf(i.streams.ErrOut, "%s stays: it has %s; kubectl delete namespace %s takes them with it\n", titleOf(namespace), enumerate(others), i.namespace)
		return nil
	}
	if err := i.delete(ctx, namespace); err != nil {
		return err
	}
	return i.gone(ctx, []*unstructured.Unstructured{namespace})
}

// kept are the resources of which one in the namespace is enough to keep it. What every namespace is given is not counted:
// see given.
var kept = []schema.GroupVersionResource{
	{Version: "v1", Resource: "pods"},
	{Group: "apps", Version: "v1", Resource: "deployments"},
	{Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "apps", Version: "v1", Resource: "statefulsets"},
	{Group: "batch", Version: "v1", Resource: "jobs"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"},
	{Version: "v1", Resource: "persistentvolumeclaims"},
	{Version: "v1", Resource: "services"},
	{Version: "v1", Resource: "configmaps"},
	{Version: "v1", Resource: "secrets"},
	{Version: "v1", Resource: "serviceaccounts"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
}

// others are the first things in the namespace that are not ours. Of Secrets, too, only the names are asked for.
func (i *installation) others(ctx context.Context) ([]string, error) {
	var others []string
	for _, resource := range kept {
		list, err := i.metadata.Resource(resource).Namespace(i.namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", resource.Resource, explainForbidden(err))
		}
		for n := range list.Items {
			object := &list.Items[n]
			if object.Labels[partOfLabel] != partOf && !given(resource.Resource, object) {
				others = append(others, strings.TrimSuffix(resource.Resource, "s")+"/"+object.Name)
			}
		}
	}
	return others, nil
}

// given tells whether Kubernetes, or OpenShift, puts the object into every namespace.
func given(resource string, object *metav1.PartialObjectMetadata) bool {
	switch resource {
	case "configmaps":
		return object.Name == "kube-root-ca.crt" || object.Name == "openshift-service-ca.crt"
	case "serviceaccounts":
		return slices.Contains([]string{"default", "builder", "deployer"}, object.Name)
	case "secrets": // tokens and pull secrets of those accounts
		return object.Annotations["kubernetes.io/service-account.name"] != "" || strings.HasPrefix(object.Name, "default-dockercfg-") ||
			strings.HasPrefix(object.Name, "builder-dockercfg-") || strings.HasPrefix(object.Name, "deployer-dockercfg-")
	case "rolebindings":
		return strings.HasPrefix(object.Name, "system:")
	case "pods":
		return metav1.GetControllerOf(object) != nil && object.DeletionTimestamp != nil
	}
	return false
}
