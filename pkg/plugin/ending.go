package plugin

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// errGone says that the collector pod was deleted under the run.
var errGone = errors.New("somebody deleted it while it was in use")

// deleted is errGone, with who it was where the pod tells: an eviction, a preemption, the end of its node.
// See https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions.
func deleted(pod *corev1.Pod) error {
	err := errGone
	if c := condition(pod, corev1.DisruptionTarget); c != nil && c.Status == corev1.ConditionTrue {
		err = fmt.Errorf("%w (%s: %s)", errGone, c.Reason, c.Message)
	}
	return advise(err, "ask again, or see kubectl get events -n %s --field-selector involvedObject.name=%s", pod.Namespace, pod.Name)
}

// ofFrame matches the lines of a frame (pkg/metrics/frame.go), and what a cut leaves of one.
var ofFrame = regexp.MustCompile(`^[A-Za-z0-9+/=]{20,}$|^# cosanet-|^# EOF$`)

// lastWords are what a collector said beside its frames: the message of a container that failed is the end of its log.
func lastWords(message string) string {
	var words []string
	for line := range strings.Lines(message) {
		if line = strings.TrimSpace(line); line != "" && !ofFrame.MatchString(line) {
			words = append(words, line)
		}
	}
	return strings.Join(words, "\n")
}

// outOfMemory is for a container that needed more than its limit, which may not be the one that was asked for.
func outOfMemory(pod *corev1.Pod) error {
	c := collectorOf(pod)
	if c == nil {
		return errors.New("OOMKilled: the collector needed more memory than its limit")
	}
	own := resources().Limits
	limit, ours := c.Resources.Limits.Memory(), own.Memory()
	err := errors.New("OOMKilled: the collector needed more memory than its limit of " + limit.String())
	if limit.Cmp(*ours) < 0 {
		return advise(err, "a webhook of the cluster lowered it from %s: exempt its namespace, or use another one with --collector-namespace", ours)
	}
	return err
}
