package plugin

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestColumnsAreOfTheCatalog keeps the formulas and the catalog together: the families exist, are of one type and unit,
// and what the default table needs is in the default set.
func TestColumnsAreOfTheCatalog(t *testing.T) {
	keys := map[string]bool{}
	for _, c := range builtin() {
		if c.text != nil {
			continue
		}
		if keys[c.key] || keys[c.name] || c.key == "" || c.meaning == "" {
			t.Errorf("column %s: key %q is taken or something is missing", c.name, c.key)
		}
		keys[c.key], keys[c.name] = true, true
		first := known(t, c.sum[0])
		for _, name := range c.families() {
			m := known(t, name)
			if m.Type != first.Type || (m.Unit == "bytes") != c.bytes {
				t.Errorf("column %s (bytes: %v) adds up %s %s and %s %s", c.name, c.bytes, first.Type, first.Unit, m.Type, m.Unit)
			}
			if c.shown != inSockets && !m.In(metrics.Default) && optionalSource(name) == "" {
				t.Errorf("column %s needs %s, which is not in the default set", c.name, m.Name)
			}
		}
		if c.mark.warn > c.mark.bad {
			t.Errorf("column %s is bad before it is worth a look: %+v", c.name, c.mark)
		}
	}
}

func TestParseColumns(t *testing.T) {
	tests := map[string]struct {
		list    string
		want    string // headers as rates
		wantSet metrics.Set
		err     string
	}{
		"known ones":                  {list: "in,Retr%,EST", want: "IN/s RETR% EST", wantSet: metrics.Default},
		"as their headers":            {list: "IN/s,listendrop/s", want: "IN/s LISTENDROP/s", wantSet: metrics.Default},
		"spaces":                      {list: " IN , OUT ", want: "IN/s OUT/s", wantSet: metrics.Default},
		"metrics":                     {list: "Tcp_InSegs,cosanet_conntrack_curr", want: "Tcp_InSegs/s conntrack_curr", wantSet: metrics.Default},
		"beyond the default set":      {list: "TcpExt_DelayedACKs", want: "TcpExt_DelayedACKs/s", wantSet: metrics.All},
		"sockets are asked for apart": {list: "CLOSEWAIT", want: "CLOSEWAIT", wantSet: metrics.Default},
		"numbered ICMP types":         {list: "IcmpMsg_InType3", want: "IcmpMsg_InType3/s", wantSet: metrics.All},
		"label values":                {list: "proc_net_tcp{LISTEN,ipv4},IN", want: "proc_net_tcp{LISTEN,ipv4} IN/s", wantSet: metrics.Default},
		"unknown":                     {list: "IN,Tcp_Nonsense", err: `unknown column "Tcp_Nonsense"`},
		"empty":                       {list: ",", err: "names no column"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			columns, err := parseColumns(tt.list)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var headers []string
			for _, c := range columns {
				headers = append(headers, c.header(true))
			}
			if diff := cmp.Diff(tt.want, strings.Join(headers, " ")); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
			if got := set(columns, metrics.Default); got != tt.wantSet {
				t.Errorf("needs set %s, want %s", got, tt.wantSet)
			}
		})
	}
}
