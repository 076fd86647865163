package plugin

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

// homeNamespace is where collector pods are at home, if the cluster has it: labelled so that it admits them, and with
// the Role that lets people make them. They never go to the namespace of the pods that are looked at.
const homeNamespace = deploy.Namespace

// Observe asks every node of the selection, so many at a time: its exporter, where there is one that can answer, else a
// collector pod. A node that does not answer has its reason in its Observation; the error is for what concerns all of
// them: what was selected, rights, an interruption.
// When Observe returns, the deletion of the pods may still be under way: what was read can be shown while it is. The
// ledger settles it before the process ends.
func (c *Collection) Observe(ctx context.Context, client kubernetes.Interface, sel Selection, ask Ask) (*Fleet, error) {
	defer c.progress.clear()
	aim, err := c.aim(ctx, client, &sel)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, err
	}
	inquiry := &inquiry{Collection: c, client: client, ask: ask, aim: aim}
	return inquiry.run(ctx)
}

// aim is what a run is about.
type aim struct {
	*targets
	namespace string     // of the collector pods
	exporters *exporters // none where they are not to be asked
}

// aim finds out which pods and nodes are meant, who is there to ask, and where collector pods go: three questions asked
// at once, the first one's error first.
func (c *Collection) aim(ctx context.Context, client kubernetes.Interface, sel *Selection) (*aim, error) {
	timed, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	a := &aim{exporters: &exporters{}}
	var selErr, homeErr, noneErr error
	var all sync.WaitGroup
	all.Go(func() { a.targets, selErr = sel.resolve(timed, client) })
	if c.Carrier != ExporterCarrier {
		all.Go(func() { a.namespace, homeErr = c.home(timed, client) })
	}
	if c.Carrier != PodCarrier {
		all.Go(func() { a.exporters = findExporters(timed, client, installedIn(c.Namespace)) })
	}
	all.Wait()
	if timed.Err() != nil && ctx.Err() == nil {
		return nil, advise(fmt.Errorf("the API server did not answer within %s", c.Timeout), "kubectl cluster-info, or give it longer with --timeout")
	}
	if c.Carrier == ExporterCarrier {
		noneErr = a.exporters.none()
	}
	return a, cmp.Or(selErr, homeErr, noneErr)
}

// home is the namespace of the collector pods. Who may not ask for the usual one goes without it.
func (c *Collection) home(ctx context.Context, client kubernetes.Interface) (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	err := patiently(ctx, func() error {
		_, err := client.CoreV1().Namespaces().Get(ctx, homeNamespace, metav1.GetOptions{})
		return err
	})
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
		pull:      c.Pull,
		criSocket: c.CRISocket,
		version:   c.version,
		timeout:   c.Timeout + time.Duration(max(1, ask.Samples)-1)*ask.Interval,
		silence:   c.Timeout,
		ask:       ask,
	}
}
