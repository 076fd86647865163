package collector

import (
	"testing"
	"time"
)

func TestControllerOf(t *testing.T) {
	created := time.Date(2026, 11, 23, 20, 0, 30, 0, time.UTC)
	type labels = map[string]string
	for _, test := range []struct {
		name        string
		pod         string
		labels      labels
		annotations labels
		want        controller
	}{
		{"Deployment", "web-6d4cf56db6-x7k2p", labels{"pod-template-hash": "6d4cf56db6"}, nil, controller{"Deployment", "web"}},
		{"Deployment with dashes", "my-web-app-6d4cf56db6-x7k2p", labels{"pod-template-hash": "6d4cf56db6"}, nil, controller{"Deployment", "my-web-app"}},
		{"name of a Deployment that was cut off", "a-very-long-name-6d4cf5x7k2p", labels{"pod-template-hash": "6d4cf56db6"}, nil, controller{}},
		{"somebody else's hash label", "web-0", labels{"pod-template-hash": "6d4cf56db6"}, nil, controller{}},
		{"nothing before the hash", "-6d4cf56db6-x7k2p", labels{"pod-template-hash": "6d4cf56db6"}, nil, controller{}},
		{"ReplicaSet of its own", "web-x7k2p", labels{"app": "web"}, nil, controller{}},
		{"Argo Rollout", "web-6d4cf56db6-x7k2p", labels{"rollouts-pod-template-hash": "6d4cf56db6"}, nil, controller{"Rollout", "web"}},
		{"StatefulSet", "db-0", labels{"statefulset.kubernetes.io/pod-name": "db-0", "apps.kubernetes.io/pod-index": "0", "controller-revision-hash": "db-5d8c8f6d5"}, nil, controller{"StatefulSet", "db"}},
		{"StatefulSet with dashes", "my-db-12", labels{"statefulset.kubernetes.io/pod-name": "my-db-12"}, nil, controller{"StatefulSet", "my-db"}},
		{"a copied StatefulSet label", "debug", labels{"statefulset.kubernetes.io/pod-name": "db-0"}, nil, controller{}},
		{"DaemonSet", "kube-proxy-x7k2p", labels{"controller-revision-hash": "6d4cf56db6", "pod-template-generation": "1"}, nil, controller{"DaemonSet", "kube-proxy"}},
		{"DaemonSet labels on a pod of another name", "debug", labels{"controller-revision-hash": "6d4cf56db6", "pod-template-generation": "1"}, nil, controller{}},
		{"Job", "backup-x7k2p", labels{"batch.kubernetes.io/job-name": "backup", "job-name": "backup"}, nil, controller{"Job", "backup"}},
		{"Job before 1.27", "backup-x7k2p", labels{"job-name": "backup"}, nil, controller{"Job", "backup"}},
		{"indexed Job", "backup-3-x7k2p", labels{"batch.kubernetes.io/job-name": "backup"}, nil, controller{"Job", "backup"}},
		{"CronJob", "backup-29924400-x7k2p", labels{"batch.kubernetes.io/job-name": "backup-29924400"}, nil, controller{"CronJob", "backup"}},
		{"CronJob a week late", "backup-29914320-x7k2p", labels{"batch.kubernetes.io/job-name": "backup-29914320"}, nil, controller{"CronJob", "backup"}},
		{"Job with a number", "backup-20261123-x7k2p", labels{"batch.kubernetes.io/job-name": "backup-20261123"}, nil, controller{"Job", "backup-20261123"}},
		{"Job of tomorrow", "backup-29925900-x7k2p", labels{"batch.kubernetes.io/job-name": "backup-29925900"}, nil, controller{"Job", "backup-29925900"}},
		{"static pod", "kube-apiserver-node-a", labels{"tier": "control-plane"}, labels{"kubernetes.io/config.source": "file"}, controller{"Node", "node-a"}},
		{"pod of the API", "naked", nil, labels{"kubernetes.io/config.source": "api"}, controller{}},
		{"naked pod", "naked", nil, nil, controller{}},
		{"no name", "", labels{"pod-template-hash": "x", "statefulset.kubernetes.io/pod-name": "", "controller-revision-hash": "x", "pod-template-generation": "1"}, nil, controller{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := controllerOf(test.pod, "node-a", test.labels, test.annotations, created); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
