package collector

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// controller is the object that made a pod, at the top of its chain of owners: the Deployment, not its ReplicaSet.
type controller struct{ kind, name string }

// generatedSuffix is what the API server appends to generateName: five characters of an alphabet without vowels
// (k8s.io/apimachinery/pkg/util/rand).
var generatedSuffix = regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// controllerOf derives the controller of a pod from its name and the labels and annotations that the kubelet hands to
// the runtime, without asking the API server. Nothing is guessed: a pod whose labels prove no controller has none, as a
// pod without owner has. created bounds the schedule that a CronJob writes into the names of its Jobs.
func controllerOf(pod, node string, labels, annotations map[string]string, created time.Time) controller {
	if source := annotations["kubernetes.io/config.source"]; source != "" && source != "api" {
		return controller{"Node", node} // a static pod: its mirror is owned by the node
	}
	if name, ok := cutHash(pod, labels["pod-template-hash"]); ok {
		return controller{"Deployment", name}
	}
	if name, ok := cutHash(pod, labels["rollouts-pod-template-hash"]); ok {
		return controller{"Rollout", name} // argoproj.io
	}
	if labels["statefulset.kubernetes.io/pod-name"] == pod && pod != "" {
		if name, ok := cutOrdinal(pod); ok {
			return controller{"StatefulSet", name}
		}
	}
	if labels["controller-revision-hash"] != "" && labels["pod-template-generation"] != "" {
		if at := generatedSuffix.FindStringIndex(pod); at != nil {
			return controller{"DaemonSet", pod[:at[0]]}
		}
	}
	job := labels["batch.kubernetes.io/job-name"]
	if job == "" {
		job = labels["job-name"] // before Kubernetes 1.27
	}
	if job == "" {
		return controller{}
	}
	if name, ok := cutSchedule(job, created); ok {
		return controller{"CronJob", name}
	}
	return controller{"Job", job}
}

// cutHash takes -<hash>-<suffix> off the name of a pod. A name cut off for its length does not match and tells nothing.
func cutHash(pod, hash string) (string, bool) {
	at := generatedSuffix.FindStringIndex(pod)
	if hash == "" || at == nil {
		return "", false
	}
	name, ok := strings.CutSuffix(pod[:at[0]], "-"+hash)
	return name, ok && name != ""
}

// cutOrdinal takes -<ordinal> off the name of a pod.
func cutOrdinal(pod string) (string, bool) {
	i := strings.LastIndexByte(pod, '-')
	if i <= 0 {
		return "", false
	}
	_, err := strconv.ParseUint(pod[i+1:], 10, 31)
	return pod[:i], err == nil
}

// cutSchedule takes -<minutes since 1970> off the name of a Job, which a CronJob has put there (getJobName in
// pkg/controller/cronjob): a time at most a month before the pod was made, and never after it.
func cutSchedule(job string, created time.Time) (string, bool) {
	i := strings.LastIndexByte(job, '-')
	if i <= 0 {
		return "", false
	}
	minutes, err := strconv.ParseInt(job[i+1:], 10, 64)
	if err != nil {
		return "", false
	}
	late := created.Sub(time.Unix(minutes*60, 0))
	return job[:i], -time.Minute <= late && late <= 31*24*time.Hour
}
