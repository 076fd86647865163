package plugin

import (
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestReadings(t *testing.T) {
	netdev := "netdev_receive_bytes_total"
	tests := map[string]struct {
		first, last counted // a nil first is a pod that began within the window
		failed      []string
		window      time.Duration
		reborn      bool
		column      string
		want        reading
	}{
		"a counter's rate":            {first: counted{"Tcp_OutSegs": 100}, last: counted{"Tcp_OutSegs": 150}, window: 2 * time.Second, column: "Tcp_OutSegs", want: reading{present, 25}},
		"a counter that stood still":  {first: counted{"Tcp_OutSegs": 100}, last: counted{"Tcp_OutSegs": 100}, window: time.Second, column: "Tcp_OutSegs", want: reading{present, 0}},
		"a counter's total":           {last: counted{"Tcp_OutSegs": 150}, column: "Tcp_OutSegs", want: reading{present, 150}},
		"a counter that fell":         {first: counted{"Tcp_OutSegs": 100}, last: counted{"Tcp_OutSegs": 3}, window: time.Second, column: "Tcp_OutSegs", want: reading{state: reset}},
		"a namespace made anew":       {first: counted{"Tcp_OutSegs": 1}, last: counted{"Tcp_OutSegs": 100}, window: time.Second, reborn: true, column: "Tcp_OutSegs", want: reading{state: reset}},
		"a gauge is its last value":   {first: counted{"Tcp_CurrEstab": 9}, last: counted{"Tcp_CurrEstab": 4}, window: time.Second, reborn: true, column: "EST", want: reading{present, 4}},
		"a pod of half a window":      {last: counted{"Tcp_OutSegs": 100}, window: time.Second, column: "Tcp_OutSegs", want: reading{state: absent}},
		"not in this kernel":          {first: counted{}, last: counted{}, window: time.Second, column: "Tcp_OutSegs", want: reading{state: absent}},
		"not readable":                {first: counted{}, last: counted{}, failed: []string{"snmp"}, window: time.Second, column: "Tcp_OutSegs", want: reading{state: unreadable}},
		"another file not readable":   {first: counted{}, last: counted{}, failed: []string{"snmp6", "netstat"}, window: time.Second, column: "Tcp_OutSegs", want: reading{state: absent}},
		"sockets not readable":        {last: counted{}, failed: []string{"sockets"}, column: "CLOSEWAIT", want: reading{state: unreadable}},
		"a sum of families":           {last: counted{"IpExt_InOctets": 5, "Ip6_InOctets": 7}, column: "IN", want: reading{present, 12}},
		"a sum without IPv6":          {last: counted{"IpExt_InOctets": 5}, column: "IN", want: reading{present, 5}},
		"a sum with a part unread":    {last: counted{"IpExt_InOctets": 5}, failed: []string{"snmp6"}, column: "IN", want: reading{state: unreadable}},
		"a sum with a part fallen":    {first: counted{"IpExt_InOctets": 5, "Ip6_InOctets": 7}, last: counted{"IpExt_InOctets": 9, "Ip6_InOctets": 1}, window: time.Second, column: "IN", want: reading{state: reset}},
		"a labelled family":           {first: counted{netdev + "{eth0}": 1, netdev + "{lo}": 1}, last: counted{netdev + "{eth0}": 11, netdev + "{lo}": 6}, window: time.Second, column: netdev, want: reading{present, 15}},
		"one series of it":            {first: counted{netdev + "{eth0}": 1, netdev + "{lo}": 1}, last: counted{netdev + "{eth0}": 11, netdev + "{lo}": 6}, window: time.Second, column: netdev + "{eth0}", want: reading{present, 10}},
		"a device of half a window":   {first: counted{}, last: counted{netdev + "{eth1}": 11}, window: time.Second, column: netdev, want: reading{state: absent}},
		"a share":                     {first: counted{"Tcp_OutSegs": 0, "Tcp_RetransSegs": 0}, last: counted{"Tcp_OutSegs": 200, "Tcp_RetransSegs": 3}, window: 2 * time.Second, column: "RETR%", want: reading{present, 1.5}},
		"a share of totals":           {last: counted{"Tcp_OutSegs": 200, "Tcp_RetransSegs": 3}, column: "RETR%", want: reading{present, 1.5}},
		"a share of too little":       {first: counted{"Tcp_OutSegs": 0, "Tcp_RetransSegs": 0}, last: counted{"Tcp_OutSegs": 9, "Tcp_RetransSegs": 3}, window: 2 * time.Second, column: "RETR%", want: reading{state: absent}},
		"a share of just enough":      {first: counted{"Tcp_OutSegs": 0, "Tcp_RetransSegs": 0}, last: counted{"Tcp_OutSegs": 10, "Tcp_RetransSegs": 1}, window: 4 * time.Second, column: "RETR%", want: reading{present, 10}},
		"a share of something fallen": {first: counted{"Tcp_OutSegs": 9, "Tcp_RetransSegs": 0}, last: counted{"Tcp_OutSegs": 1, "Tcp_RetransSegs": 3}, window: time.Second, column: "RETR%", want: reading{state: reset}},
		"a field nobody knows":        {first: counted{}, last: counted{}, window: time.Second, column: "TcpExt_ListenDrops", want: reading{state: absent}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := member{failed: tt.failed}
			last := m.record(t, tt.last)
			r := &row{last: &last, window: tt.window, reborn: tt.reborn}
			if tt.first != nil {
				first := m.record(t, tt.first)
				r.first = &first
			}
			c, err := parseColumn(tt.column)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.read(r); got != tt.want {
				t.Errorf("%s reads %+v, want %+v", tt.column, got, tt.want)
			}
		})
	}
}

// An unknown field has no type: to make a rate of it would be a guess.
func TestUnknownFieldIsItsValue(t *testing.T) {
	m := metrics.Unknown("cosanet_proc_net_netstat_TcpExt_NewField", "/proc/net/netstat TcpExt NewField")
	first := metrics.Record{Samples: []metrics.Sample{{Metric: m, Value: 5}}}
	last := metrics.Record{Samples: []metrics.Sample{{Metric: m, Value: 3}}}
	r := &row{first: &first, last: &last, window: time.Second}
	if got, want := r.sumOf(m.Name), (reading{present, 3}); got != want {
		t.Errorf("reads %+v, want %+v", got, want)
	}
}
