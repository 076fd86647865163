package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// remove takes away all that this program ever made, and the pods that others put on its nodes.
func remove(ctx context.Context, client kubernetes.Interface, p *progress) error {
	p.step("removing the hollow nodes and their pods")
	for _, step := range []func(context.Context, kubernetes.Interface) error{
		removeExporter, removeOwnPods, releaseReplicaSets, removeNodes, removeGuests, removeNamespaces,
	} {
		if err := step(ctx, client); err != nil {
			return err
		}
	}
	p.step("nothing hollow is left")
	return nil
}

func removeExporter(ctx context.Context, client kubernetes.Interface) error {
	sets, err := client.AppsV1().DaemonSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: ours})
	if err != nil {
		return fmt.Errorf("listing DaemonSets: %w", err)
	}
	for _, set := range sets.Items {
		if err := deleted(client.AppsV1().DaemonSets(set.Namespace).Delete(ctx, set.Name, metav1.DeleteOptions{})); err != nil {
			return fmt.Errorf("deleting DaemonSet %s/%s: %w", set.Namespace, set.Name, err)
		}
	}
	return nil
}

// removeOwnPods deletes the nodes' own pods, part of a page at a time: the API server gives a request a minute, in which a busy
// machine deletes no two thousand in each of ten namespaces.
func removeOwnPods(ctx context.Context, client kubernetes.Interface) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range namespaces {
		group.Go(func() error {
			pods, now := client.CoreV1().Pods(namespaceName(i)), int64(0)
			for {
				left, err := pods.List(ctx, metav1.ListOptions{LabelSelector: ours, Limit: 1})
				if err == nil && len(left.Items) == 0 {
					return nil
				}
				if err == nil {
					err = pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{LabelSelector: ours, Limit: page / 4})
				}
				if err != nil && !apierrors.IsTimeout(err) {
					return fmt.Errorf("deleting the pods of namespace %s: %w", namespaceName(i), err)
				}
			}
		})
	}
	return group.Wait()
}

// releaseReplicaSets lets go of the ReplicaSets, which are deleted already (see owners).
func releaseReplicaSets(ctx context.Context, client kubernetes.Interface) error {
	sets, err := client.AppsV1().ReplicaSets(metav1.NamespaceAll).List(ctx, metav1.ListOptions{LabelSelector: ours})
	if err != nil {
		return fmt.Errorf("listing ReplicaSets: %w", err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": nil}})
	if err != nil {
		return err
	}
	for _, set := range sets.Items {
		api := client.AppsV1().ReplicaSets(set.Namespace)
		if _, err := api.Patch(ctx, set.Name, types.MergePatchType, patch, metav1.PatchOptions{}); deleted(err) != nil {
			return fmt.Errorf("releasing ReplicaSet %s/%s: %w", set.Namespace, set.Name, err)
		}
		if err := deleted(api.Delete(ctx, set.Name, metav1.DeleteOptions{})); err != nil {
			return fmt.Errorf("deleting ReplicaSet %s/%s: %w", set.Namespace, set.Name, err)
		}
	}
	return nil
}

func removeNodes(ctx context.Context, client kubernetes.Interface) error {
	selected := metav1.ListOptions{LabelSelector: ours}
	if err := client.CoreV1().Nodes().DeleteCollection(ctx, metav1.DeleteOptions{}, selected); err != nil {
		return fmt.Errorf("deleting the nodes: %w", err)
	}
	if err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).DeleteCollection(ctx, metav1.DeleteOptions{}, selected); err != nil {
		return fmt.Errorf("deleting the nodes' leases: %w", err)
	}
	return nil
}

// removeGuests deletes the pods of others that were on the nodes, at once: no kubelet is there to confirm their end.
func removeGuests(ctx context.Context, client kubernetes.Interface) error {
	options, now := metav1.ListOptions{LabelSelector: hollowLabel + "!=true", Limit: page}, int64(0)
	for {
		list, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, options)
		if err != nil {
			return fmt.Errorf("listing the pods on the nodes: %w", err)
		}
		for _, pod := range list.Items {
			if !strings.HasPrefix(pod.Spec.NodeName, "hollow-") {
				continue
			}
			if err := deleted(client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})); err != nil {
				return fmt.Errorf("deleting pod %s/%s: %w", pod.Namespace, pod.Name, err)
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

// removeNamespaces deletes the namespaces and waits until they are gone.
func removeNamespaces(ctx context.Context, client kubernetes.Interface) error {
	for {
		list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: ours})
		if err != nil {
			return fmt.Errorf("listing the namespaces: %w", err)
		}
		if len(list.Items) == 0 {
			return nil
		}
		for _, namespace := range list.Items {
			if namespace.DeletionTimestamp != nil {
				continue
			}
			if err := deleted(client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{})); err != nil {
				return fmt.Errorf("deleting namespace %s: %w", namespace.Name, err)
			}
		}
		if !sleep(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// removeSurplus takes away the nodes of an earlier run that this one does not have.
func (f *fleet) removeSurplus(ctx context.Context) error {
	list, err := f.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: ours, ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("listing the nodes of an earlier run: %w", err)
	}
	for _, object := range list.Items {
		if f.byName[object.Name] != nil {
			continue
		}
		if err := deleted(f.client.CoreV1().Nodes().Delete(ctx, object.Name, metav1.DeleteOptions{})); err != nil {
			return fmt.Errorf("deleting node %s: %w", object.Name, err)
		}
		lease := f.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
		if err := deleted(lease.Delete(ctx, object.Name, metav1.DeleteOptions{})); err != nil {
			return fmt.Errorf("deleting the lease of node %s: %w", object.Name, err)
		}
	}
	return nil
}
