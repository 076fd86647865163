package deploy

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// TestObjects decodes every object strictly, and wants its names to be those of this package and its parts to fit.
func TestObjects(t *testing.T) {
	every := map[string][]byte{}
	for _, dir := range kustomizations(t) {
		every[dir] = build(t, dir)
	}
	every["all components"] = build(t, "combined", compose("../", everyComponent...)...)
	for name, text := range every {
		t.Run(name, func(t *testing.T) {
			o := decode(t, text)
			for _, object := range o.all {
				m, err := meta.Accessor(object)
				if err != nil {
					t.Fatal(err)
				}
				for key, want := range map[string]string{
					"app.kubernetes.io/name": "cosanet", "app.kubernetes.io/component": "exporter", "app.kubernetes.io/part-of": "kubectl-cosanet",
				} {
					if m.GetLabels()[key] != want {
						t.Errorf("%T %s: label %s is %q, want %q", object, m.GetName(), key, m.GetLabels()[key], want)
					}
				}
				if m.GetLabels()["app.kubernetes.io/managed-by"] != "" {
					t.Errorf("%T %s: managed-by marks the pods that cleanup removes", object, m.GetName())
				}
				if _, ok := object.(*corev1.Namespace); !ok && m.GetNamespace() != Namespace {
					t.Errorf("%T %s is in namespace %q", object, m.GetName(), m.GetNamespace())
				}
			}
			o.checkSelectors(t)
			o.checkPod(t)
		})
	}
}

// everyComponent in an order that works: tls after prometheus-operator.
var everyComponent = []string{"k3s", "openshift", "prometheus-operator", "restricted", "seccomp", "tls"}

// checkSelectors wants every selector to choose the pods of the DaemonSet, and every port to be one of theirs.
func (o *objects) checkSelectors(t *testing.T) {
	pod := labels.Set(o.daemonSet.Spec.Template.Labels)
	selectors := map[string]labels.Selector{"Service": labels.SelectorFromSet(o.service.Spec.Selector)}
	for name, s := range map[string]*metav1.LabelSelector{"DaemonSet": o.daemonSet.Spec.Selector, "NetworkPolicy": &o.policy.Spec.PodSelector} {
		selectors[name], _ = metav1.LabelSelectorAsSelector(s)
	}
	if o.podMonitor != nil {
		selectors["PodMonitor"], _ = metav1.LabelSelectorAsSelector(&o.podMonitor.Spec.Selector)
	}
	for name, s := range selectors {
		if s.Empty() || !s.Matches(pod) {
			t.Errorf("the selector of the %s, %s, does not choose %v", name, s, pod)
		}
		// With one label less in a selector, one-shot pods and others' pods would be chosen too.
		if other := (labels.Set{"app.kubernetes.io/name": "cosanet"}); s.Matches(other) {
			t.Errorf("the selector of the %s, %s, also chooses %v", name, s, other)
		}
	}
	ports := map[string]int32{}
	for _, p := range o.container().Ports {
		ports[p.Name] = p.ContainerPort
	}
	if ports[PortName] != Port || o.daemonSet.Spec.Template.Annotations["prometheus.io/port"] != "9156" {
		t.Errorf("ports %v, annotations %v: want %s on %d", ports, o.daemonSet.Spec.Template.Annotations, PortName, Port)
	}
	if p := o.service.Spec.Ports; len(p) != 1 || p[0].Port != Port || p[0].TargetPort.String() != PortName {
		t.Errorf("ports of the Service: %v", p)
	}
	if p := o.policy.Spec.Ingress; len(p) != 1 || len(p[0].From) != 0 || len(p[0].Ports) != 1 || p[0].Ports[0].Port.String() != PortName || len(o.policy.Spec.Egress) != 0 {
		t.Errorf("the NetworkPolicy admits more than the metrics port: %+v", o.policy.Spec)
	}
	if o.podMonitor != nil && o.podMonitor.Spec.PodMetricsEndpoints[0].Port != PortName {
		t.Errorf("port of the PodMonitor: %+v", o.podMonitor.Spec)
	}
	for kind, probe := range map[string]*corev1.Probe{"liveness": o.container().LivenessProbe, "readiness": o.container().ReadinessProbe} {
		if ports[probe.HTTPGet.Port.String()] == 0 {
			t.Errorf("%s asks port %s, which is not in %v", kind, &probe.HTTPGet.Port, ports)
		}
	}
}

// checkPod wants what no component may change.
func (o *objects) checkPod(t *testing.T) {
	spec, c := o.daemonSet.Spec.Template.Spec, o.container()
	if c.Name != Container || o.daemonSet.Spec.Template.Annotations["kubectl.kubernetes.io/default-container"] != Container {
		t.Errorf("container %q", c.Name)
	}
	if repository, tag, _ := strings.Cut(c.Image, ":"); repository != Image || tag == "" || tag == "latest" {
		t.Errorf("image %q: want %s and a version", c.Image, Image)
	}
	if !spec.HostPID || spec.HostNetwork || spec.ServiceAccountName != o.account.Name {
		t.Errorf("hostPID %v, hostNetwork %v, service account %q", spec.HostPID, spec.HostNetwork, spec.ServiceAccountName)
	}
	if token := spec.AutomountServiceAccountToken; token == nil || *token || o.account.AutomountServiceAccountToken == nil || *o.account.AutomountServiceAccountToken {
		t.Error("a token is mounted")
	}
	if root := c.SecurityContext.ReadOnlyRootFilesystem; root == nil || !*root {
		t.Error("the root filesystem can be written to")
	}
	if !slices.Contains(c.Args, "--serve") {
		t.Errorf("args %v", c.Args)
	}
	if c.Resources.Limits.Memory().IsZero() || !c.Resources.Limits.Cpu().IsZero() || c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
		t.Errorf("resources %+v", c.Resources)
	}
	rolling := o.daemonSet.Spec.UpdateStrategy.RollingUpdate
	if rolling.MaxSurge.String() != "10%" || o.daemonSet.Spec.MinReadySeconds < 10 || rolling.MaxUnavailable.IntValue() != 0 || slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 }) {
		t.Error("an update leaves a gap: want maxSurge 10%, minReadySeconds 10, maxUnavailable 0 and no host port")
	}
}

// TestPodSecurity says which checks of Pod Security refuse the pod, and that the namespace admits it.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	const host = "host namespaces: hostPID=true"
	tests := []struct {
		dir                  string
		baseline, restricted []string // what is forbidden at that level
	}{
		{"base", []string{host, `privileged: container "exporter" must not set securityContext.privileged=true`}, []string{
			`allowPrivilegeEscalation != false: container "exporter" must set securityContext.allowPrivilegeEscalation=false`,
			host,
			`privileged: container "exporter" must not set securityContext.privileged=true`,
			`runAsNonRoot != true: pod or container "exporter" must set securityContext.runAsNonRoot=true`,
			`runAsUser=0: container "exporter" must not set runAsUser=0`,
			`seccompProfile: pod or container "exporter" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
			`unrestricted capabilities: container "exporter" must set securityContext.capabilities.drop=["ALL"]`,
		}},
		// Seeing other pods' processes is the one thing it cannot do without.
		{"overlays/restricted", []string{host}, []string{host}},
		{"overlays/seccomp", []string{host, `non-default capabilities: container "exporter" must not include "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE" in securityContext.capabilities.add`}, []string{
			`allowPrivilegeEscalation != false: container "exporter" must set securityContext.allowPrivilegeEscalation=false`,
			host,
			`runAsNonRoot != true: pod or container "exporter" must set securityContext.runAsNonRoot=true`,
			`runAsUser=0: container "exporter" must not set runAsUser=0`,
			`unrestricted capabilities: container "exporter" must not include "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE" in securityContext.capabilities.add`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.dir, func(t *testing.T) {
			o := decode(t, build(t, tt.dir))
			pod := o.daemonSet.Spec.Template
			forbidden := func(level api.Level) []string {
				var reasons []string
				for _, r := range evaluator.EvaluatePod(api.LevelVersion{Level: level, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec) {
					if !r.Allowed {
						reasons = append(reasons, r.ForbiddenReason+": "+r.ForbiddenDetail)
					}
				}
				slices.Sort(reasons)
				return reasons
			}
			if diff := cmp.Diff(tt.baseline, forbidden(api.LevelBaseline)); diff != "" {
				t.Errorf("baseline (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.restricted, forbidden(api.LevelRestricted)); diff != "" {
				t.Errorf("restricted (-want +got):\n%s", diff)
			}
			for _, mode := range []string{api.EnforceLevelLabel, api.AuditLevelLabel, api.WarnLevelLabel} {
				level, err := api.ParseLevel(o.namespace.Labels[mode])
				if reasons := forbidden(level); err != nil || len(reasons) > 0 {
					t.Errorf("the namespace's %s: %v %v", mode, reasons, err)
				}
			}
		})
	}
}

// TestAnotherNamespace moves everything by one line of a kustomization on top.
func TestAnotherNamespace(t *testing.T) {
	text := build(t, "combined", append(compose("../", everyComponent...), "namespace: monitoring\n"...)...)
	for line := range bytes.Lines(text) {
		if bytes.HasSuffix(bytes.TrimSpace(line), []byte("namespace: "+Namespace)) {
			t.Errorf("%s is left", line)
		}
	}
	o := decode(t, text)
	if o.namespace.Name != "monitoring" || o.daemonSet.Namespace != "monitoring" || o.binding.Subjects[0].Namespace != "monitoring" {
		t.Errorf("namespace %s, DaemonSet in %s, binding of an account in %s", o.namespace.Name, o.daemonSet.Namespace, o.binding.Subjects[0].Namespace)
	}
}

// objects are what a kustomization makes.
type objects struct {
	all        []any
	namespace  *corev1.Namespace
	account    *corev1.ServiceAccount
	daemonSet  *appsv1.DaemonSet
	service    *corev1.Service
	policy     *networkingv1.NetworkPolicy
	binding    *rbacv1.RoleBinding // nil but of components/openshift
	podMonitor *podMonitor         // nil but of components/prometheus-operator
	secret     *corev1.Secret      // nil but of a kustomization that makes one
}

func (o *objects) container() *corev1.Container { return &o.daemonSet.Spec.Template.Spec.Containers[0] }

// decode takes no field that the API does not have.
func decode(t testing.TB, text []byte) *objects {
	t.Helper()
	strict := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	o := &objects{}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
			t.Fatal(err)
		}
		var object any
		var err error
		switch kind.Kind {
		case "PodMonitor":
			o.podMonitor = &podMonitor{}
			object, err = o.podMonitor, yaml.UnmarshalStrict([]byte(document), o.podMonitor)
		case "PrometheusRule":
			rules := &prometheusRule{}
			object, err = rules, yaml.UnmarshalStrict([]byte(document), rules)
		default:
			var decoded runtime.Object
			decoded, _, err = strict.Decode([]byte(document), nil, nil)
			object = decoded
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		o.all = append(o.all, object)
		switch object := object.(type) {
		case *corev1.Namespace:
			o.namespace = object
		case *corev1.ServiceAccount:
			o.account = object
		case *appsv1.DaemonSet:
			o.daemonSet = object
		case *corev1.Service:
			o.service = object
		case *networkingv1.NetworkPolicy:
			o.policy = object
		case *rbacv1.RoleBinding:
			o.binding = object
		case *corev1.Secret:
			o.secret = object
		}
	}
	if o.namespace == nil || o.account == nil || o.daemonSet == nil || o.service == nil || o.policy == nil {
		t.Fatalf("something is missing in\n%s", text)
	}
	for _, m := range []metav1.Object{o.account, o.daemonSet, o.service, o.policy} {
		if m.GetName() != Name {
			t.Errorf("%T is named %q, want %q", m, m.GetName(), Name)
		}
	}
	return o
}

// podMonitor and prometheusRule have the fields of the operator's API (monitoring.coreos.com/v1) that are used here. An API
// server with the CRDs of operator v0.93 accepted them with strict validation.
type podMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		JobLabel            string               `json:"jobLabel"`
		Selector            metav1.LabelSelector `json:"selector"`
		PodMetricsEndpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			ScrapeTimeout string `json:"scrapeTimeout"`
			Scheme        string `json:"scheme"`
			TLSConfig     *struct {
				CA struct {
					Secret corev1.SecretKeySelector `json:"secret"`
				} `json:"ca"`
				ServerName string `json:"serverName"`
			} `json:"tlsConfig"`
			BasicAuth *struct {
				Username corev1.SecretKeySelector `json:"username"`
				Password corev1.SecretKeySelector `json:"password"`
			} `json:"basicAuth"`
			Relabelings []struct {
				SourceLabels []string `json:"sourceLabels"`
				TargetLabel  string   `json:"targetLabel"`
			} `json:"relabelings"`
		} `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type prometheusRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ruleFile `json:"spec"`
}

// TestTLS wants the web configuration's Secret mounted where the exporter is told to look, and everybody told of it who asks
// the port.
func TestTLS(t *testing.T) {
	o := decode(t, build(t, "combined", compose("../", "prometheus-operator", "tls")...))
	spec, c := o.daemonSet.Spec.Template.Spec, o.container()
	secret := spec.Volumes[0].Secret.SecretName
	if spec.Volumes[0].Name != c.VolumeMounts[0].Name || !slices.Contains(c.Args, "--web.config.file="+c.VolumeMounts[0].MountPath+"/web-config.yaml") {
		t.Errorf("args %v, mounts %v", c.Args, c.VolumeMounts)
	}
	endpoint := o.podMonitor.Spec.PodMetricsEndpoints[0]
	if endpoint.Scheme != "https" || endpoint.TLSConfig.CA.Secret.Name != secret {
		t.Errorf("the PodMonitor asks by %q, with a certificate from %q", endpoint.Scheme, endpoint.TLSConfig.CA.Secret.Name)
	}
	if annotations := o.daemonSet.Spec.Template.Annotations; annotations["prometheus.io/scheme"] != "https" {
		t.Errorf("annotations %v", annotations)
	}
	if c.LivenessProbe.HTTPGet.Port.String() == PortName || !slices.Contains(c.Args, "--probe-listen=:9157") {
		t.Errorf("the kubelet asks the port with TLS: %v", c.Args)
	}
}
