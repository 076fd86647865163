package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "top", 3}, {"top", "top", 0}, {"tpo", "top", 1}, {"tp", "top", 1}, {"topp", "top", 1},
		{"kitten", "sitting", 3}, {"ca", "abc", 3}, {"interval", "internal", 1},
	} {
		for _, pair := range [][2]string{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := distance(pair[0], pair[1]); got != tt.want {
				t.Errorf("distance(%q, %q) = %d, want %d", pair[0], pair[1], got, tt.want)
			}
		}
	}
}

func TestNearest(t *testing.T) {
	flags := []string{"all-namespaces", "all-nodes", "columns", "interval", "namespace", "node", "output", "selector", "sort-by"}
	tests := map[string][]string{
		"colunms":        {"columns"},
		"nodes":          {"node"},
		"namespaces":     {"namespace"},
		"all-namespace":  {"all-namespaces"},
		"all":            {"all-namespaces", "all-nodes"},
		"OUTPUT":         {"output"},
		"sortby":         {"sort-by"},
		"watch":          nil,
		"x":              nil,
		"completely-off": nil,
	}
	for word, want := range tests {
		if diff := cmp.Diff(want, nearest(word, flags)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", word, diff)
		}
	}
}
