package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const (
	// exporterInterval is the default time between two samples of an exporter: what it caches an answer for by default.
	exporterInterval = 500 * time.Millisecond
	// sameWalkPatience is how much longer than the interval an exporter may answer from its cache.
	sameWalkPatience = 2 * time.Second
	// exporterPatience is how long an exporter may take to answer where a pod can be asked in its place: a NetworkPolicy
	// that drops the API server's packets shows as silence.
	exporterPatience = 5 * time.Second
)

// scrape reads one exporter through the API server's proxy, so that nothing but the API server need be in reach.
type scrape struct {
	client   kubernetes.Interface
	exporter *exporter
	ask      Ask
	patience time.Duration // until an answer begins
	timeout  time.Duration // until it has come
	scheme   string        // https once the exporter turned out to speak it
}

// samples asks until there are as many walks as were asked for. Its errors do not name the pod, so that nodes with one
// trouble can be told as one.
func (s *scrape) samples(ctx context.Context) ([]*metrics.Snapshot, *reply, error) {
	first, err := s.once(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := first.lacks(s.ask); err != nil {
		return nil, nil, err
	}
	snapshots := []*metrics.Snapshot{first.snapshot}
	for last := first; len(snapshots) < s.ask.Samples; {
		if last, err = s.after(ctx, last); err != nil {
			return nil, nil, err
		}
		snapshots = append(snapshots, last.snapshot)
	}
	return snapshots, first, nil
}

func (s *scrape) interval() time.Duration {
	if s.ask.Implied {
		return exporterInterval
	}
	return s.ask.Interval
}

// after returns a walk that began after another. The exporter answers from its cache for a while: the same walk is no
// second sample. Time that reading the last answer took is part of the interval.
func (s *scrape) after(ctx context.Context, last *reply) (*reply, error) {
	const pause = 100 * time.Millisecond
	wait := s.interval() - time.Since(last.came)
	for waited := time.Duration(0); ; wait = pause {
		if !sleep(ctx, wait) {
			return nil, context.Cause(ctx)
		}
		next, err := s.once(ctx)
		if err != nil {
			return nil, err
		}
		if next.snapshot.Time.After(last.snapshot.Time) {
			return next, nil
		}
		if waited += pause; waited > s.interval()+sameWalkPatience {
			return nil, advise(fmt.Errorf("its exporter answered with the same walk for %s: it caches for longer (--cache-duration), or its clock stands still", waited),
				"give it longer with --interval, or use --source pod")
		}
	}
}

// once asks the exporter once, and checks that the answer is of the exporter's own node and says when it was counted.
func (s *scrape) once(ctx context.Context) (*reply, error) {
	a, err := s.get(ctx)
	if err != nil && s.scheme == "" && speaksTLS(err) {
		s.scheme = "https"
		a, err = s.get(ctx)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, explainScrape(err)
	case a.snapshot.Time.IsZero():
		return nil, errors.New("what answers in place of its exporter does not say when it counted")
	}
	if node := nodeOf(a.snapshot); node != s.exporter.node {
		return nil, fmt.Errorf("its exporter answers for node %s", node)
	}
	return a, nil
}

// get is one request: .../pods/NAME:9156/proxy/metrics. The HTTP client asks for gzip and undoes it. JSON is for what the
// API server itself has to say.
func (s *scrape) get(ctx context.Context) (*reply, error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	until := func(limit time.Duration, what string) *time.Timer {
		return time.AfterFunc(limit, func() { giveUp(fmt.Errorf("its exporter's answer did not %s within %s", what, limit)) })
	}
	begin := until(s.patience, "begin")
	body, err := s.client.CoreV1().RESTClient().Get().
		Namespace(s.exporter.pod.Namespace).Resource("pods").SubResource("proxy").
		Name(utilnet.JoinSchemeNamePort(s.scheme, s.exporter.pod.Name, s.exporter.port)).Suffix("metrics").
		SetHeader("Accept", "text/plain;version=0.0.4,application/json;q=0.1").
		Stream(ctx)
	if begin.Stop(); err != nil {
		return nil, cmp.Or(context.Cause(ctx), err)
	}
	defer body.Close()
	defer until(s.timeout, "end").Stop()
	came := time.Now()
	r, err := readReply(body, s.ask)
	if err != nil {
		return nil, cmp.Or(context.Cause(ctx), fmt.Errorf("its exporter's answer: %w", err))
	}
	r.came = came
	return r, nil
}

// speaksTLS tells whether an answer is that of a server which was spoken to without TLS (net/http.conn.serve).
func speaksTLS(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(said(err), "HTTP request to an HTTPS server")
}

// said is what the server behind the proxy said, else the whole error.
func said(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Type == metav1.CauseTypeUnexpectedServerResponse && cause.Message != "" && cause.Message != "unknown" {
				return cause.Message
			}
		}
	}
	return err.Error()
}

// dialled is the part of a proxy's error that is different for each node.
var dialled = regexp.MustCompile(`dial tcp \S+: |(read|write) tcp \S+: `)

// withoutPod cuts from a refusal for want of rights the name of the pod, which is different for each node.
func withoutPod(text string) error {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods/proxy"}, "", nil)
	forbidden.ErrStatus.Message = "its exporter may not be asked: " + forbiddenByRBAC.FindString(text)
	return forbidden
}

// explainScrape words what the API server's proxy answers.
func explainScrape(err error) error {
	var status apierrors.APIStatus
	switch text := said(err); {
	case !errors.As(err, &status):
		return err
	case forbiddenByRBAC.MatchString(text):
		return explainForbidden(withoutPod(text))
	case apierrors.IsUnauthorized(err):
		return advise(errors.New("its exporter asks for a password (basic auth), which the API server does not pass on"), "--source pod goes without it")
	case status.Status().Code == http.StatusNotFound && strings.HasPrefix(text, "pods "):
		return errors.New("its exporter is gone")
	default:
		text, _, _ = strings.Cut(strings.TrimSpace(dialled.ReplaceAllString(text, "")), "\n")
		return fmt.Errorf("its exporter does not answer (HTTP status %d): %s", status.Status().Code, printable(text, 300))
	}
}
