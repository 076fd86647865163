package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

// overdue is how long after its end, or after its deadline, a collector pod is nobody's any more. Clocks differ.
const overdue = 5 * time.Minute

// collectorPods are the collector pods of a namespace, of all when it is empty. What a controller made is not among them.
func collectorPods(ctx context.Context, client kubernetes.Interface, namespace string) ([]corev1.Pod, error) {
	var pods []corev1.Pod
	list := func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
		return client.CoreV1().Pods(namespace).List(ctx, opts)
	}
	err := everyItem(ctx, list, metav1.ListOptions{LabelSelector: managedByLabel + "=" + managedBy}, func(object runtime.Object) {
		pod := object.(*corev1.Pod)
		if pod.Annotations[runIDAnnotation] != "" && metav1.GetControllerOf(pod) == nil {
			pods = append(pods, *pod)
		}
	})
	return pods, err
}

// due is when the run of a collector pod is over at the latest, and the kubelet ends the pod.
func due(pod *corev1.Pod) time.Time {
	return pod.CreationTimestamp.Add(time.Duration(deadlineOf(pod)) * time.Second)
}

// leftover tells whether no run can still be interested in a collector pod. Of a container that never ran the kubelet does not
// say when it ended.
func leftover(pod *corev1.Pod, now time.Time) bool {
	end := due(pod)
	if status := collectorStatus(pod); status != nil && status.State.Terminated != nil && !status.State.Terminated.FinishedAt.IsZero() {
		end = status.State.Terminated.FinishedAt.Time
	}
	return now.After(end.Add(overdue))
}

// sweep deletes leftovers, as far as it may and can: the run at hand does not depend on it.
func sweep(client kubernetes.Interface, namespace string) {
	ctx, cancel := context.WithTimeout(context.Background(), afterlife)
	defer cancel()
	pods, err := collectorPods(ctx, client, namespace)
	if err != nil {
		return
	}
	for i := range pods {
		if leftover(&pods[i], time.Now()) && deletePod(ctx, client, &pods[i]) != nil {
			return
		}
	}
}

// cleanup is what the verb is told.
type cleanup struct {
	namespace string
	olderThan time.Duration
	all       bool // those that a run may be reading, too
	dryRun    bool
}

// newCleanup is the verb that deletes the collector pods which runs that were killed have left behind.
func newCleanup(f *factory) *cobra.Command {
	var c cleanup
	cmd := &cobra.Command{
		Use:        "cleanup",
		SuggestFor: []string{"clean", "delete", "sweep"},
		Short:      "Delete collector pods that are left behind",
		Long: `Delete the collector pods that are left behind by runs which were killed
(kill -9, a lost connection). Every run deletes its own pods, and those of
earlier runs that are long over; a collector also ends by itself when its time
is up. This deletes those whose time is up, in all namespaces, or in the usual
ones for those who may not list all. Until then somebody may be reading what a
pod counts: it is named and spared. --all deletes it too, and ends that run.`,
		Example: `  kubectl cosanet cleanup --dry-run
  kubectl cosanet cleanup --all --older-than 1m`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := f.client()
			if err != nil {
				return err
			}
			return c.run(cmd.Context(), client, f)
		},
	}
	cmd.Flags().StringVar(&c.namespace, "collector-namespace", "", "only those of the namespace with this `NAME`")
	cmd.Flags().DurationVar(&c.olderThan, "older-than", 0, "only those made longer ago than this `DURATION`")
	cmd.Flags().BoolVar(&c.all, "all", false, "also those that may be in use: other runs end")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "only say what would be deleted")
	return cmd
}

func (c *cleanup) run(ctx context.Context, client kubernetes.Interface, f *factory) error {
	pods, err := c.find(ctx, client)
	if err != nil {
		return fmt.Errorf("listing collector pods: %w", explainForbidden(err))
	}
	var failures []error
	deleted, spared := 0, 0
	for i := range pods {
		pod := &pods[i]
		if time.Since(pod.CreationTimestamp.Time) < c.olderThan {
			continue
		}
		if left := time.Until(due(pod)); left > 0 && !c.all { // also one that has ended: its log may be about to be read
			spared++
			fmt.Fprintf(f.streams.ErrOut, "pod %q in %s namespace may be in use for another %s: --all deletes it too\n",
				pod.Name, sanitize(pod.Namespace), left.Round(time.Second))
			continue
		}
		suffix := ""
		if c.dryRun {
			suffix = " (dry run)"
		} else if err := deletePod(ctx, client, pod); err != nil {
			failures = append(failures, err)
			continue
		}
		deleted++
		fmt.Fprintf(f.streams.Out, "pod %q deleted from %s namespace%s\n", pod.Name, sanitize(pod.Namespace), suffix)
	}
	if deleted+spared+len(failures) == 0 {
		fmt.Fprintln(f.streams.ErrOut, "No resources found")
	}
	return errors.Join(failures...)
}

// find looks in all namespaces; who may not gets those where collector pods go by default.
func (c *cleanup) find(ctx context.Context, client kubernetes.Interface) ([]corev1.Pod, error) {
	pods, err := collectorPods(ctx, client, c.namespace)
	if c.namespace != "" || !apierrors.IsForbidden(err) {
		return pods, err
	}
	var may bool
	for _, namespace := range []string{homeNamespace, metav1.NamespaceDefault} {
		found, err := collectorPods(ctx, client, namespace)
		may = may || err == nil
		pods = append(pods, found...)
	}
	if may {
		return pods, nil
	}
	return nil, err
}
