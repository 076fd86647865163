package collector

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func mustCompile(t *testing.T, s string) *regexp.Regexp {
	t.Helper()
	re, err := regexp.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return re
}

func TestParseProtocols(t *testing.T) {
	for text, want := range map[string][]Protocol{
		"tcp,udp":                  {TCP, UDP},
		"raw, tcp":                 {TCP, Raw},
		"udp,udp":                  {UDP},
		"tcp,udp,icmp,udplite,raw": AllProtocols(),
	} {
		if got, err := ParseProtocols(text); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "tcp,", "sctp", "TCP"} {
		if got, err := ParseProtocols(bad); err == nil {
			t.Errorf("%q: %v, want an error", bad, got)
		}
	}
}

func TestDeadline(t *testing.T) {
	if got := (&Config{Samples: 3, Interval: time.Second}).deadline(); got != time.Minute+3*time.Second {
		t.Errorf("default deadline %s", got)
	}
	if got := (&Config{Samples: 3, Deadline: time.Second}).deadline(); got != time.Second {
		t.Errorf("deadline %s", got)
	}
}

// TestChoice decides which fields a configuration asks for.
func TestChoice(t *testing.T) {
	original := mustCompile(t, "^(Tcp_((Act|Pass)iveOpens|CurrEstab)|Ip6_(In|Out)Octets|Udp6?_(In|Out)Datagrams)$")
	for _, test := range []struct {
		name               string
		config             Config
		file, proto, field string
		want               bool
	}{
		{"all", Config{Set: metrics.All}, "netstat", "TcpExt", "TCPAutoCorking", true},
		{"all, unknown", Config{Set: metrics.All}, "netstat", "TcpExt", "TCPTeleported", true},
		{"default", Config{Set: metrics.Default}, "snmp", "Tcp", "RetransSegs", true},
		{"default, not in it", Config{Set: metrics.Default}, "netstat", "TcpExt", "TCPAutoCorking", false},
		{"default, unknown", Config{Set: metrics.Default}, "netstat", "TcpExt", "TCPTeleported", false},
		{"errors", Config{Set: metrics.Errors}, "netstat", "TcpExt", "ListenDrops", true},
		{"errors, traffic", Config{Set: metrics.Errors}, "snmp", "Tcp", "InSegs", false},
		{"expression", Config{Set: metrics.Default, SnmpInclude: original}, "snmp", "Tcp", "ActiveOpens", true},
		{"expression over the set", Config{Set: metrics.All, SnmpInclude: original}, "snmp", "Tcp", "RetransSegs", false},
		{"expression on IPv6", Config{SnmpInclude: original}, "snmp6", "Ip6", "InOctets", true},
		{"expression of the other file", Config{Set: metrics.Default, SnmpInclude: original}, "netstat", "TcpExt", "ListenDrops", true},
		{"netstat's expression", Config{Set: metrics.Default, NetstatInclude: mustCompile(t, "^TcpExt_TCPTele")}, "netstat", "TcpExt", "TCPTeleported", true},
	} {
		if got := newFamilies(&test.config).field(test.file, test.proto, test.field) != nil; got != test.want {
			t.Errorf("%s: %s_%s asked for: %v, want %v", test.name, test.proto, test.field, got, test.want)
		}
	}
}
