package plugin

import (
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestCollectionFlags(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []string
		want string // the error of parsing or of Validate; empty: none
	}{
		{"none", nil, ""},
		{"all", []string{"--profile", "netadmin", "--image", "x:v1", "--image-pull-policy", "Never", "--image-pull-secret", "a,b", "--image-pull-secret", "c",
			"--collector-namespace", "here", "--cri-socket", "/run/x.sock", "--timeout", "5s", "--max-concurrent-nodes", "1"}, ""},
		{"source", []string{"--source", "log"}, `invalid argument "log" for "--source" flag: use auto, pod or exporter`},
		{"no image for an exporter", []string{"--image", "", "--source", "exporter"}, ""},
		{"profile", []string{"--profile", "root"}, `invalid argument "root" for "--profile" flag: use privileged, netadmin or restricted`},
		{"pull policy", []string{"--image-pull-policy", "never"}, `unknown --image-pull-policy "never": use Always, IfNotPresent or Never`},
		{"pull before, but never", []string{"--image-prepull", "--image-pull-policy", "Never"}, "--image-prepull and --image-pull-policy Never exclude each other"},
		{"no image", []string{"--image", ""}, "no collector image: this build has none of its own, give one with --image or COSANET_IMAGE"},
		{"image that is latest", []string{"--image", "x:latest"}, `--image: "x:latest" does not say which version it is: name it in place of latest, or a digest`},
		{"pull secret", []string{"--image-pull-secret", "a b"}, `invalid --image-pull-secret "a b": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
		{"namespace", []string{"--collector-namespace", "a/b"}, `invalid --collector-namespace "a/b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
		{"socket", []string{"--cri-socket", "x.sock"}, `--cri-socket "x.sock": give the absolute path that it has on the nodes`},
		{"timeout", []string{"--timeout", "-1s"}, "--timeout must be more than 0, not -1s"},
		{"concurrency", []string{"--max-concurrent-nodes", "0"}, "--max-concurrent-nodes must be at least 1, not 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testCollection()
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			c.AddFlags(flags)
			err := flags.Parse(tt.args)
			if err == nil {
				if err = c.Validate(); err != nil && ExitCode(err) != ExitUsage {
					t.Errorf("exit code %d, want %d", ExitCode(err), ExitUsage)
				}
			}
			if got := errorText(err); got != tt.want {
				t.Errorf("error %q, want %q", got, tt.want)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// The pod may take as long as a node may, and the time between its samples.
func TestOrderTimeout(t *testing.T) {
	c := testCollection()
	c.Timeout = 30 * time.Second
	for _, tt := range []struct {
		ask  Ask
		want time.Duration
	}{
		{Ask{}, 30 * time.Second},
		{Ask{Samples: 1, Interval: time.Hour}, 30 * time.Second},
		{Ask{Samples: 3, Interval: time.Minute}, 150 * time.Second},
	} {
		if got := c.order("default", "a", tt.ask).timeout; got != tt.want {
			t.Errorf("timeout of %+v = %s, want %s", tt.ask, got, tt.want)
		}
	}
	if a, b := c.order("default", "a", Ask{}), c.order("default", "a", Ask{}); a.name == b.name || a.run == b.run {
		t.Errorf("two pods of one name %s or run %s", a.name, a.run)
	}
}
