package faults

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// mutation is one thing in which a pod differs from a genuine one.
type mutation struct {
	name                 string
	exporter, restricted bool // of the exporter's pod, or of that of the profile restricted; else of a privileged run's
	change               func(*corev1.Pod)
	want                 string // what the refusal names
}

// mutations are what somebody might try who may make pods and wants the node.
func mutations() []mutation {
	yes, no := true, false
	root := int64(0)
	onContainer := func(change func(*corev1.Container)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { change(&pod.Spec.Containers[0]) }
	}
	onSpec := func(change func(*corev1.PodSpec)) func(*corev1.Pod) {
		return func(pod *corev1.Pod) { change(&pod.Spec) }
	}
	image := func(name string) func(*corev1.Pod) { return onContainer(func(c *corev1.Container) { c.Image = name }) }
	args := func(args ...string) func(*corev1.Pod) {
		return onContainer(func(c *corev1.Container) { c.Args = args })
	}
	arg := func(more ...string) func(*corev1.Pod) {
		return onContainer(func(c *corev1.Container) { c.Args = append(c.Args, more...) })
	}
	shell := corev1.Container{Name: "shell", Image: "busybox:1", Command: []string{"sh"}}
	volume := corev1.Volume{Name: "host", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}
	secret := &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}
	exec := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh"}}}
	const container, context = "spec.containers[0].", "spec.containers[0].securityContext"

	return []mutation{
		{name: "another image", change: image("busybox:1"), want: container + "image busybox:1"},
		{name: "another repository of the registry", change: image("ghcr.io/cosanet/other:v0.1.0"), want: container + "image"},
		{name: "a repository that begins alike", change: image(repository + "-evil:v0.1.0"), want: container + "image"},
		{name: "a repository below it", change: image(repository + "/evil:v0.1.0"), want: container + "image"},
		{name: "the image without a version", change: image(repository), want: container + "image"},
		{name: "the repository in another registry", change: image("evil.example/" + repository + ":v0.1.0"), want: container + "image"},
		{name: "a command", change: onContainer(func(c *corev1.Container) { c.Command = []string{"sh"} }), want: container + "command"},
		{name: "no arguments", change: args(), want: container + "args"},
		{name: "an exporter's arguments in a run", change: args("--serve", "--listen=:1"), want: container + "args"},
		{name: "a further argument", change: arg("--listen=:1"), want: container + "args"},
		{name: "arguments hidden in one", change: onContainer(func(c *corev1.Container) { c.Args[0] = "--once --run" }), want: container + "args"},
		{name: "a socket that is no path", change: arg("--cri-socket", "$(X)"), want: container + "args"},
		{name: "an exporter with a run's arguments", exporter: true, change: args("--once"), want: container + "args"},
		{name: "environment from a secret", change: onContainer(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "X", ValueFrom: secret}) }), want: container + "env"},
		{name: "environment by value", change: onContainer(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "GODEBUG", Value: "x"}) }), want: container + "env"},
		{name: "another field in NODE_NAME", change: onContainer(func(c *corev1.Container) { c.Env[0].ValueFrom.FieldRef.FieldPath = "status.hostIP" }), want: container + "env"},
		{name: "an exporter's environment from a secret", exporter: true, change: onContainer(func(c *corev1.Container) { c.Env[1] = corev1.EnvVar{Name: "GOMEMLIMIT", ValueFrom: secret} }), want: container + "env"},
		{name: "environment of a whole secret", change: onContainer(func(c *corev1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}}}
		}), want: container + "envFrom"},
		{name: "a hook that runs a program", change: onContainer(func(c *corev1.Container) { c.Lifecycle = &corev1.Lifecycle{PostStart: exec} }), want: container + "lifecycle"},
		{name: "a probe that runs a program", exporter: true, change: onContainer(func(c *corev1.Container) {
			c.LivenessProbe.ProbeHandler = corev1.ProbeHandler{Exec: exec.Exec}
		}), want: "probes ask itself"},
		{name: "a probe of another host", exporter: true, change: onContainer(func(c *corev1.Container) { c.ReadinessProbe.HTTPGet.Host = "192.0.2.1" }), want: "probes ask itself"},
		{name: "a probe in a run", change: onContainer(func(c *corev1.Container) {
			c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}}
		}), want: container + "livenessProbe"},
		{name: "a start-up probe", exporter: true, change: onContainer(func(c *corev1.Container) { c.StartupProbe = c.LivenessProbe }), want: container + "startupProbe"},
		{name: "a terminal", change: onContainer(func(c *corev1.Container) { c.TTY = true }), want: container + "tty"},
		{name: "standard input", change: onContainer(func(c *corev1.Container) { c.Stdin = true }), want: container + "stdin"},
		{name: "a working directory", change: onContainer(func(c *corev1.Container) { c.WorkingDir = "/proc/1/root" }), want: container + "workingDir"},
		{name: "a port in a run", change: onContainer(func(c *corev1.Container) { c.Ports = []corev1.ContainerPort{{ContainerPort: 80}} }), want: container + "ports"},
		{name: "a port of the node", exporter: true, change: onContainer(func(c *corev1.Container) { c.Ports[0].HostPort = 9157 }), want: container + "ports"},
		{name: "a message from another file", change: onContainer(func(c *corev1.Container) { c.TerminationMessagePath = "/cosanet-collector" }), want: container + "terminationMessagePath"},
		{name: "another name of the container", change: onContainer(func(c *corev1.Container) { c.Name = "shell" }), want: "spec.containers: there is to be one, named collector"},
		{name: "a second container", change: onSpec(func(s *corev1.PodSpec) { s.Containers = append(s.Containers, shell) }), want: "spec.containers: there is to be one"},
		{name: "a second container first", change: onSpec(func(s *corev1.PodSpec) { s.Containers = append([]corev1.Container{shell}, s.Containers...) }), want: "spec.containers: there is to be one"},
		{name: "an init container", change: onSpec(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{shell} }), want: "spec.initContainers"},
		{name: "an exporter's init container", exporter: true, change: onSpec(func(s *corev1.PodSpec) { s.InitContainers = []corev1.Container{shell} }), want: "spec.initContainers"},
		{name: "a volume of the node", change: onSpec(func(s *corev1.PodSpec) { s.Volumes = []corev1.Volume{volume} }), want: "spec.volumes"},
		{name: "an exporter's volume of the node", exporter: true, change: onSpec(func(s *corev1.PodSpec) { s.Volumes = append(s.Volumes, volume) }), want: "spec.volumes"},
		{name: "another secret as a volume", exporter: true, change: onSpec(func(s *corev1.PodSpec) { s.Volumes[0].Secret.SecretName = "other" }), want: "spec.volumes"},
		{name: "the secret at another place", exporter: true, change: onContainer(func(c *corev1.Container) { c.VolumeMounts[0].MountPath = "/" }), want: container + "volumeMounts"},
		{name: "the node's IPC", change: onSpec(func(s *corev1.PodSpec) { s.HostIPC = true }), want: "spec.hostIPC"},
		{name: "no hostPID", change: onSpec(func(s *corev1.PodSpec) { s.HostPID = false }), want: "spec.hostPID"},
		{name: "no hostNetwork", change: onSpec(func(s *corev1.PodSpec) { s.HostNetwork = false }), want: "spec.hostNetwork"},
		{name: "an exporter in the node's network", exporter: true, change: onSpec(func(s *corev1.PodSpec) {
			s.HostNetwork = true
			for i := range s.Containers[0].Ports {
				s.Containers[0].Ports[i].HostPort = s.Containers[0].Ports[i].ContainerPort // as it is defaulted
			}
		}), want: "spec.hostNetwork"},
		{name: "a token", change: onSpec(func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = &yes }), want: "spec.volumes"},
		{name: "another account", change: onSpec(func(s *corev1.PodSpec) { s.ServiceAccountName = "cosanet-exporter" }), want: "spec.serviceAccountName"},
		{name: "no deadline", change: onSpec(func(s *corev1.PodSpec) { s.ActiveDeadlineSeconds = nil }), want: "spec.activeDeadlineSeconds"},
		{name: "started again for ever", change: onSpec(func(s *corev1.PodSpec) { s.RestartPolicy = corev1.RestartPolicyAlways }), want: "spec.restartPolicy"},
		{name: "a name server of its own", change: onSpec(func(s *corev1.PodSpec) { s.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"192.0.2.1"}} }), want: "spec.dnsConfig"},
		{name: "names of its own", change: onSpec(func(s *corev1.PodSpec) {
			s.HostAliases = []corev1.HostAlias{{IP: "192.0.2.1", Hostnames: []string{"x"}}}
		}), want: "spec.hostAliases"},
		{name: "one process namespace for all", change: onSpec(func(s *corev1.PodSpec) { s.HostPID, s.ShareProcessNamespace = false, &yes }), want: "spec.shareProcessNamespace"},
		{name: "by the scheduler's back", change: onSpec(func(s *corev1.PodSpec) { s.NodeName = "node-1" }), want: "spec.nodeName"},
		{name: "a pod's security context", change: onSpec(func(s *corev1.PodSpec) {
			s.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: "kernel.shm_rmid_forced", Value: "1"}}}
		}), want: "spec.securityContext"},
		{name: "a writable root", change: onContainer(func(c *corev1.Container) { c.SecurityContext.ReadOnlyRootFilesystem = &no }), want: context},
		{name: "restricted as root", restricted: true, change: onContainer(func(c *corev1.Container) { c.SecurityContext.RunAsUser, c.SecurityContext.RunAsNonRoot = &root, nil }), want: context},
		{name: "restricted with a capability", restricted: true, change: onContainer(func(c *corev1.Container) { c.SecurityContext.Capabilities.Add = []corev1.Capability{"SYS_MODULE"} }), want: context},
		{name: "restricted without seccomp", restricted: true, change: onContainer(func(c *corev1.Container) { c.SecurityContext.SeccompProfile = nil }), want: context},
		{name: "no security context", change: onContainer(func(c *corev1.Container) { c.SecurityContext = nil }), want: context},
		{name: "a version, with the node's processes", change: args("--version"), want: "spec.hostPID"},
		{name: "another name", change: func(pod *corev1.Pod) { pod.Name = "cosanet-0" }, want: "metadata.name cosanet-0"},
		{name: "an exporter's name", change: func(pod *corev1.Pod) { pod.Name = "cosanet-exporter" }, want: "metadata.name cosanet-exporter"},
		{name: "an exporter's label", change: func(pod *corev1.Pod) { pod.Labels["app.kubernetes.io/component"] = "exporter" }, want: "metadata.name"},
		{name: "an owner", change: func(pod *corev1.Pod) {
			pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "x", UID: "x"}}
		}, want: "metadata.ownerReferences"},
		{name: "a finalizer", change: func(pod *corev1.Pod) { pod.Finalizers = []string{"example.com/stay"} }, want: "metadata.finalizers"},
		{name: "a device by annotation", change: func(pod *corev1.Pod) { pod.Annotations["cdi.k8s.io/x"] = "vendor.example/device=all" }, want: "metadata.annotations cdi.k8s.io/x"},
		{name: "a runtime's annotation of an exporter", exporter: true, change: func(pod *corev1.Pod) { pod.Annotations["io.kubernetes.cri-o.userns-mode"] = "auto" }, want: "metadata.annotations io.kubernetes.cri-o.userns-mode"},
		{name: "a very long argument", change: arg(strings.Repeat("x", 10_000)), want: container + "args"},
		{name: "a user namespace", change: onSpec(func(s *corev1.PodSpec) { s.HostPID, s.HostNetwork, s.HostUsers = false, false, &no }), want: "spec.hostUsers"},
	}
}
