package main

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
	"path/filepath"
	"time"
)

// writePKI makes a certificate authority, the apiserver's serving certificate and the key that signs service account
// tokens. Users are known by tokens (users.go), so nobody needs a client certificate.
func (s *State) writePKI() error {
	if err := os.MkdirAll(s.pki(""), 0o700); err != nil {
		return fmt.Errorf("making the certificates: %w", err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: s.Name + "-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), s.controlPlaneAddr().AsSlice(), s.apiServiceAddr().AsSlice()},
	}
	caKey, err := s.writeKey("ca.key")
	if err != nil {
		return err
	}
	serverKey, err := s.writeKey("apiserver.key")
	if err != nil {
		return err
	}
	if _, err := s.writeKey("service-account.key"); err != nil {
		return err
	}
	if err := s.writeCertificate("ca.crt", ca, ca, &caKey.PublicKey, caKey); err != nil {
		return err
	}
	return s.writeCertificate("apiserver.crt", server, ca, &serverKey.PublicKey, caKey)
}

// authority reads the certificate authority and its key back.
func (s *State) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	var ders [2][]byte
	for i, file := range []string{"ca.crt", "ca.key"} {
		text, err := os.ReadFile(s.pki(file))
		if err != nil {
			return nil, nil, fmt.Errorf("reading the certificate authority: %w", err)
		}
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, nil, fmt.Errorf("reading the certificate authority: %s holds no PEM", file)
		}
		ders[i] = block.Bytes
	}
	cert, err := x509.ParseCertificate(ders[0])
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	key, err := x509.ParseECPrivateKey(ders[1])
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	return cert, key, nil
}

func (s *State) writeKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", file, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("making %s: %w", file, err)
	}
	return key, s.writePEM(file, "EC PRIVATE KEY", der)
}

func (s *State) writeCertificate(file string, cert, parent *x509.Certificate, pub *ecdsa.PublicKey, signer *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, pub, signer)
	if err != nil {
		return fmt.Errorf("making %s: %w", file, err)
	}
	return s.writePEM(file, "CERTIFICATE", der)
}

func (s *State) writePEM(file, kind string, der []byte) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(filepath.Join(s.dir, "pki", file), data, 0o600); err != nil {
		return fmt.Errorf("making %s: %w", file, err)
	}
	return nil
}
