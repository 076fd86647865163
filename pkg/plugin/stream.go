package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// readings is how often a log is read from its start until it came whole. It can be read any number of times while the
// pod is there.
const readings = 3

// restartPatience is how long a log may not open: a kubelet that is restarted, be it by an upgrade of the node, is back by
// then. Pods run on without it.
const restartPatience = 20 * time.Second

// unopenedError is that of a log of which nothing could be read.
type unopenedError struct{ err error }

func (e *unopenedError) Error() string { return "opening it: " + e.err.Error() }
func (e *unopenedError) Unwrap() error { return e.err }

// stream returns what the collector counted, one snapshot a frame. It is done at the trailer of the last frame: it
// waits neither for the container nor for the pod to end.
func (v *visit) stream(ctx context.Context) ([]*metrics.Snapshot, error) {
	opened := time.Now()
	for reading := 1; ; reading++ {
		snapshots, err := v.read(ctx)
		if err == nil {
			return snapshots, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if why := v.ended(ctx); why != nil {
			return nil, why
		}
		if !errors.As(err, new(*unopenedError)) {
			opened = time.Now()
		} else if final := v.unopened(ctx, err, opened); final != nil {
			return nil, final
		} else {
			reading--
			continue
		}
		if reading == readings {
			err = fmt.Errorf("its log did not come whole in %d readings: %w", readings, err)
			return nil, advise(err, "it is cut where the node's container runtime restarts, or where it is rotated: ask again")
		}
	}
}

// unopened says why a log that did not open is not worth another try, and else waits for the next one. Since is when it
// could be read last.
func (v *visit) unopened(ctx context.Context, err error, since time.Time) error {
	if apierrors.IsForbidden(err) {
		return err
	}
	if _, gone := v.pods().Get(ctx, v.order.name, metav1.GetOptions{}); apierrors.IsNotFound(gone) {
		return deleted(v.pod)
	}
	if time.Since(since) > restartPatience {
		return advise(fmt.Errorf("its log could not be had for %s: %w", restartPatience, err), "kubectl describe node %s", v.order.node)
	}
	v.say("waiting for the kubelet to be back")
	sleep(ctx, time.Second)
	return nil
}

// ended says why the container ended badly. It is nil when the container ended well, and when that does not become
// known soon: then the log is worth another reading.
func (v *visit) ended(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, 3*time.Second) // the kubelet looks for ended containers once a second
	defer cancel()
	if err := v.ending(soon); soon.Err() == nil {
		return err
	}
	return nil
}

// read reads the log once, from the container's start on.
func (v *visit) read(ctx context.Context) ([]*metrics.Snapshot, error) {
	log, err := v.pods().GetLogs(v.order.name, &corev1.PodLogOptions{Container: collectorName, Follow: true}).Stream(ctx)
	if err != nil {
		return nil, &unopenedError{explainForbidden(err)}
	}
	defer log.Close()
	frames := v.decoding.frames(log, v.order.run, v.order.ask)
	snapshots := make([]*metrics.Snapshot, 0, 2)
	for range max(1, v.order.ask.Samples) {
		snapshot, err := v.decoding.next(frames)
		if err == io.EOF {
			return nil, fmt.Errorf("%w: %d of %d frames", metrics.ErrTruncated, len(snapshots), v.order.ask.Samples)
		}
		if err != nil {
			return nil, err
		}
		snapshots = append(snapshots, snapshot)
	}
	v.order.ask.reduce(snapshots)
	return snapshots, nil
}
