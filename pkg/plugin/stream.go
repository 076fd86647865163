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

// readings is how often a log is read anew in which no further frame came whole. It can be read any number of times while
// the pod is there.
const readings = 3

// restartPatience is how long a log may not open: a kubelet that is restarted, be it by an upgrade of the node, is back by
// then. Pods run on without it.
const restartPatience = 20 * time.Second

// unopenedError is that of a log of which nothing could be read.
type unopenedError struct{ err error }

func (e *unopenedError) Error() string { return "opening it: " + e.err.Error() }
func (e *unopenedError) Unwrap() error { return e.err }

// stream hands out what the collector counted, frame by frame as they come. It is done at the trailer of the last one: it
// waits neither for the container nor for the pod to end. A log that is cut is read again, and no frame is handed out twice.
func (v *visit) stream(ctx context.Context) error {
	opened := time.Now()
	for reading := 1; ; reading++ {
		came := v.came
		err := v.read(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if v.came > came {
			reading = 1
		}
		if why := v.ended(ctx); why != nil {
			return why
		}
		if !errors.As(err, new(*unopenedError)) {
			opened = time.Now()
		} else if final := v.unopened(ctx, err, opened); final != nil {
			return final
		} else {
			reading--
			continue
		}
		if reading == readings {
			err = fmt.Errorf("its log did not come whole in %d readings: %w", readings, err)
			return advise(err, "it is cut where the node's container runtime restarts, or where it is rotated: ask again")
		}
		v.say("reading the log again")
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

// read reads the log once, and hands out the frames that had not come before. A connection that is silent for longer than a
// node may take is given up: proxies forget idle ones without a word.
func (v *visit) read(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	options := v.again()
	silence := v.order.ask.Interval + v.order.silence
	overdue := time.AfterFunc(silence, func() { giveUp(fmt.Errorf("%w: nothing came for %s", metrics.ErrTruncated, silence)) })
	defer overdue.Stop()
	log, err := v.pods().GetLogs(v.order.name, options).Stream(ctx) // a kubelet begins to answer with the first line
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	if err != nil {
		return &unopenedError{explainForbidden(err)}
	}
	defer log.Close()
	frames := v.decoding.frames(log, v.order.run, v.order.ask)
	frames.Midway = v.numbered // from its start on it is whole, unless it was rotated since
	before, came := 0, v.came
	for v.came < max(1, v.order.ask.Samples) {
		overdue.Reset(silence)
		frame, err := frames.Next()
		overdue.Stop()
		if cause := context.Cause(ctx); err != nil && cause != nil {
			err = cause
		}
		if err != nil {
			v.stale = options.SinceTime != nil && v.came == came
			if err == io.EOF {
				return fmt.Errorf("%w: %d of %d frames", metrics.ErrTruncated, v.came, v.order.ask.Samples)
			}
			return err
		}
		before++
		number := before // of an older collector, whose log is read from its start on
		if frame.Trailer.Number > 0 {
			number, v.numbered = frame.Trailer.Number, true
		}
		if number <= v.came {
			continue
		}
		snapshot, err := v.decoding.decode(frame)
		if err != nil {
			return err
		}
		v.came, v.last = number, snapshot.Time
		v.take(snapshot)
	}
	return nil
}

// again says from where on to read the log: from its start, or where numbers tell which frames came before, from the second
// on in which the last one was begun. That is the node's clock, by which the runtime dates the lines too. Where that brought
// nothing, the clock may have been set back: then all of it is read.
func (v *visit) again() *corev1.PodLogOptions {
	options := &corev1.PodLogOptions{Container: collectorName, Follow: true}
	if v.numbered && !v.stale && !v.last.IsZero() {
		options.SinceTime = &metav1.Time{Time: v.last}
	}
	return options
}
