package plugin

import (
	"context"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// readings is how often a log is read from its start until it came whole. It can be read any number of times while the
// pod is there.
const readings = 3

// stream returns what the collector counted, one snapshot a frame. It is done at the trailer of the last frame: it
// waits neither for the container nor for the pod to end.
func (v *visit) stream(ctx context.Context) ([]*metrics.Snapshot, error) {
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
		if reading == readings {
			return nil, fmt.Errorf("its log did not come whole in %d readings: %w", readings, err)
		}
	}
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
		return nil, fmt.Errorf("opening it: %w", explainForbidden(err))
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
