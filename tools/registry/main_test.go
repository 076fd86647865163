package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What was pushed with the password comes back with it, and without it nothing does. Every request is in the output.
func TestRegistry(t *testing.T) {
	stdin, hold := io.Pipe()
	output, stdout := io.Pipe()
	ended := make(chan error)
	go func() {
		ended <- run(t.Context(), []string{"-user", "me", "-password", "secret"}, stdin, stdout, io.Discard)
	}()
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		t.Fatal("it does not say where it listens")
	}
	url := "http://" + lines.Text() + "/v2/team/image/blobs/"
	blob := "a layer"
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(blob)))

	for _, tt := range []struct {
		name, method, path, user, password, body string
		want                                     int
		line                                     string
	}{
		{"push", http.MethodPost, "uploads/?digest=" + digest, "me", "secret", blob, http.StatusCreated, "201 me POST /v2/team/image/blobs/uploads/"},
		{"pull", http.MethodGet, digest, "me", "secret", "", http.StatusOK, "200 me GET /v2/team/image/blobs/" + digest},
		{"pull of what is not there", http.MethodGet, strings.Replace(digest, digest[7:9], "zz", 1), "me", "secret", "", http.StatusBadRequest, ""},
		{"no password", http.MethodGet, digest, "", "", "", http.StatusUnauthorized, "401 - GET /v2/team/image/blobs/" + digest},
		{"wrong password", http.MethodGet, digest, "me", "other", "", http.StatusUnauthorized, "401 - GET /v2/team/image/blobs/" + digest},
		{"wrong user", http.MethodPost, "uploads/?digest=" + digest, "you", "secret", blob, http.StatusUnauthorized, "401 - POST /v2/team/image/blobs/uploads/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, url+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				request.SetBasicAuth(tt.user, tt.password)
			}
			written := make(chan string)
			go func() {
				lines.Scan()
				written <- lines.Text()
			}()
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != tt.want {
				t.Errorf("status %d, want %d", response.StatusCode, tt.want)
			}
			if got := string(body) == blob; got != (tt.method == http.MethodGet && tt.want == http.StatusOK) {
				t.Errorf("it answers with %q", body)
			}
			if challenge := response.Header.Get("WWW-Authenticate"); (challenge != "") != (tt.want == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
			if line := <-written; tt.line != "" && line != tt.line {
				t.Errorf("it writes down %q, want %q", line, tt.line)
			}
		})
	}
	hold.Close()
	if err := <-ended; err != nil {
		t.Errorf("after its input ended: %v", err)
	}
}
