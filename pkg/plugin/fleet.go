package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// homeNamespace is where collector pods are at home, if the cluster has it: labelled so that it admits them, and with
// the Role that lets people make them. They never go to the namespace of the pods that are looked at.
const homeNamespace = "cosanet"

// Observe asks every node of the selection: one collector pod each, so many at a time. A node that does not answer has
// its reason in its Observation; the error is for what concerns all of them: what was selected, rights, an interruption.
// When Observe returns, the deletion of the pods may still be under way: what was read can be shown while it is. The
// ledger settles it before the process ends.
func (c *Collection) Observe(ctx context.Context, client kubernetes.Interface, sel Selection, ask Ask) (*Fleet, error) {
	defer c.progress.clear()
	targets, namespace, err := c.aim(ctx, client, &sel)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	c.ledger.deleting.Go(func() { sweep(client, namespace) }) // what earlier runs left behind
	fleet := &Fleet{Observations: make([]Observation, len(targets.nodes)), Pods: targets.pods}
	c.progress.begin(len(targets.nodes))
	visits, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	var nodes errgroup.Group
	nodes.SetLimit(c.Concurrency)
	for i, node := range targets.nodes {
		nodes.Go(func() error {
			v := &visit{client: client, ledger: c.ledger, progress: c.progress, order: c.order(namespace, node, ask)}
			fleet.Observations[i] = v.observe(visits)
			if err := fleet.Observations[i].Err; errors.As(err, new(*refusedError)) {
				refuse(err)
			}
			return nil
		})
	}
	nodes.Wait()
	if err := context.Cause(visits); err != nil {
		return nil, err
	}
	return fleet, nil
}

// aim finds out which pods and nodes are meant, and where the collector pods go: two questions asked at once, the first
// one's error first.
func (c *Collection) aim(ctx context.Context, client kubernetes.Interface, sel *Selection) (*targets, string, error) {
	timed, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var t *targets
	var namespace string
	var selErr, homeErr error
	var both sync.WaitGroup
	both.Go(func() { t, selErr = sel.resolve(timed, client) })
	both.Go(func() { namespace, homeErr = c.home(timed, client) })
	both.Wait()
	if timed.Err() != nil && ctx.Err() == nil {
		return nil, "", advise(fmt.Errorf("the API server did not answer within %s", c.Timeout), "kubectl cluster-info, or give it longer with --timeout")
	}
	return t, namespace, cmp.Or(selErr, homeErr)
}

// home is the namespace of the collector pods. Who may not ask for the usual one goes without it.
func (c *Collection) home(ctx context.Context, client kubernetes.Interface) (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	_, err := client.CoreV1().Namespaces().Get(ctx, homeNamespace, metav1.GetOptions{})
	switch {
	case err == nil:
		return homeNamespace, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		return metav1.NamespaceDefault, nil
	}
	return "", fmt.Errorf("looking for namespace %s: %w", homeNamespace, err)
}

func (c *Collection) order(namespace, node string, ask Ask) *order {
	return &order{
		name:      newPodName(),
		namespace: namespace,
		node:      node,
		run:       newRunID(),
		profile:   c.Profile,
		image:     c.Image,
		pull:      corev1.PullPolicy(c.PullPolicy),
		secrets:   c.PullSecrets,
		criSocket: c.CRISocket,
		version:   c.version,
		timeout:   c.Timeout + time.Duration(max(1, ask.Samples)-1)*ask.Interval,
		ask:       ask,
	}
}
