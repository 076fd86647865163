package collector

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority issues certificates for loopback.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	a.cert, a.key = a.issue("ca", 1)
	a.pool.AddCert(a.cert)
	return a
}

// issue writes NAME.pem and NAME.key.
func (a *authority) issue(name string, serial int64) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: a.cert == nil,
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// write writes a file that only its owner reads, in one step: the exporter reads it at any time.
func (a *authority) write(name string, content []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// client trusts the authority and shows the certificate of that name, or none. It makes a connection for each request.
func (a *authority) client(name string) *http.Client {
	a.t.Helper()
	config := &tls.Config{RootCAs: a.pool}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}}
}

// The password of user prometheus is "secret" (bcrypt, cost 4).
const (
	users = "basic_auth_users: {prometheus: $2a$04$3MwuD08bZ5NyNyENXGW9P.oGnAADv4eleaqggE6CC2cNApM0TljkO}\n"
	plain = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
	known = "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}\n"
)

// TestWebConfig asks over TLS, with a password, and with a client certificate; files that change are read again.
func TestWebConfig(t *testing.T) {
	a := newAuthority(t)
	a.issue("server", 2)
	a.issue("prometheus", 3)
	file := a.write("web.yaml", []byte(plain+users))
	s := startExporter(t, cheap(t), func(e *exporter) {
		e.WebConfigFile, e.Listen, e.ProbeListen = file, []string{"127.0.0.1:0", "127.0.0.1:0"}, "127.0.0.1:0"
	})
	s.until(t, "the first walk", func() bool { return s.exporter.ready() == nil })
	probes := "http://" + s.listeners[2].Addr().String()
	ask := func(client *http.Client, i int, password string) (int, *tls.ConnectionState, error) {
		r, err := http.NewRequest("GET", fmt.Sprintf("https://%s/metrics", s.listeners[i].Addr()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			r.SetBasicAuth("prometheus", password)
		}
		response, err := client.Do(r)
		if err != nil {
			return 0, nil, err
		}
		response.Body.Close()
		return response.StatusCode, response.TLS, nil
	}
	for i := range 2 {
		for password, want := range map[string]int{"secret": 200, "wrong": 401, "": 401} {
			if code, _, err := ask(a.client(""), i, password); code != want {
				t.Errorf("password %q: %d, %v, want %d", password, code, err, want)
			}
		}
	}
	if code, err := plainly("http://" + s.listeners[0].Addr().String() + "/metrics"); err == nil && code != 400 {
		t.Errorf("without TLS: %d", code)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404} {
		if code, err := plainly(probes + path); err != nil || code != want {
			t.Errorf("%s at the address of the probes: %d, %v, want %d", path, code, err, want)
		}
	}

	a.write("web.yaml", []byte(known)) // users are gone, a certificate is wanted
	a.issue("server", 4)
	if code, state, err := ask(a.client("prometheus"), 0, ""); code != 200 || state.PeerCertificates[0].SerialNumber.Int64() != 4 {
		t.Errorf("with a client certificate, after a new server certificate: %d, %v", code, err)
	}
	if code, _, err := ask(a.client(""), 0, "secret"); err == nil {
		t.Errorf("without a client certificate: %d", code)
	}
}

// TestRateLimit refuses what is beyond the burst.
func TestRateLimit(t *testing.T) {
	a := newAuthority(t)
	file := a.write("web.yaml", []byte("rate_limit: {burst: 3, interval: 1h}\n"))
	s := startExporter(t, cheap(t), func(e *exporter) { e.WebConfigFile = file })
	codes := map[int]int{}
	for range 5 {
		r, _ := s.get(t, "GET", "/metrics")
		codes[r.StatusCode]++
	}
	if codes[200] != 3 || codes[429] != 2 {
		t.Errorf("answers %v, want three and two refused", codes)
	}
}

// plainly asks without TLS and without a password.
func plainly(url string) (code int, err error) {
	r, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	return r.StatusCode, r.Body.Close()
}
