package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// hollowLabel marks every object that this program makes, so that it finds them again and takes no other's away. It is a
// taint as well: nothing else is to land on the nodes.
const hollowLabel = "cosanet.io/hollow"

// ours selects the objects of this program.
const ours = hollowLabel + "=true"

// fleet is all hollow nodes and what they have in common.
type fleet struct {
	*options
	client    kubernetes.Interface
	progress  *progress
	version   string // of the cluster, which the kubelets claim to be of as well
	recording *recording
	answers   *answers
	began     time.Time // when the counters were as recorded

	nodes  []*node
	byName map[string]*node

	mu    sync.Mutex
	lives map[podKey]*life     // of the pods that others put on the nodes
	byIP  map[netip.Addr]*life // those that serve something
	next  netip.Addr           // where to look for a free pod address
}

// node is one hollow node. Its kubelet is spread over this program; this is what it keeps.
type node struct {
	name    string
	number  int // from 1
	address netip.Addr
	fate

	mu     sync.Mutex
	uids   []string           // of its own pods, by their number; empty while one does not exist
	guests map[podKey]sandbox // pods of others that have a network namespace
	images map[string]bool    // that it has pulled
	change atomic.Uint64      // counts the changes of uids and guests
}

// podKey names a pod.
type podKey struct{ namespace, name string }

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(tuned(config))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return client, nil
}

// tuned suits a config to the kubelets of many nodes. They have no limit in common, so there is none here: what is made in
// bulk is bounded by the number of workers, leases by their period, and the rest by what the users of the nodes do.
func tuned(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS = -1
	config.UserAgent = "hollow"
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return config
}

func newFleet(o *options, client kubernetes.Interface, p *progress) (*fleet, error) {
	recording, err := loadRecording()
	if err != nil {
		return nil, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("asking the API server for its version: %w", err)
	}
	store, err := newAnswers()
	if err != nil {
		return nil, err
	}
	f := &fleet{
		options: o, client: client, progress: p, version: version.GitVersion, recording: recording, answers: store,
		began: time.Now().Add(-time.Hour), byName: map[string]*node{}, lives: map[podKey]*life{}, byIP: map[netip.Addr]*life{},
	}
	for i, fate := range draw(o) {
		address := o.nodeAddresses
		if fate.trouble == unreachable {
			address = o.deadAddresses
		}
		n := &node{
			name: nodeName(i + 1), number: i + 1, address: nth(address, i+1), fate: fate,
			uids: make([]string, o.pods), guests: map[podKey]sandbox{}, images: map[string]bool{},
		}
		f.nodes = append(f.nodes, n)
		f.byName[n.name] = n
	}
	return f, nil
}

func nodeName(number int) string { return fmt.Sprintf("hollow-%04d", number) }

// nth is the address that many above the first of a network.
func nth(network netip.Prefix, n int) netip.Addr {
	a := network.Masked().Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// run makes the nodes and their pods, and is their kubelet until ctx ends.
func (f *fleet) run(ctx context.Context) error {
	defer f.answers.close()
	err := f.serve(ctx)
	if ctx.Err() != nil {
		return nil // told to end
	}
	f.progress.count(func(s *progressState) { s.Failed = err.Error() })
	return err
}

func (f *fleet) serve(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	api, err := net.Listen("tcp", fmt.Sprintf(":%d", f.port))
	if err != nil {
		return fmt.Errorf("listening for the API server: %w", err)
	}
	exporters, err := net.Listen("tcp", fmt.Sprintf(":%d", exporterPort))
	if err != nil {
		return fmt.Errorf("listening for scrapes: %w", err)
	}
	group.Go(func() error { return f.serveKubelets(ctx, api) })
	group.Go(func() error { return f.serveExporters(ctx, exporters) })
	group.Go(func() error { return f.watch(ctx) })
	group.Go(func() error { return f.build(ctx, group) })
	return group.Wait()
}

// build makes what is not there yet, in an order that lets the nodes be used as soon as possible.
func (f *fleet) build(ctx context.Context, group *errgroup.Group) error {
	if err := f.removeSurplus(ctx); err != nil {
		return err
	}
	leases := newLeases(f)
	group.Go(func() error { return leases.renew(ctx) })
	f.progress.step("registering %d nodes", len(f.nodes))
	if err := f.each(ctx, func(ctx context.Context, n *node) error { return f.register(ctx, n, leases) }); err != nil {
		return err
	}
	group.Go(func() error { return f.reportNodes(ctx) })
	if f.exporter {
		if err := f.installExporter(ctx); err != nil {
			return err
		}
	}
	if f.pods > 0 {
		f.progress.step("making %d pods", len(f.nodes)*f.pods)
		if err := f.makePods(ctx); err != nil {
			return err
		}
	}
	f.progress.step("writing what the collectors will say")
	if err := f.warm(ctx); err != nil {
		return err
	}
	f.progress.step("%d nodes with %d pods each", len(f.nodes), f.pods)
	f.progress.count(func(s *progressState) { s.Ready = true })
	return nil
}

// each does something for every node, some at the same time.
func (f *fleet) each(ctx context.Context, do func(context.Context, *node) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(f.workers)
	for _, n := range f.nodes {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return do(ctx, n)
		})
	}
	return group.Wait()
}
