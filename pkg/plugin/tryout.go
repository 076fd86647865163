package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// podSecurity is the label of the level that a namespace enforces (k8s.io/pod-security-admission/api).
const podSecurity = "pod-security.kubernetes.io/enforce"

// namespace is the line of the collector pods' namespace. What admits a pod there is tried out with one: tryPod.
func (x *examination) namespace(ctx context.Context) Check {
	c := Check{Check: "namespace", Status: StatusOK}
	ns, err := x.client.CoreV1().Namespaces().Get(ctx, x.home, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		c.Status, c.aside = StatusUnknown, true
		c.Detail = x.home + ": its labels may not be read"
		return c
	case apierrors.IsNotFound(err):
		return checkOf(c.Check, StatusFail, explainCreate(err, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: x.home}}))
	case err != nil:
		return checkOf(c.Check, StatusUnknown, err)
	case ns.DeletionTimestamp != nil:
		return checkOf(c.Check, StatusFail, advise(fmt.Errorf("%s is being terminated", x.home), "use another namespace with --collector-namespace"))
	}
	switch level := ns.Labels[podSecurity]; level {
	case "privileged":
		c.Detail = x.home + ": enforces Pod Security level privileged"
	case "":
		c.Detail = x.home + ": has no Pod Security level of its own"
	default:
		c.Status, c.aside = StatusWarn, true
		c.Detail = fmt.Sprintf("%s: enforces Pod Security level %s, which refuses hostPID", x.home, level)
	}
	return c
}

// tryPod is the line of the collector pod: the very pod that a run would make, created by a dry run, so that quotas, limit
// ranges, webhooks and policies are asked too, and nothing is stored.
func (x *examination) tryPod(ctx context.Context) Check {
	const name = "collector pod"
	if len(x.nodes.able) == 0 {
		return Check{Check: name, Status: StatusUnknown, Detail: "not tried out: there is no node to run it", aside: true}
	}
	node := x.nodes.able[0].Name
	if nodes := x.podNodes(); len(nodes) > 0 {
		node = nodes[0].Name
	}
	asked := x.order(x.home, node, Ask{Metrics: metrics.Default, Samples: 1}).pod()
	pod, err := x.client.CoreV1().Pods(x.home).Create(ctx, asked, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	switch {
	case err != nil && strings.Contains(err.Error(), "does not support dry run"): // k8s.io/apiserver/pkg/admission/plugin/webhook/errors
		return checkOf(name, StatusUnknown, fmt.Errorf("cannot be tried out: %w", err))
	case err != nil && lost(err):
		return checkOf(name, StatusUnknown, explainCreate(err, asked))
	case err != nil:
		return checkOf(name, StatusFail, explainCreate(err, asked))
	}
	if changes := altered(asked, pod); len(changes) > 0 {
		return checkOf(name, StatusFail, advise(fmt.Errorf("a webhook of the cluster changes it: %s", strings.Join(changes, ", ")), "%s", exempt))
	}
	return Check{Check: name, Status: StatusOK, Detail: fmt.Sprintf("admitted to namespace %s with profile %s, by a dry run", x.home, x.Profile)}
}

// leftovers is the line of the collector pods that are there.
func (x *examination) leftovers(ctx context.Context) Check {
	c := Check{Check: "leftovers", Status: StatusOK, Detail: "none", aside: true}
	pods, err := (&cleanup{}).find(ctx, x.client)
	if err != nil {
		c.Status, c.Detail = StatusUnknown, "may not be looked for: "+oneLine(err)
		return c
	}
	var old []string
	for i := range pods {
		if leftover(&pods[i], time.Now()) {
			old = append(old, PodRef{pods[i].Namespace, pods[i].Name}.String())
		}
	}
	var words []string
	if len(old) > 0 {
		c.Status, c.Fix = StatusWarn, []string{"kubectl cosanet cleanup"}
		words = append(words, fmt.Sprintf("%s of earlier runs: %s", plural(len(old), "collector pod"), enumerate(old)))
	}
	if running := len(pods) - len(old); running > 0 {
		words = append(words, plural(running, "collector pod")+" of runs that may be under way")
	}
	if len(words) > 0 {
		c.Detail = strings.Join(words, "; ")
	}
	return c
}

// exporter is the line of the exporter. One of those that are ready is asked, as a run would: its version, and that the way
// to it is free.
func (x *examination) exporter(ctx context.Context) Check {
	const name = "exporter"
	found := x.exporters
	must := x.Carrier == ExporterCarrier
	status := StatusWarn
	if must {
		status = StatusFail
	}
	none := found.none()
	switch {
	case x.Carrier == PodCarrier:
		return Check{Check: name, Status: StatusOK, Detail: "not asked with --source pod", aside: true}
	case none != nil && (must || found.err != nil):
		return x.exporterIs(checkOf(name, status, none))
	case none != nil:
		return Check{Check: name, Status: StatusOK, Detail: "none in namespace " + found.namespace + ": a run makes pods of its own", aside: true}
	}
	var ready, missing []string
	for _, node := range x.nodes.able {
		if found.ready[node.Name] != nil {
			ready = append(ready, node.Name)
		} else {
			missing = append(missing, node.Name)
		}
	}
	c := Check{Check: name, Status: StatusOK, Detail: fmt.Sprintf("ready on %d of %s", len(ready), plural(len(x.nodes.able), "node"))}
	if len(missing) > 0 {
		c.Status = status
		c.Detail += ", not on " + enumerate(missing)
		c.Fix = append(c.Fix, fmt.Sprintf("kubectl get pods -n %s -o wide -l %s", found.namespace, exporterLabels))
	}
	if len(ready) == 0 {
		return x.exporterIs(c)
	}
	s := &scrape{client: x.client, exporter: found.ready[ready[0]], ask: Ask{Metrics: metrics.Default, Samples: 1, Only: []string{}}, patience: min(x.Timeout, x.patience), timeout: x.Timeout}
	_, reply, err := s.samples(ctx)
	switch {
	case err != nil:
		answer := checkOf(name, status, fmt.Errorf("%s; of node %s: %w", c.Detail, ready[0], err))
		answer.Fix = append(answer.Fix, c.Fix...)
		return x.exporterIs(answer)
	case reply.version != x.version:
		c.doubt()
		c.Detail += fmt.Sprintf("; that of node %s is of version %s, kubectl cosanet of %s", ready[0], reply.version, x.version)
		c.Fix = append(c.Fix, "kubectl cosanet serve brings it to the plugin's version")
	default:
		c.Detail += ", of version " + reply.version
	}
	x.answers = true
	return x.exporterIs(c)
}

// exporterIs is the line of the exporter; a run depends on it only where it asks nobody else.
func (x *examination) exporterIs(c Check) Check {
	if x.Carrier != ExporterCarrier {
		return c.besides()
	}
	return c
}

// exempt is what helps against a webhook that changes pods.
const exempt = "exempt its namespace from the webhook, or use another one with --collector-namespace"

// notThere words that a node cannot be had.
func notThere(name string, err error) error {
	if err == nil || apierrors.IsNotFound(err) {
		return advise(errors.New("there is no such node"), "kubectl get nodes")
	}
	return err
}
