package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// Prometheus scrapes the exporter over TLS, whose certificate it checks, with a password; with a wrong one it does not.
func TestPrometheusOverTLS(t *testing.T) {
	c := need(t)
	dir := t.TempDir()
	certificate(t, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	web := filepath.Join(dir, "web.yml")
	text := fmt.Sprintf("tls_server_config: {cert_file: %s/tls.crt, key_file: %[1]s/tls.key}\nbasic_auth_users: {prometheus: %q}\n", dir, hash)
	if err := os.WriteFile(web, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	exporter := exec.Command(filepath.Join("../../dist", runtime.GOARCH, "cosanet-collector"), "--serve", "--listen", address, "--web.config.file", web, "--node", "here")
	exporter.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := exporter.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exporter.Process.Signal(syscall.SIGTERM)
		if err := exporter.Wait(); err != nil {
			t.Errorf("after SIGTERM the exporter ends with %v", err)
		}
	})
	job := func(name, password string) string {
		return fmt.Sprintf(`
- job_name: %s
  scheme: https
  tls_config: {ca_file: %s/tls.crt}
  basic_auth: {username: prometheus, password: %s}
  static_configs: [{targets: ["%s"]}]`, name, dir, password, address)
	}
	p := c.startPrometheus(t, fmt.Sprintf("global: {scrape_interval: %[1]s, scrape_timeout: %[1]s}\nscrape_configs:", scrapeInterval)+job("right", "right")+job("wrong", "wrong"))
	want := func(expression string, want float64) {
		embedded.Eventually(t, expression, func() error {
			got, err := p.one(expression)
			if err == nil && got != want {
				err = fmt.Errorf("%v, want %v", got, want)
			}
			return err
		})
	}
	want(`up{job="right"}`, 1)
	want(`up{job="wrong"}`, 0)
	want(`count(cosanet_proc_net_snmp_Tcp_CurrEstab{job="right",cosanet_node="here",cosanet_namespace="HOST"})`, 1)
	if found, err := p.query(`{job="wrong",__name__=~"cosanet_.*"}`); err != nil || len(found) > 0 {
		t.Errorf("with a wrong password Prometheus has %d series (%v)", len(found), err)
	}
}

// freeAddress is one on loopback that nobody listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// certificate writes tls.crt, which signs itself for 127.0.0.1, and tls.key.
func certificate(t testing.TB, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "cosanet test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
