package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

const (
	// rolloutPause is between two looks at a rollout.
	rolloutPause = 500 * time.Millisecond
	// rolloutPatience is how long a trouble that could heal may last: a node's second pull comes after 10 s.
	rolloutPatience = 15 * time.Second
)

// rollout waits until every node has a ready exporter, and then says how to use it. What cannot heal ends the wait; what
// was applied stays in any case.
func (i *installation) rollout(ctx context.Context, name string) error {
	timed, cancel := context.WithTimeout(ctx, i.timeout)
	defer cancel()
	since := map[string]time.Time{} // troubles, by what they say
	last, stall := &standings{}, &stall{}
	for {
		s, err := i.standings(timed, name)
		switch {
		case ctx.Err() != nil:
			i.progress.clear()
			fmt.Fprintf(i.streams.ErrOut, "The exporter is applied, and starts without being waited for. To take it away: %s\n", i.removal())
			return ctx.Err()
		case timed.Err() != nil:
			return i.unready(fmt.Errorf("not ready within %s: %s", i.timeout, last.text()), "kubectl rollout status -n %s daemonset/%s, or give it longer with --timeout", i.namespace, name)
		case err != nil && !lost(err):
			return i.unready(fmt.Errorf("watching the rollout: %w", explainForbidden(err)), "kubectl rollout status -n %s daemonset/%s", i.namespace, name)
		case err != nil: // the API server hiccups: what is applied stays, and it comes back
		case s.done():
			i.progress.clear()
			return i.usage(s)
		default:
			last = s
			if trouble := s.lasting(since, i.patience); trouble != nil {
				return i.unready(trouble, "")
			}
			if stall.over(s, time.Now()) {
				i.nudge(timed, name)
			}
			i.progress.show(s.text())
		}
		sleep(timed, rolloutPause)
	}
}

// unready words why the wait is over although not all is well.
func (i *installation) unready(err error, format string, args ...any) error {
	err = fmt.Errorf("the exporter is applied, but %w", err)
	if format != "" {
		err = advise(err, format, args...)
	}
	return advise(err, "to take it away: %s", i.removal())
}

// standings are how far a DaemonSet has come.
type standings struct {
	daemonSet *appsv1.DaemonSet
	waiting   map[string]standing // by node, of pods that are not ready
	ready     []string            // names of pods of the present version
	refused   error               // why the controller can make no pods
}

// standings looks at the DaemonSet and its pods.
func (i *installation) standings(ctx context.Context, name string) (*standings, error) {
	daemonSet, err := i.client.AppsV1().DaemonSets(i.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pods, err := i.client.CoreV1().Pods(i.namespace).List(ctx, metav1.ListOptions{LabelSelector: exporterLabels.String()})
	if err != nil {
		return nil, err
	}
	s := &standings{daemonSet: daemonSet, waiting: map[string]standing{}}
	present, err := i.revision(ctx, daemonSet)
	if err != nil {
		return nil, err
	}
	for n := range pods.Items {
		pod := &pods.Items[n]
		switch {
		case !metav1.IsControlledBy(pod, daemonSet) || pod.DeletionTimestamp != nil:
		case present != "" && pod.Labels[appsv1.DefaultDaemonSetUniqueLabelKey] != present: // about to be replaced: its troubles are past
		case isReady(pod):
			s.ready = append(s.ready, pod.Name)
		default:
			s.waiting[nodeMeant(pod)] = standingOf(pod)
		}
	}
	if status := &daemonSet.Status; int(status.CurrentNumberScheduled) < int(status.DesiredNumberScheduled) || status.ObservedGeneration < daemonSet.Generation {
		s.refused = i.refusals(ctx, daemonSet)
	}
	return s, nil
}

// revision is the one that the DaemonSet's pods are to have, as their label says it; empty where it may not be asked for.
func (i *installation) revision(ctx context.Context, daemonSet *appsv1.DaemonSet) (string, error) {
	if daemonSet.Status.ObservedGeneration < daemonSet.Generation {
		return "none yet", nil
	}
	list, err := i.client.AppsV1().ControllerRevisions(i.namespace).List(ctx, metav1.ListOptions{LabelSelector: exporterLabels.String()})
	if apierrors.IsForbidden(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var last *appsv1.ControllerRevision
	for n := range list.Items {
		if r := &list.Items[n]; metav1.IsControlledBy(r, daemonSet) && (last == nil || r.Revision > last.Revision) {
			last = r
		}
	}
	if last == nil {
		return "", nil
	}
	return last.Labels[appsv1.DefaultDaemonSetUniqueLabelKey], nil
}

// standingOf is that of a pod which is not ready: one that starts anew and anew says why it ended.
func standingOf(pod *corev1.Pod) standing {
	status := collectorStatus(pod)
	if status != nil && status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff" && status.LastTerminationState.Terminated != nil {
		return standing{trouble: terminated(pod, status.LastTerminationState.Terminated)}
	}
	s := judge(pod)
	if s.started {
		s.doing = "waiting for its first answer"
	}
	return s
}

// nodeMeant is the node that a pod of a DaemonSet is for, also before the scheduler has said so.
func nodeMeant(pod *corev1.Pod) string {
	if pod.Spec.NodeName != "" || pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil {
		return pod.Spec.NodeName
	}
	if required := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		for _, term := range required.NodeSelectorTerms {
			for _, field := range term.MatchFields {
				if field.Key == "metadata.name" && len(field.Values) == 1 {
					return field.Values[0]
				}
			}
		}
	}
	return ""
}

// refusals are why the controller could make no pods: admission shows in its events and nowhere else.
func (i *installation) refusals(ctx context.Context, daemonSet *appsv1.DaemonSet) error {
	events, err := i.client.CoreV1().Events(i.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "type=Warning,reason=FailedCreate,involvedObject.uid=" + string(daemonSet.UID),
	})
	if err != nil || len(events.Items) == 0 {
		return nil
	}
	message := latest(events.Items).Message
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace}}
	return explainCreate(fmt.Errorf("no pod can be made: %s", strings.TrimPrefix(message, "Error creating: ")), pod)
}

// done tells whether every node has a ready exporter of the present version. kubectl rollout status waits longer, for
// minReadySeconds too: for the old pods that answer as well meanwhile.
func (s *standings) done() bool {
	status := &s.daemonSet.Status
	return status.ObservedGeneration >= s.daemonSet.Generation && status.UpdatedNumberScheduled >= status.DesiredNumberScheduled &&
		len(s.ready) >= int(status.DesiredNumberScheduled)
}

// lasting is a trouble that cannot heal, or has had the time to; since is kept from look to look.
func (s *standings) lasting(since map[string]time.Time, patience time.Duration) error {
	troubles := map[string]error{}
	if s.refused != nil {
		troubles["refused "+s.refused.Error()] = s.refused
	}
	for node, standing := range s.waiting {
		if standing.trouble == nil {
			continue
		}
		err := fmt.Errorf("node %s: %w", node, standing.trouble)
		if standing.patience == noPatience {
			return err
		}
		troubles[node] = err
	}
	for key := range since {
		if troubles[key] == nil {
			delete(since, key) // healed
		}
	}
	for key, err := range troubles {
		if since[key].IsZero() {
			since[key] = time.Now()
		}
		if time.Since(since[key]) >= patience {
			return err
		}
	}
	return nil
}

// text says how far it has come, and what the first of the nodes is waiting for.
func (s *standings) text() string {
	if s.daemonSet == nil {
		return "the API server does not answer"
	}
	status := &s.daemonSet.Status
	updated := min(int(status.UpdatedNumberScheduled), len(s.ready))
	if status.ObservedGeneration < s.daemonSet.Generation {
		return "waiting for the DaemonSet's controller"
	}
	text := fmt.Sprintf("%d of %d nodes ready", updated, status.DesiredNumberScheduled)
	if s.refused != nil {
		return text + "; " + oneLine(s.refused)
	}
	var nodes []string
	for node := range s.waiting {
		nodes = append(nodes, node)
	}
	if len(nodes) == 0 {
		return text
	}
	first := slices.Min(nodes)
	doing := s.waiting[first].doing
	if trouble := s.waiting[first].trouble; trouble != nil {
		doing = oneLine(trouble)
	}
	return text + "; " + first + ": " + doing
}

// usage says what there is now.
func (i *installation) usage(s *standings) error {
	nodes := int(s.daemonSet.Status.DesiredNumberScheduled)
	if nodes == 0 {
		return errors.New("the exporter is applied, but no node is chosen to run it: see --node-selector, and kubectl get nodes --show-labels")
	}
	pod := deploy.Name + "-xxxxx"
	if len(s.ready) > 0 {
		pod = slices.Min(s.ready)
	}
	annotation := s.daemonSet.Spec.Template.Annotations
	scheme := ""
	if annotation["prometheus.io/scheme"] == "https" {
		scheme = "https:"
	}
	where := ""
	if i.namespace != homeNamespace {
		where = " --collector-namespace " + i.namespace
	}
	lines := []string{
		fmt.Sprintf("The exporter is ready on %s.", plural(nodes, "node")),
		fmt.Sprintf("  kubectl cosanet top -A%s", where),
		"    asks it from now on: no pod is made",
		fmt.Sprintf("  kubectl get --raw /api/v1/namespaces/%s/pods/%s%s:%d/proxy/metrics", i.namespace, scheme, pod, deploy.Port),
		"    is what Prometheus gets of one node",
	}
	if !i.monitored {
		lines = append(lines, "Prometheus finds its pods where it looks for the annotations prometheus.io/scrape and prometheus.io/port; the operator",
			"by a PodMonitor: kubectl cosanet serve --component prometheus-operator.")
	}
	lines = append(lines, "To take it away: "+i.removal())
	_, err := io.WriteString(i.streams.ErrOut, strings.Join(lines, "\n")+"\n")
	return err
}
