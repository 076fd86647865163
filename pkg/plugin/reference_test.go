package plugin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0a", 32)
	long := strings.Repeat("t", 128)
	for _, tt := range []struct {
		in   string
		want reference
		host string
		err  string // how the error goes on after the name
	}{
		{in: "cosanet:v1", want: reference{"cosanet", "v1", ""}, host: "https://index.docker.io/v1/"},
		{in: "team/cosanet:v1", want: reference{"team/cosanet", "v1", ""}, host: "https://index.docker.io/v1/"},
		{in: "docker.io/team/cosanet:v1", want: reference{"docker.io/team/cosanet", "v1", ""}, host: "https://index.docker.io/v1/"},
		{in: "localhost/cosanet:v1", want: reference{"localhost/cosanet", "v1", ""}, host: "localhost"},
		{in: "registry.example/a/b__c/d-e.f:v1.2.3-rc.1", want: reference{"registry.example/a/b__c/d-e.f", "v1.2.3-rc.1", ""}, host: "registry.example"},
		{in: "10.0.0.1:5000/c:v1", want: reference{"10.0.0.1:5000/c", "v1", ""}, host: "10.0.0.1:5000"},
		{in: "[fd00::1]:5000/c:v1", want: reference{"[fd00::1]:5000/c", "v1", ""}, host: "[fd00::1]:5000"},
		{in: "Registry.Example:443/c@" + digest, want: reference{"Registry.Example:443/c", "", digest}, host: "Registry.Example:443"},
		{in: "registry.example/c:v1@" + digest, want: reference{"registry.example/c", "v1", digest}, host: "registry.example"},
		{in: "registry.example/c:latest@" + digest, want: reference{"registry.example/c", "latest", digest}, host: "registry.example"},
		{in: "c:" + long, want: reference{"c", long, ""}, host: "https://index.docker.io/v1/"},
		{in: "cosanet", err: " has no tag, which means latest"},
		{in: "registry.example:5000/cosanet", err: " has no tag, which means latest"},
		{in: "registry.example/cosanet:latest", err: " does not say which version it is"},
		{in: "", err: " is no name of an image"},
		{in: "cosanet:", err: " is no name of an image"},
		{in: "Not/A Name", err: " is no name of an image"},
		{in: "Team/cosanet:v1", want: reference{"Team/cosanet", "v1", ""}, host: "Team"},
		{in: "registry.example/Cosanet:v1", err: " is no name of an image"},
		{in: "https://registry.example/cosanet:v1", err: " is no name of an image"},
		{in: "registry.example/c:v1@sha256:0a", err: " is no name of an image"},
		{in: "c:t" + long, err: " is no name of an image"},
		{in: "c:v1\n", err: " is no name of an image"},
		{in: " c:v1", err: " is no name of an image"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			got, err := parseReference(tt.in)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), `"`+tt.err) {
					t.Errorf("error %v, want one that says%s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(reference{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.host() != tt.host {
				t.Errorf("host %s, want %s", got.host(), tt.host)
			}
		})
	}
}

// What is taken is given back letter for letter, and can be put into a line of a shell script as it is.
func FuzzParseReference(f *testing.F) {
	f.Add("registry.example:5000/a/b:v1@sha256:" + strings.Repeat("0a", 32))
	f.Add("cosanet:latest")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseReference(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Errorf("%q became %q", s, r)
		}
		if strings.ContainsAny(s, " \t\n'\"$`\\;&|<>(){}*?!#~") {
			t.Errorf("%q means something to a shell", s)
		}
		if r.tag == "" && r.digest == "" || r.tag == "latest" && r.digest == "" {
			t.Errorf("%q does not say which image it is", s)
		}
	})
}
