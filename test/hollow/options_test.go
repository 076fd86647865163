package main

import (
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

const tlsFlags = " --tls-cert-file c --tls-private-key-file k"

func TestParse(t *testing.T) {
	tests := []struct {
		args string
		want func(*options)
	}{
		{"", func(*options) {}},
		{"--nodes 1000 --pods 110 --seed 7", func(o *options) { o.nodes, o.pods, o.seed = 1000, 110, 7 }},
		{"--delay 2s", func(o *options) { o.delay = span{2 * time.Second, 2 * time.Second} }},
		{"--delay 0-1m --pull 1s-5s", func(o *options) { o.delay, o.pull = span{0, time.Minute}, span{time.Second, 5 * time.Second} }},
		{"--fail 4%", func(o *options) {
			o.troubles = []troubleShare{{imagePullBackOff, .01}, {notReady, .01}, {logCut, .01}, {unreachable, .01}}
		}},
		{"--fail imagepullbackoff=2.5%,LogCut=50%", func(o *options) { o.troubles = []troubleShare{{imagePullBackOff, .025}, {logCut, .5}} }},
		{"--slow 2%:20000", func(o *options) { o.slow = slowness{.02, 20000} }},
		{"--exporter --events=false", func(o *options) { o.exporter, o.events = true, false }},
		{"--exporter --exporter-metrics all", func(o *options) { o.exporter, o.counts = true, metrics.All }},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			want := mustParse(t, "")
			tt.want(want)
			compare := cmp.AllowUnexported(options{}, span{}, troubleShare{}, slowness{})
			if diff := cmp.Diff(want, mustParse(t, tt.args), compare, cmp.Comparer(func(a, b interface{ String() string }) bool { return a.String() == b.String() })); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func mustParse(t *testing.T, args string) *options {
	t.Helper()
	o, err := parse(strings.Fields(args+tlsFlags), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestParseRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--nodes -1":                     "--nodes -1",
		"--nodes 4001":                   "want 0 to 4000",
		"--pods 111":                     "want 0 to 110",
		"--workers 0":                    "at least 1",
		"--delay 2s-1s":                  "want MIN-MAX",
		"--delay fast":                   "invalid duration",
		"--fail 5":                       "want a share",
		"--fail 101%":                    "want a share",
		"--fail NaN%":                    "want a share",
		"--fail Flood=1%":                `unknown trouble "Flood"`,
		"--fail NotReady":                "want a share",
		"--fail NotReady=60%,LogCut=60%": "make 120%",
		"--slow 5%":                      "want SHARE:BYTES",
		"--slow 5%:0":                    "want SHARE:BYTES",
		"now":                            `unexpected argument "now"`,
	} {
		t.Run(args, func(t *testing.T) {
			if _, err := parse(append(strings.Fields(tlsFlags), strings.Fields(args)...), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		})
	}
	if _, err := parse([]string{"--nodes", "1"}, io.Discard); err == nil || !strings.Contains(err.Error(), "--tls-cert-file") {
		t.Errorf("without a certificate: got %v, want that it is missing", err)
	}
	if _, err := parse([]string{"--nodes", "0"}, io.Discard); err != nil {
		t.Errorf("to take all away needs no certificate: %v", err)
	}
}

func TestHelpNamesEveryTrouble(t *testing.T) {
	var help strings.Builder
	if _, err := parse([]string{"--help"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("got %v, want flag.ErrHelp", err)
	}
	for _, trouble := range troubles {
		if !strings.Contains(help.String(), string(trouble)) {
			t.Errorf("help does not name %s:\n%s", trouble, &help)
		}
	}
}
