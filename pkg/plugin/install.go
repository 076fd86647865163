package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// removal is the command that undoes an installation.
func (i *installation) removal() string {
	if i.namespace == homeNamespace {
		return "kubectl cosanet serve --remove"
	}
	return "kubectl cosanet serve --remove --collector-namespace " + i.namespace
}

// install applies the objects and waits until the exporter is ready on every node. What could be known beforehand is asked
// beforehand, so that nothing is left half done for it.
func (i *installation) install(ctx context.Context, objects []*unstructured.Unstructured) error {
	daemonSet, err := daemonSetOf(objects)
	if err != nil {
		return err
	}
	if i.dryRun != "client" {
		there, err := i.survey(ctx, objects)
		if err != nil {
			return err
		}
		if there.foreignNamespace() {
			objects = there.withoutNamespace(objects)
			if err := i.admitted(ctx, daemonSet); err != nil {
				return err
			}
		}
	}
	for _, object := range objects {
		applied, err := i.apply(ctx, object)
		switch {
		case i.dryRun == "server" && isNamespaceMissing(err):
			fmt.Fprintf(i.streams.ErrOut, "%s: the server can say nothing of it before namespace %s is there\n", titleOf(object), i.namespace)
			continue
		case err != nil:
			return errors.Join(i.printer.close(), err)
		}
		if err := i.printer.print(applied); err != nil {
			return err
		}
		i.monitored = i.monitored || object.GetKind() == "PodMonitor"
	}
	if err := i.printer.close(); err != nil || i.dryRun != "none" || i.timeout == 0 {
		return err
	}
	return i.rollout(ctx, daemonSet.Name)
}

func daemonSetOf(objects []*unstructured.Unstructured) (*appsv1.DaemonSet, error) {
	for _, object := range objects {
		if object.GetKind() == "DaemonSet" {
			daemonSet := &appsv1.DaemonSet{}
			err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, daemonSet)
			return daemonSet, err
		}
	}
	return nil, errors.New("the manifests have no DaemonSet")
}

// apply applies one object. Who asks for the same again gets the same, so that a lost answer does no harm.
func (i *installation) apply(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if i.dryRun == "client" {
		return object, nil
	}
	options := metav1.ApplyOptions{FieldManager: managedBy, Force: i.force}
	if i.dryRun == "server" {
		options.DryRun = []string{metav1.DryRunAll}
	}
	applied, err := i.at(object).Apply(ctx, object.GetName(), object, options)
	if err != nil {
		return nil, fmt.Errorf("applying %s: %w", titleOf(object), i.explain(err, object))
	}
	return applied, nil
}

// explain adds to the API server's refusal of an object what helps against it.
func (i *installation) explain(err error, object *unstructured.Unstructured) error {
	switch {
	case apierrors.IsConflict(err):
		return advise(err, "somebody else manages these fields: leave them to be taken over with --force-conflicts, or install into another namespace with --collector-namespace")
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return advise(err, "wait until it is gone: kubectl wait --for=delete namespace/%s", i.namespace)
	case noSuchKind(err):
		return advise(fmt.Errorf("the cluster has no kind %s of %s", object.GetKind(), object.GetAPIVersion()),
			"install what brings it (for PodMonitor and PrometheusRule the CRDs of the Prometheus operator), or go without its --component")
	case apierrors.IsForbidden(err) && forbiddenByRBAC.MatchString(err.Error()):
		return advise(err, "to install takes the rights of an administrator: kubectl cosanet serve --dry-run=client -o yaml prints what one can apply")
	case apierrors.IsInvalid(err) && strings.Contains(err.Error(), "field is immutable"):
		return advise(err, "%s, then install it anew", i.removal())
	}
	return err
}

// noSuchKind tells the answer for a resource that the API server does not have from that for an object that is not there
// (k8s.io/apimachinery/pkg/api/errors.NewGenericServerResponse).
func noSuchKind(err error) bool {
	return apierrors.IsNotFound(err) && strings.Contains(err.Error(), "could not find the requested resource")
}

func isNamespaceMissing(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// presence is which of the objects are there already, by their title.
type presence map[string]*unstructured.Unstructured

// survey looks for the objects. Its error says which of them are somebody else's, or of a kind that the cluster does not have.
func (i *installation) survey(ctx context.Context, objects []*unstructured.Unstructured) (presence, error) {
	found, err := i.look(ctx, objects)
	if err != nil {
		return nil, err
	}
	var foreign []string
	for title, object := range found {
		if !ours(object) && object.GetKind() != "Namespace" {
			foreign = append(foreign, title)
		}
	}
	if len(foreign) > 0 {
		return nil, advise(fmt.Errorf("namespace %s has %s, which kubectl cosanet did not make", i.namespace, enumerate(foreign)),
			"install into another namespace with --collector-namespace, or hand it over: kubectl label -n %s %s %s=%s", i.namespace, foreign[0], partOfLabel, partOf)
	}
	return found, nil
}

// look gets the objects that are there.
func (i *installation) look(ctx context.Context, objects []*unstructured.Unstructured) (presence, error) {
	found := make([]*unstructured.Unstructured, len(objects))
	var gets errgroup.Group
	gets.SetLimit(16)
	for n, object := range objects {
		gets.Go(func() error {
			got, err := i.at(object).Get(ctx, object.GetName(), metav1.GetOptions{})
			switch {
			case err == nil:
				found[n] = got
			case noSuchKind(err) || !apierrors.IsNotFound(err):
				return fmt.Errorf("looking for %s: %w", titleOf(object), i.explain(err, object))
			}
			return nil
		})
	}
	if err := gets.Wait(); err != nil {
		return nil, err
	}
	there := presence{}
	for n, object := range objects {
		if found[n] != nil {
			there[titleOf(object)] = found[n]
		}
	}
	return there, nil
}

// ours tells whether an object is part of what deploy has.
func ours(object *unstructured.Unstructured) bool { return object.GetLabels()[partOfLabel] == partOf }

// foreignNamespace tells whether the namespace is there and somebody else's: then it stays as it is.
func (p presence) foreignNamespace() bool {
	for _, object := range p {
		if object.GetKind() == "Namespace" {
			return !ours(object)
		}
	}
	return false
}

func (p presence) withoutNamespace(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var rest []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() != "Namespace" {
			rest = append(rest, object)
		}
	}
	return rest
}

// admitted asks whether a namespace of somebody else's takes the exporter's pods. A DaemonSet is taken by any; its pods
// are refused one by one, where nobody sees it. Asked for the default account: that of the exporter is not there yet.
func (i *installation) admitted(ctx context.Context, daemonSet *appsv1.DaemonSet) error {
	pod := &corev1.Pod{ObjectMeta: daemonSet.Spec.Template.ObjectMeta, Spec: daemonSet.Spec.Template.Spec}
	pod.Namespace, pod.GenerateName, pod.Spec.ServiceAccountName = i.namespace, daemonSet.Name+"-", ""
	_, err := i.client.CoreV1().Pods(i.namespace).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil || !refusesPods(err) {
		return nil // who installs DaemonSets need not have the right to make pods: then the rollout tells
	}
	return fmt.Errorf("namespace %s would not take the exporter's pods: %w", i.namespace, explainCreate(err, pod))
}

// refusesPods tells whether an error is the namespace's, and not that of who asked.
func refusesPods(err error) bool {
	text := err.Error()
	for _, words := range []string{"violates PodSecurity", "admission webhook", "ValidatingAdmissionPolicy"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}
