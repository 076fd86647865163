package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cosanet/kubectl-cosanet/deploy"
)

func unstructuredOf(t *testing.T, object any, apiVersion, kind string) *unstructured.Unstructured {
	t.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	return u
}

// scheduled gives a DaemonSet, once it is applied, its status and pods of the present revision on nodes a and b.
func (s *objectServer) scheduled(t *testing.T, status appsv1.DaemonSetStatus, pods ...corev1.PodStatus) {
	s.applied = func(object *unstructured.Unstructured) {
		if object.GetKind() != "DaemonSet" {
			return
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&status)
		if err != nil {
			t.Error(err)
		}
		object.Object["status"] = content
		yes := true
		owner := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: deploy.Name, UID: object.GetUID(), Controller: &yes}}
		for n, revision := range []string{"old", "new"} {
			s.put(unstructuredOf(t, &appsv1.ControllerRevision{Revision: int64(n), ObjectMeta: metav1.ObjectMeta{
				Namespace: homeNamespace, Name: revision, OwnerReferences: owner, Labels: map[string]string{appsv1.DefaultDaemonSetUniqueLabelKey: revision},
			}}, "apps/v1", "ControllerRevision"))
		}
		for n, podStatus := range pods {
			pod := exporterOn(string(rune('a' + n)))
			pod.OwnerReferences, pod.Status = owner, podStatus
			pod.Labels = map[string]string{componentLabel: exporterLabels[componentLabel], appsv1.DefaultDaemonSetUniqueLabelKey: "new"}
			pod.Spec.Containers[0].Image = "registry.example/cosanet:v1.2.3"
			s.put(unstructuredOf(t, pod, "v1", "Pod"))
		}
		broken := exporterOn("z")
		broken.OwnerReferences, broken.Status = owner, exporterWaiting("ImagePullBackOff", "the image that was given before")
		broken.Labels = map[string]string{componentLabel: exporterLabels[componentLabel], appsv1.DefaultDaemonSetUniqueLabelKey: "old"}
		s.put(unstructuredOf(t, broken, "v1", "Pod"))
	}
}

func exporterWaiting(reason, message string) corev1.PodStatus {
	status := waitingFor(reason, message)
	status.ContainerStatuses[0].Name = deploy.Container
	return status
}

var readyStatus = exporterOn("a").Status

func allReady(nodes int32) appsv1.DaemonSetStatus {
	return appsv1.DaemonSetStatus{DesiredNumberScheduled: nodes, CurrentNumberScheduled: nodes, UpdatedNumberScheduled: nodes, NumberAvailable: nodes}
}

func TestInstall(t *testing.T) {
	s := newObjectServer(t)
	s.scheduled(t, allReady(2), readyStatus, readyStatus)
	i, out, errOut := s.installation(t)
	objects, err := testManifest().render()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.install(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	want := `namespace/cosanet serverside-applied
serviceaccount/cosanet-exporter serverside-applied
service/cosanet-exporter serverside-applied
daemonset.apps/cosanet-exporter serverside-applied
networkpolicy.networking.k8s.io/cosanet-exporter serverside-applied
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("standard output (-want +got):\n%s", diff)
	}
	want = `The exporter is ready on 2 nodes.
  kubectl cosanet top -A
    asks it from now on: no pod is made
  kubectl get --raw /api/v1/namespaces/cosanet/pods/cosanet-exporter-a:9156/proxy/metrics
    is what Prometheus gets of one node
Prometheus finds its pods where it looks for the annotations prometheus.io/scrape and prometheus.io/port; the operator
by a PodMonitor: kubectl cosanet serve --component prometheus-operator.
To take it away: kubectl cosanet serve --remove
`
	if diff := cmp.Diff(want, errOut.String()); diff != "" {
		t.Errorf("standard error (-want +got):\n%s", diff)
	}
	s.writes = nil // again: all is there, and ours
	if err := i.install(t.Context(), objects); err != nil || len(s.writes) != len(objects) {
		t.Errorf("a second time: %v, %v", err, s.writes)
	}
}

// What stands in the way is said, and what could be known before is said before anything is written.
func TestInstallRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		with   string // component
		harm   func(s *objectServer)
		want   []string // parts of the error; none: it goes well
		writes int      // objects applied all the same
	}{
		{name: "no such kind", with: "prometheus-operator",
			harm: func(s *objectServer) {
				s.refuse = refusing("podmonitors", 404, metav1.StatusReasonNotFound, "the server could not find the requested resource")
			},
			want: []string{"looking for podmonitor.monitoring.coreos.com/cosanet-exporter: the cluster has no kind PodMonitor of monitoring.coreos.com/v1\n  install what brings it"}},
		{name: "somebody else's", harm: func(s *objectServer) { s.put(thing("v1", "ServiceAccount", deploy.Name, nil)) },
			want: []string{"namespace cosanet has serviceaccount/cosanet-exporter, which kubectl cosanet did not make\n  install into another namespace with --collector-namespace"}},
		{name: "somebody else's namespace", harm: func(s *objectServer) { s.put(thing("v1", "Namespace", homeNamespace, nil)) }, writes: 4},
		{name: "somebody else's namespace, which admits no such pod", harm: func(s *objectServer) {
			s.put(thing("v1", "Namespace", homeNamespace, nil))
			s.refuse = refusing("POST /api/v1/namespaces/cosanet/pods", 403, metav1.StatusReasonForbidden, `pods "x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)`)
		}, want: []string{"namespace cosanet would not take the exporter's pods", "kubectl label namespace cosanet pod-security.kubernetes.io/enforce=privileged --overwrite"}},
		{name: "somebody else's namespace, in which pods may not be made", harm: func(s *objectServer) {
			s.put(thing("v1", "Namespace", homeNamespace, nil))
			s.refuse = refusing("POST /api/v1/namespaces/cosanet/pods", 403, metav1.StatusReasonForbidden, `pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "cosanet"`)
		}, writes: 4},
		{name: "conflict", harm: func(s *objectServer) {
			s.refuse = refusing("PATCH /apis/apps", 409, metav1.StatusReasonConflict, `Apply failed with 1 conflict: conflict with "helm": .spec.template`)
		}, writes: 3, want: []string{`applying daemonset.apps/cosanet-exporter: Apply failed with 1 conflict: conflict with "helm": .spec.template`, "--force-conflicts"}},
		{name: "no right", harm: func(s *objectServer) {
			s.refuse = refusing("PATCH", 403, metav1.StatusReasonForbidden, `namespaces "cosanet" is forbidden: User "jane" cannot patch resource "namespaces" in API group "" in the namespace "cosanet"`)
		}, want: []string{"applying namespace/cosanet: ", "to install takes the rights of an administrator: kubectl cosanet serve --dry-run=client -o yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newObjectServer(t)
			s.scheduled(t, allReady(1), readyStatus)
			tt.harm(s)
			i, _, _ := s.installation(t)
			m := testManifest()
			if tt.with != "" {
				m.components = []string{tt.with}
			}
			objects, err := m.render()
			if err != nil {
				t.Fatal(err)
			}
			err = i.install(t.Context(), objects)
			if len(tt.want) == 0 && err != nil {
				t.Error(err)
			}
			for _, part := range tt.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want it to contain %q", err, part)
				}
			}
			if len(s.writes) != tt.writes {
				t.Errorf("written: %v, want %d", s.writes, tt.writes)
			}
		})
	}
}

func TestRollout(t *testing.T) {
	crash := exporterWaiting("CrashLoopBackOff", "back-off 10s restarting failed container")
	crash.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2, ContainerID: "containerd://1", Message: "unknown flag: --serve"}
	notReady := exporterOn("a").Status
	notReady.Conditions[0].Status = corev1.ConditionFalse
	notReady.ContainerStatuses = []corev1.ContainerStatus{{Name: deploy.Container, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}
	half := allReady(2)
	half.NumberAvailable = 1
	for _, tt := range []struct {
		name   string
		status appsv1.DaemonSetStatus
		pods   []corev1.PodStatus
		harm   func(s *objectServer, i *installation)
		want   string
	}{
		{name: "image not to be had", status: half, pods: []corev1.PodStatus{readyStatus, exporterWaiting("ImagePullBackOff", "Back-off pulling")},
			want: `the exporter is applied, but node b: ImagePullBackOff: Back-off pulling
  check that the node can pull registry.example/cosanet:v1.2.3; see --image, --image-pull-secret and --image-pull-policy
  kubectl cosanet image says how to load it without a registry
  to take it away: kubectl cosanet serve --remove`},
		{name: "an image of another version", status: half, pods: []corev1.PodStatus{readyStatus, crash},
			want: `the exporter is applied, but node b: the collector did not understand its flags: unknown flag: --serve
  use the image of the plugin's own version; see kubectl cosanet version
  to take it away: kubectl cosanet serve --remove`},
		{name: "a trouble that lasts", status: half, pods: []corev1.PodStatus{readyStatus, exporterWaiting("CreateContainerError", "no memory")},
			want: `the exporter is applied, but node b: CreateContainerError: no memory
  kubectl get events -n cosanet --field-selector involvedObject.name=cosanet-exporter-b
  to take it away: kubectl cosanet serve --remove`},
		{name: "pods refused", status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 2}, harm: func(s *objectServer, _ *installation) {
			event := thing("v1", "Event", "e", nil)
			event.Object["message"] = `Error creating: pods "cosanet-exporter-x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)`
			s.put(event)
		}, want: `the exporter is applied, but no pod can be made: pods "cosanet-exporter-x" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)
  kubectl label namespace cosanet pod-security.kubernetes.io/enforce=privileged --overwrite
  or use another namespace with --collector-namespace
  to take it away: kubectl cosanet serve --remove`},
		{name: "late", status: half, pods: []corev1.PodStatus{readyStatus, notReady}, harm: func(_ *objectServer, i *installation) { i.timeout = 700 * time.Millisecond },
			want: `the exporter is applied, but not ready within 700ms: 1 of 2 nodes ready; b: waiting for its first answer
  kubectl rollout status -n cosanet daemonset/cosanet-exporter, or give it longer with --timeout
  to take it away: kubectl cosanet serve --remove`},
		{name: "no node", want: "the exporter is applied, but no node is chosen to run it: see --node-selector, and kubectl get nodes --show-labels"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newObjectServer(t)
			s.scheduled(t, tt.status, tt.pods...)
			i, _, _ := s.installation(t)
			if tt.harm != nil {
				tt.harm(s, i)
			}
			objects, err := testManifest().render()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, errorText(i.install(t.Context(), objects))); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRolloutInterrupted(t *testing.T) {
	s := newObjectServer(t)
	s.scheduled(t, appsv1.DaemonSetStatus{DesiredNumberScheduled: 1, CurrentNumberScheduled: 1})
	i, _, errOut := s.installation(t)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.refuse = func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/controllerrevisions") {
			interrupt()
		}
		return nil
	}
	objects, err := testManifest().render()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.install(ctx, objects); !errors.Is(err, context.Canceled) {
		t.Errorf("install = %v, want context.Canceled", err)
	}
	if want := "The exporter is applied, and starts without being waited for. To take it away: kubectl cosanet serve --remove\n"; errOut.String() != want {
		t.Errorf("standard error %q, want %q", errOut, want)
	}
}

func TestDryRunServer(t *testing.T) {
	s := newObjectServer(t)
	s.refuse = func(r *http.Request) *metav1.Status { // as a real one, before the namespace is there
		if r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/namespaces/cosanet/") {
			status := failure(404, metav1.StatusReasonNotFound, `namespaces "cosanet" not found`)
			status.Details = &metav1.StatusDetails{Kind: "namespaces", Name: "cosanet"}
			return status
		}
		return nil
	}
	i, out, errOut := s.installation(t)
	i.dryRun = "server"
	objects, err := testManifest().render()
	if err != nil {
		t.Fatal(err)
	}
	if err := i.install(t.Context(), objects); err != nil {
		t.Fatal(err)
	}
	if want := "namespace/cosanet serverside-applied\n"; out.String() != want || strings.Count(errOut.String(), "the server can say nothing of it") != 4 || len(s.writes) > 0 {
		t.Errorf("printed %q and %q, written %v", out, errOut, s.writes)
	}
}

// installed is a server with the exporter on it, and nobody else in its namespace.
func installed(t *testing.T) *objectServer {
	s := newObjectServer(t)
	objects, err := testManifest("openshift").render()
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		s.put(object)
	}
	s.put(thing("v1", "ConfigMap", "kube-root-ca.crt", nil))
	s.put(thing("v1", "ServiceAccount", "default", nil))
	return s
}

func TestRemove(t *testing.T) {
	const inside = `rolebinding.rbac.authorization.k8s.io "cosanet-exporter-scc-privileged" deleted from cosanet namespace
networkpolicy.networking.k8s.io "cosanet-exporter" deleted from cosanet namespace
daemonset.apps "cosanet-exporter" deleted from cosanet namespace
service "cosanet-exporter" deleted from cosanet namespace
serviceaccount "cosanet-exporter" deleted from cosanet namespace
`
	sorted := func(text string) []string { return slices.Sorted(strings.Lines(text)) }
	for _, tt := range []struct {
		name   string
		harm   func(s *objectServer, i *installation)
		out    string
		errOut string
		want   string // error
	}{
		{name: "all of it", out: inside + "namespace \"cosanet\" deleted\n"},
		{name: "somebody has something", harm: func(s *objectServer, _ *installation) {
			s.put(thing("v1", "Secret", "cosanet-exporter-web", nil))
			s.put(thing("apps/v1", "Deployment", "web", nil))
		}, out: inside, errOut: "namespace/cosanet stays: it has deployment/web, secret/cosanet-exporter-web; kubectl delete namespace cosanet takes them with it\n"},
		{name: "somebody else's namespace", harm: func(s *objectServer, _ *installation) { s.put(thing("v1", "Namespace", homeNamespace, nil)) },
			out: inside, errOut: "namespace/cosanet stays: kubectl cosanet did not make it\n"},
		{name: "a namesake", harm: func(s *objectServer, _ *installation) { s.put(thing("v1", "Service", deploy.Name, nil)) },
			out: strings.Replace(inside, "service \"cosanet-exporter\" deleted from cosanet namespace\n", "", 1),
			errOut: "service/cosanet-exporter stays: kubectl cosanet did not make it\n" +
				"namespace/cosanet stays: it has service/cosanet-exporter; kubectl delete namespace cosanet takes them with it\n"},
		{name: "nothing", harm: func(s *objectServer, _ *installation) { clear(s.objects) }, errOut: "No resources found\n"},
		{name: "dry run", harm: func(_ *objectServer, i *installation) { i.dryRun = "client" },
			out: strings.ReplaceAll(inside+"namespace \"cosanet\" deleted\n", "\n", " (dry run)\n")},
		{name: "dry run of the server", harm: func(_ *objectServer, i *installation) { i.dryRun = "server" },
			out: strings.ReplaceAll(inside+"namespace \"cosanet\" deleted\n", "\n", " (server dry run)\n")},
		{name: "kinds that may not be seen", harm: func(s *objectServer, _ *installation) {
			s.refuse = refusing("podmonitors", 403, metav1.StatusReasonForbidden, "no")
		}, out: inside + "namespace \"cosanet\" deleted\n", errOut: "podmonitor.monitoring.coreos.com/cosanet-exporter: not looked for: no\n"},
		{name: "a finalizer", harm: func(s *objectServer, i *installation) { s.stuck, i.timeout = true, 100*time.Millisecond }, out: inside,
			want: "is deleted, but still there after 100ms\n  kubectl get -n cosanet "},
		{name: "contents that may not be listed", harm: func(s *objectServer, _ *installation) {
			s.refuse = refusing("GET /api/v1/namespaces/cosanet/secrets", 403, metav1.StatusReasonForbidden, "no")
		}, out: inside, want: "namespace/cosanet stays, since it cannot be said what is in it: listing secrets: no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := installed(t)
			i, out, errOut := s.installation(t)
			if tt.harm != nil {
				tt.harm(s, i)
			}
			err := i.remove(t.Context())
			if tt.want == "" && err != nil || tt.want != "" && !strings.Contains(errorText(err), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if diff := cmp.Diff(sorted(tt.out), sorted(out.String())); diff != "" {
				t.Errorf("standard output (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(sorted(tt.errOut), sorted(errOut.String())); diff != "" {
				t.Errorf("standard error (-want +got):\n%s", diff)
			}
			if i.dryRun != "none" && len(s.writes) > 0 {
				t.Errorf("a dry run wrote %v", s.writes)
			}
			if text := fmt.Sprint(s.writes); strings.Index(text, "daemonsets") > strings.Index(text, "serviceaccounts") && !s.stuck {
				t.Errorf("deleted in the order %v: the pods' account before the pods", s.writes)
			}
		})
	}
}
