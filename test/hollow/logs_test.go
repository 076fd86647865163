package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestLogOptions(t *testing.T) {
	const text = "one\ntwo\nthree\n"
	for query, want := range map[string]string{
		"":                           text,
		"tailLines=2":                "two\nthree\n",
		"tailLines=1":                "three\n",
		"tailLines=0":                "",
		"tailLines=9":                text,
		"limitBytes=5":               "one\nt",
		"tailLines=2&limitBytes=3":   "two",
		"limitBytes=0":               "",
		"limitBytes=100&follow=true": text,
	} {
		t.Run(query, func(t *testing.T) {
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			o, err := parseLogOptions(values)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(o.cut([]byte(text))); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	if _, err := parseLogOptions(url.Values{"tailLines": {"-1"}}); err == nil {
		t.Error("a negative number of lines is no error")
	}
}

// logServer is the kubelets' API on loopback, with one collector pod on the node of that address.
func logServer(t *testing.T, change func(*life)) (get func(query string) (*http.Response, error)) {
	t.Helper()
	f, n := testNode(t, 3)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "cosanet-x", Namespace: "default", UID: "u"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "collector", Image: "cosanet:v1",
			Args: []string{"--run", "r", "--samples", "2", "--interval", "1ms", "--encoding", "gzip", "--metrics", "default"}}}},
	}
	l := newLife(f, n, pod)
	l.started = time.Now()
	change(l)
	f.lives = map[podKey]*life{{"default", "cosanet-x"}: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", f.containerLogs)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	host, _, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n.address = netip.MustParseAddr(host)
	return func(path string) (*http.Response, error) { return http.Get(server.URL + "/containerLogs/" + path) }
}

func TestCollectorLog(t *testing.T) {
	get := logServer(t, func(*life) {})
	resp, err := get("default/cosanet-x/collector?follow=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	frames := metrics.NewFrameReader(resp.Body, "r")
	n := 0
	for ; ; n++ {
		if _, err := frames.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n != 2 {
		t.Errorf("%d frames came, want 2", n)
	}
}

// A log that is asked for from a moment on has the frames that were begun since, with their numbers; those of a run that goes
// on are of the time that it is.
func TestLogSince(t *testing.T) {
	started := time.Now().Add(-time.Minute).Truncate(time.Second)
	get := logServer(t, func(l *life) {
		l.started, l.program.samples, l.program.interval = started, 5, time.Second
	})
	resp, err := get("default/cosanet-x/collector?follow=true&sinceTime=" + url.QueryEscape(started.Add(2*time.Second).Format(time.RFC3339)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	frames := metrics.NewFrameReader(resp.Body, "r")
	got := map[int]time.Duration{}
	for {
		frame, err := frames.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		s, err := frame.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		got[frame.Trailer.Number] = s.Time.Sub(started).Round(time.Millisecond)
	}
	want := map[int]time.Duration{3: 2040 * time.Millisecond, 4: 3040 * time.Millisecond, 5: 4040 * time.Millisecond}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("number and time of frames (-want +got):\n%s", diff)
	}
	if resp, err := get("default/cosanet-x/collector?sinceTime=yesterday"); err != nil || resp.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a time that is none: %v, %v", resp, err)
	}
}

func TestLogInTrouble(t *testing.T) {
	tests := []struct {
		name, path string
		change     func(*life)
		code       int
		want       string // in the body
		cut        bool
	}{
		{"no such pod", "default/other/collector", func(*life) {}, 404, "does not exist", false},
		{"no such container", "default/cosanet-x/other", func(*life) {}, 404, "not found in pod", false},
		{"no earlier container", "default/cosanet-x/collector?previous=true", func(*life) {}, 400, "previous terminated container", false},
		{"not started", "default/cosanet-x/collector", func(l *life) { l.started = time.Time{} }, 400, "waiting to start", false},
		{"cut", "default/cosanet-x/collector?follow=true", func(l *life) { l.node.trouble = logCut }, 200, "# cosanet-trailer", true},
		{"own pod", "hollow-2/" + newOwnPod(1, 0).name() + "/app", func(*life) {}, 200, "nothing runs here", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := logServer(t, tt.change)(tt.path)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if cut := err != nil; cut != tt.cut {
				t.Errorf("reading it: %v, want cut %t", err, tt.cut)
			}
			if resp.StatusCode != tt.code || !strings.Contains(string(body), tt.want) {
				t.Errorf("got %d %.200q, want %d with %q", resp.StatusCode, body, tt.code, tt.want)
			}
		})
	}
}

// What is sent at a rate comes in pieces, each flushed, and as a whole is what was to be sent.
func TestOutletPaces(t *testing.T) {
	var got strings.Builder
	flushes := 0
	o := &outlet{w: &got, flush: func() error { flushes++; return nil }, rate: 10_000, left: -1}
	text := strings.Repeat("0123456789", 300)
	if err := o.send(context.Background(), []byte(text)); err != nil {
		t.Fatal(err)
	}
	if got.String() != text || flushes != 3 {
		t.Errorf("%d bytes came in %d pieces, want %d in 3", got.Len(), flushes, len(text))
	}
}
