package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const (
	maxNodes = 4000 // two addresses for pods each in a /19
	maxPods  = 110  // the kubelet's own default
)

// options is the command line, parsed.
type options struct {
	kubeconfig string
	nodes      int // 0: take all away
	pods       int // on each
	seed       uint64
	delay      span // from a pod's arrival at its node until its container runs
	pull       span // longer, where the node does not have the image yet
	troubles   []troubleShare
	slow       slowness
	exporter   bool
	counts     metrics.Set // of the exporter
	events     bool
	workers    int
	progress   string // file

	nodeAddresses, podAddresses, deadAddresses netip.Prefix

	port              int
	certFile, keyFile string
}

// span is a range that durations are drawn from, evenly.
type span struct{ min, max time.Duration }

// troubleShare is how many of the nodes are in which trouble.
type troubleShare struct {
	trouble trouble
	share   float64 // of 1
}

// slowness is how many of the nodes send their logs at how many bytes a second.
type slowness struct {
	share float64
	rate  int
}

// parse reads the command line. Asked for help it prints that and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{counts: metrics.Default}
	f := flag.NewFlagSet("hollow", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "`file` of the cluster's administrator (default $KUBECONFIG)")
	f.IntVar(&o.nodes, "nodes", 100, "how many; 0 takes away all that there are")
	f.IntVar(&o.pods, "pods", 30, "on each node, beside those that others put there")
	f.Uint64Var(&o.seed, "seed", 1, "what is drawn by lot is the same for the same seed")
	f.Func("delay", "how long a pod takes to start: a duration, or MIN-MAX (default 300ms-900ms)", into(&o.delay, parseSpan))
	f.Func("pull", "how much longer on a node that does not have the image: a duration, or MIN-MAX (default 0s)", into(&o.pull, parseSpan))
	f.Func("fail", "nodes in trouble: 5%, or TROUBLE=SHARE,... of "+words(), into(&o.troubles, parseTroubles))
	f.Func("slow", "nodes that send logs slowly: SHARE:BYTES, the bytes by the second (2%:20000)", into(&o.slow, parseSlowness))
	f.BoolVar(&o.exporter, "exporter", false, "install the exporter's DaemonSet on the hollow nodes")
	f.Func("exporter-metrics", "`set` that it counts: default, errors or all (default default)", into(&o.counts, metrics.ParseSet))
	f.BoolVar(&o.events, "events", true, "tell of each pod's start by events, as a kubelet does")
	f.IntVar(&o.workers, "workers", 16, "requests at the same time while the nodes and pods are made")
	f.StringVar(&o.progress, "progress", "", "`file` to keep how far it is in, as JSON")
	f.TextVar(&o.nodeAddresses, "node-addresses", netip.MustParsePrefix("10.0.128.0/19"), "`network` of the nodes; the API server must reach this process by all of them")
	f.TextVar(&o.podAddresses, "pod-addresses", netip.MustParsePrefix("10.0.160.0/19"), "`network` of the pods that serve something; as above")
	f.TextVar(&o.deadAddresses, "dead-addresses", netip.MustParsePrefix("10.0.224.0/20"), "`network` of the nodes that nobody reaches")
	f.IntVar(&o.port, "port", 10250, "of the kubelets' API, on all addresses")
	f.StringVar(&o.certFile, "tls-cert-file", "", "serving certificate of the kubelets' API")
	f.StringVar(&o.keyFile, "tls-private-key-file", "", "its key")
	o.delay = span{300 * time.Millisecond, 900 * time.Millisecond}

	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Usage: hollow [flags]")
		f.SetOutput(stdout)
		f.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return o, o.check()
}

func (o *options) check() error {
	var sum float64
	for _, t := range o.troubles {
		sum += t.share
	}
	switch {
	case o.nodes < 0 || o.nodes > maxNodes:
		return fmt.Errorf("--nodes %d: want 0 to %d", o.nodes, maxNodes)
	case o.pods < 0 || o.pods > maxPods:
		return fmt.Errorf("--pods %d: want 0 to %d", o.pods, maxPods)
	case o.workers < 1:
		return fmt.Errorf("--workers %d: want at least 1", o.workers)
	case sum > 1:
		return fmt.Errorf("--fail: the shares make %g%%", sum*100)
	case o.nodes > 0 && (o.certFile == "" || o.keyFile == ""):
		return errors.New("the kubelets' API needs --tls-cert-file and --tls-private-key-file")
	}
	return nil
}

// parseSpan reads 300ms-2s, or one duration.
func parseSpan(s string) (span, error) {
	from, to, ranged := strings.Cut(s, "-")
	lo, err := time.ParseDuration(from)
	if err != nil {
		return span{}, err
	}
	hi := lo
	if ranged {
		if hi, err = time.ParseDuration(to); err != nil {
			return span{}, err
		}
	}
	if lo < 0 || hi < lo {
		return span{}, fmt.Errorf("%q: want MIN-MAX", s)
	}
	return span{lo, hi}, nil
}

// parseTroubles reads 5%, which is shared by all troubles, or ImagePullBackOff=3%,NotReady=1%.
func parseTroubles(s string) ([]troubleShare, error) {
	if !strings.Contains(s, "=") {
		share, err := parseShare(s)
		if err != nil {
			return nil, err
		}
		var list []troubleShare
		for _, t := range troubles {
			list = append(list, troubleShare{t, share / float64(len(troubles))})
		}
		return list, nil
	}
	var list []troubleShare
	for part := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(part, "=")
		t, err := parseTrouble(name)
		if err != nil {
			return nil, err
		}
		share, err := parseShare(value)
		if err != nil {
			return nil, err
		}
		list = append(list, troubleShare{t, share})
	}
	return list, nil
}

// parseShare reads 5%.
func parseShare(s string) (float64, error) {
	number, ok := strings.CutSuffix(s, "%")
	percent, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(percent >= 0 && percent <= 100) {
		return 0, fmt.Errorf("%q: want a share such as 5%%", s)
	}
	return percent / 100, nil
}

// parseSlowness reads 2%:20000.
func parseSlowness(s string) (slowness, error) {
	part, bytes, _ := strings.Cut(s, ":")
	share, err := parseShare(part)
	if err != nil {
		return slowness{}, err
	}
	rate, err := strconv.Atoi(bytes)
	if err != nil || rate < 1 {
		return slowness{}, fmt.Errorf("%q: want SHARE:BYTES", s)
	}
	return slowness{share, rate}, nil
}

// into makes the setter of a flag whose value is parsed.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}
