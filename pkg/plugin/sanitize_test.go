package plugin

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestSanitize(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"a pod's name":         {"web-5b7c8-x2x4z", "web-5b7c8-x2x4z"},
		"a namespace file":     {"net:[4026532281]", "net:[4026532281]"},
		"empty":                {"", ""},
		"letters of others":    {"größe-名前", "größe-名前"},
		"escape sequence":      {"\x1b[2Jpwned", `\x1b[2Jpwned`},
		"C1 control":           {"a\u009b31mb", `a\xc2\x9b31mb`},
		"line feed and bell":   {"a\n\a\r\tb", `a\x0a\x07\x0d\x09b`},
		"DEL":                  {"a\x7fb", `a\x7fb`},
		"right to left":        {"a\u202eb", `a\xe2\x80\xaeb`},
		"zero width":           {"a\u200bb", `a\xe2\x80\x8bb`},
		"line separator":       {"a\u2028b", `a\xe2\x80\xa8b`},
		"no-break space":       {"a\u00a0b", `a\xc2\xa0b`},
		"invalid UTF-8":        {"a\xff\xc3", `a\xff\xc3`},
		"replacement is legal": {"a\ufffdb", "a\ufffdb"},
		"backslash stays":      {`a\x1b`, `a\x1b`},
		"longest name":         {strings.Repeat("x", 253), strings.Repeat("x", 253)},
		"too long":             {strings.Repeat("x", 254), strings.Repeat("x", 253)},
		"cut before an escape": {strings.Repeat("x", 251) + "\x1b", strings.Repeat("x", 251)},
		"cut before a letter":  {strings.Repeat("x", 252) + "ö", strings.Repeat("x", 252)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sanitize(tt.in); got != tt.want {
				t.Errorf("sanitize(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestPrintableLines(t *testing.T) {
	long := strings.Repeat("x", 1000)
	in := "the log said:\n\t\x1b[2J" + long + "\r\n"
	want := "the log said:\n  \\x1b[2J" + long + "\\x0d\n"
	if got := printableLines(in); got != want {
		t.Errorf("printableLines(%q) = %q, want %q", in, got, want)
	}
}

func FuzzSanitize(f *testing.F) {
	for _, s := range []string{"web-0", "\x1b[2J", "\xff", "\u202e", strings.Repeat("é", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := sanitize(s)
		if len(got) > maxName || !utf8.ValidString(got) {
			t.Fatalf("sanitize(%q) = %q: %d bytes", s, got, len(got))
		}
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("sanitize(%q) = %q has %U", s, got, r)
			}
		}
		if again := sanitize(got); again != got {
			t.Fatalf("sanitize(sanitize(%q)) = %q, not %q", s, again, got)
		}
	})
}

// TestDecode shows that no string of a frame gets past the boundary.
func TestDecode(t *testing.T) {
	const evil = "\x1b]0;owned\a"
	info := metrics.Sandbox{
		Node: evil, Namespace: evil, Pod: evil, NetNS: evil, ControllerKind: evil, ControllerName: evil,
		UID: evil, Handler: evil, SharedWith: evil,
	}
	s := &metrics.Snapshot{Records: []metrics.Record{{Sandbox: info, Samples: []metrics.Sample{
		{Metric: known(t, "cosanet_sandbox_info"), Labels: info.InfoLabels(), Value: 1},
		{Metric: known(t, "cosanet_netdev_receive_bytes_total"), Labels: []metrics.Label{{Name: "cosanet_device", Value: evil}}, Value: 1},
	}}}}
	got, err := decode(metrics.NewFrame("run", s))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(metrics.Append(nil, got)); strings.ContainsAny(text, "\x1b\a") || strings.Count(text, `\\x1b]0;owned\\x07`) < 8 {
		t.Errorf("decoded text is not safe to print:\n%q", text)
	}
}

func known(t testing.TB, name string) *metrics.Metric {
	t.Helper()
	m, ok := metrics.Lookup(name)
	if !ok {
		t.Fatalf("the catalog has no %s", name)
	}
	return m
}
