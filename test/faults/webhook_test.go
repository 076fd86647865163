package faults

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// patch is a JSON patch (RFC 6902) of one operation.
type patch struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// webhook is a mutating webhook of the cluster for the pods of one namespace, served by the test itself.
type webhook struct {
	server  *httptest.Server
	changed atomic.Int32 // pods
}

// hook changes every pod that is made in a namespace by patches, until the test ends.
func (c *cluster) hook(t testing.TB, namespace string, patches ...patch) *webhook {
	t.Helper()
	body, err := json.Marshal(patches)
	if err != nil {
		t.Fatal(err)
	}
	w := new(webhook)
	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
			http.Error(rw, "no admission review", http.StatusBadRequest)
			return
		}
		kind := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: body, PatchType: &kind}
		w.changed.Add(1)
		json.NewEncoder(rw).Encode(&review)
	}))
	address := c.ourAddress(t)
	certificate, ca := certificateFor(t, address)
	listener, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	w.server.Listener.Close()
	w.server.Listener, w.server.TLS = listener, &tls.Config{Certificates: []tls.Certificate{certificate}}
	w.server.StartTLS()
	t.Cleanup(w.server.Close)

	fail, none, equivalent := registrationv1.Fail, registrationv1.SideEffectClassNone, registrationv1.Equivalent
	url, timeout := "https://"+listener.Addr().String(), int32(5)
	configuration, err := json.Marshal(&registrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []registrationv1.MutatingWebhook{{
			Name: "inject." + namespace + ".test", AdmissionReviewVersions: []string{"v1"},
			SideEffects: &none, FailurePolicy: &fail, MatchPolicy: &equivalent, TimeoutSeconds: &timeout,
			ClientConfig:      registrationv1.WebhookClientConfig{URL: &url, CABundle: ca},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []registrationv1.RuleWithOperations{{Operations: []registrationv1.OperationType{registrationv1.Create},
				Rule: registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Apply(t, string(configuration))
	t.Cleanup(func() { c.Must(t, "delete", "mutatingwebhookconfiguration", namespace) })
	// The API server learns of it in a moment: until a pod that is only tried out is changed, it is not there.
	embedded.Eventually(t, "the API server asks the webhook", func() error {
		before := w.changed.Load()
		c.Run("-n", namespace, "run", "probe", "--image=cosanet-demo:dev", "--dry-run=server")
		if w.changed.Load() == before {
			return errors.New("not yet")
		}
		return nil
	})
	w.changed.Store(0)
	return w
}

// ourAddress is this machine's, as the control plane sees it.
func (c *cluster) ourAddress(t testing.TB) net.IP {
	t.Helper()
	server, err := url.Parse(strings.TrimSpace(c.Must(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", net.JoinHostPort(server.Hostname(), "443")) // sends nothing
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).IP
}

// certificateFor makes a certificate for an address, and the PEM text by which it is trusted.
func certificateFor(t testing.TB, address net.IP) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "faults"}, IPAddresses: []net.IP{address},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Webhooks that add to a collector pod are tolerated; what takes from it what it needs, or is down, is told.
func TestWebhooks(t *testing.T) {
	c := need(t)
	t.Parallel()
	const sidecar = `a webhook of the cluster changed collector pod `
	image := strings.TrimSpace(c.Cosanet(t, 0, "image", "--quiet").Stdout)
	exempt := "exempt its namespace from the webhook, or use another one with --collector-namespace"
	tests := []struct {
		name    string
		patches []patch
		down    bool
		want    outcome
	}{
		{name: "adds a sidecar and an init container", want: fine("node-1"), patches: []patch{
			{"add", "/spec/containers/0", added("proxy", "cosanet-demo:dev", "idle")},
			{"add", "/spec/initContainers", []any{added("proxy-init", image, "--version")}},
			{"add", "/metadata/labels/injected", "true"},
		}},
		{name: "adds a container that has to be there first", want: fine("node-1"), patches: []patch{
			{"add", "/spec/initContainers", []any{map[string]any{"name": "proxy", "image": "cosanet-demo:dev", "imagePullPolicy": "Never", "args": []string{"idle"}, "restartPolicy": "Always"}}},
		}},
		{name: "strips hostPID", patches: []patch{{"remove", "/spec/hostPID", nil}},
			want: outcome{code: 1, err: []string{sidecar, "hostPID is false, not true", exempt}}},
		{name: "strips privileged", patches: []patch{{"replace", "/spec/containers/0/securityContext/privileged", false}},
			want: outcome{code: 1, err: []string{sidecar, "securityContext.privileged is false, not true", exempt}}},
		{name: "changes the image", patches: []patch{{"replace", "/spec/containers/0/image", "cosanet-demo:dev"}},
			want: outcome{code: 1, err: []string{sidecar, "image is cosanet-demo:dev, not ", exempt}}},
		{name: "changes the arguments", patches: []patch{{"add", "/spec/containers/0/args/-", "--serve"}},
			want: outcome{code: 1, err: []string{sidecar, "args is [", exempt}}},
		{name: "wraps the command", patches: []patch{{"add", "/spec/containers/0/command", []string{"/demo"}}},
			want: outcome{code: 1, err: []string{sidecar, "command is [/demo], not []", exempt}}},
		{name: "takes the collector away", patches: []patch{{"replace", "/spec/containers/0/name", "main"}},
			want: outcome{code: 1, err: []string{sidecar, "there is no container collector", exempt}}},
		{name: "gates the pod", patches: []patch{{"add", "/spec/schedulingGates", []map[string]string{{"name": "faults.test/never"}}}},
			want: outcome{code: 1, err: []string{"a webhook gave it a scheduling gate that nobody lifts"}}},
		{name: "adds a container that cannot start", patches: []patch{
			{"add", "/spec/initContainers", []any{added("proxy-init", "cosanet-demo:nosuch")}}},
			want: outcome{code: 1, err: []string{"init container proxy-init, which a webhook added, does not start: ErrImageNeverPull"}}},
		{name: "is down", down: true,
			want: outcome{code: 1, err: []string{`failed calling webhook "inject.faults-hook.test"`, "connection refused",
				"kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations; the one named does not answer", "or use another namespace with --collector-namespace"}}},
	}
	const hooked = "faults-hook"
	c.namespace(t, hooked, "privileged")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := c.hook(t, hooked, tt.patches...)
			if tt.down {
				w.server.Close()
			}
			tt.want.check(t, c.Run("cosanet", "top", "-n", namespace, "quiet-1", "--collector-namespace", hooked, "--timeout", "30s"))
			if !tt.down && w.changed.Load() == 0 {
				t.Error("the webhook was not asked: the test shows nothing")
			}
			c.WantNothingLeft(t, hooked)
		})
	}
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: len(tests), Faults: len(tests), Survived: len(tests),
			Claim: "Webhooks that inject are tolerated, those that take what a collector needs or are down are told: the pod is deleted"})
	}
}

// added is a container that a webhook adds.
func added(name, image string, args ...string) map[string]any {
	return map[string]any{"name": name, "image": image, "imagePullPolicy": "Never", "args": args}
}
