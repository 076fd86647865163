package plugin

import (
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

func TestNumber(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{0, "0"}, {1, "1"}, {12, "12"}, {0.04, "<0.1"}, {0.05, "0.1"}, {0.25, "0.2"}, {0.96, "1"}, {9.96, "10"}, {99.94, "99.9"},
		{100.4, "100"}, {123456.7, "123457"}, {18446744073709551615, "18446744073709551616"}, {-1, "-1"}, {-0.01, "-<0.1"}, {-2.5, "-2.5"},
	}
	for _, tt := range tests {
		if got := number(tt.v); got != tt.want {
			t.Errorf("number(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
}

func TestSize(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{0, "0"}, {1, "1"}, {0.3, "0.3"}, {999, "999"}, {999.4, "999"}, {1000, "1.0Ki"}, {1024, "1.0Ki"}, {10 * 1024, "10Ki"}, {9.96 * 1024, "10Ki"},
		{999.6 * 1024, "1.0Mi"}, {1.5 * 1024 * 1024, "1.5Mi"}, {1 << 62, "4.0Ei"}, {-2048, "-2.0Ki"},
	}
	for _, tt := range tests {
		if got := size(tt.v); got != tt.want {
			t.Errorf("size(%v) = %q, want %q", tt.v, got, tt.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for v, want := range map[float64]string{0: "0%", 0.01: "<0.1%", 0.16: "0.2%", 2.75: "2.8%", 9.94: "9.9%", 9.96: "10%", 83.9: "84%", 300: "300%"} {
		if got := percent(v); got != want {
			t.Errorf("percent(%v) = %q, want %q", v, got, want)
		}
	}
}

func TestMarks(t *testing.T) {
	hostBox := metrics.Sandbox{Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace}
	tests := map[string]struct {
		counts counted
		box    metrics.Sandbox
		totals bool
		column string
		want   cell
	}{
		"below":                   {counts: counted{"TcpExt_ListenDrops": 0.5}, column: "LISTENDROP", want: cell{"0.5", calm}},
		"worth a look":            {counts: counted{"TcpExt_ListenDrops": 1}, column: "LISTENDROP", want: cell{"1!", warn}},
		"bad":                     {counts: counted{"TcpExt_ListenDrops": 5}, column: "LISTENDROP", want: cell{"5!!", bad}},
		"totals say nothing":      {counts: counted{"TcpExt_ListenDrops": 5}, totals: true, column: "LISTENDROP", want: cell{"5", calm}},
		"a share of totals does":  {counts: counted{"Tcp_OutSegs": 100, "Tcp_RetransSegs": 5}, totals: true, column: "RETR%", want: cell{"5%!!", bad}},
		"a pod's conntrack":       {counts: counted{"conntrack_curr": 99, "conntrack_max": 100}, column: "CT", want: cell{"99", calm}},
		"a node's conntrack":      {counts: counted{"conntrack_curr": 74, "conntrack_max": 100}, box: hostBox, column: "CT", want: cell{"74(74%)", calm}},
		"a node's, filling":       {counts: counted{"conntrack_curr": 75, "conntrack_max": 100}, box: hostBox, column: "CT", want: cell{"75(75%)!", warn}},
		"a node's, full":          {counts: counted{"conntrack_curr": 95, "conntrack_max": 100}, box: hostBox, totals: true, column: "CT", want: cell{"95(95%)!!", bad}},
		"a node's, without limit": {counts: counted{"conntrack_curr": 95}, box: hostBox, column: "CT", want: cell{"95", calm}},
		"absent":                  {counts: counted{}, column: "CT", want: cell{"-", calm}},
		"zero":                    {counts: counted{"conntrack_curr": 0}, column: "CT", want: cell{"0", calm}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := parseColumn(tt.column)
			if err != nil {
				t.Fatal(err)
			}
			m := member{box: tt.box}
			zero := counted{}
			for name := range tt.counts {
				zero[name] = 0
			}
			first, last := m.record(t, zero), m.record(t, tt.counts)
			r := &row{Namespace: tt.box.Namespace, first: &first, last: &last, window: time.Second}
			if tt.totals {
				r.window = 0
			}
			if got := c.cell(r); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestPaint(t *testing.T) {
	for c, want := range map[cell]string{{"7", calm}: "7", {"7!", warn}: "\x1b[33m7!\x1b[0m", {"7!!", bad}: "\x1b[31m7!!\x1b[0m"} {
		if got := c.paint(true); got != want {
			t.Errorf("%+v painted: %q, want %q", c, got, want)
		}
		if got := c.paint(false); got != c.text {
			t.Errorf("%+v not painted: %q, want its text", c, got)
		}
	}
}
