package deploy

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// TestDashboard guards the JSON by hand where Grafana would be silent: it takes any file and shows empty panels.
func TestDashboard(t *testing.T) {
	text, err := Monitoring.ReadFile("dashboards/cosanet.json")
	if err != nil {
		t.Fatal(err)
	}
	type source struct{ Type, UID string }
	var d struct {
		UID, Title    string
		SchemaVersion int
		ID            *int
		Templating    struct {
			List []struct {
				Name, Type string
				Datasource source
			}
		}
		Panels []struct {
			ID         int
			Type       string
			Title      string
			Datasource source
			GridPos    struct{ H, W, X, Y int }
			Targets    []struct {
				RefID, Expr  string
				LegendFormat string
				Instant      bool
				Datasource   source
			}
			FieldConfig struct{ Defaults struct{ Unit string } }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	if d.UID != "cosanet" || d.Title == "" || d.SchemaVersion < 39 || d.ID != nil {
		t.Errorf("uid %q, title %q, schemaVersion %d, id %v: a fixed uid, a title, at least 39 and no id", d.UID, d.Title, d.SchemaVersion, d.ID)
	}
	defined := []string{"__rate_interval", "datasource"}
	for _, v := range d.Templating.List {
		defined = append(defined, v.Name)
		if v.Type == "query" && v.Datasource.UID != "${datasource}" {
			t.Errorf("variable %s asks %q", v.Name, v.Datasource.UID)
		}
	}
	ids, titles := map[int]bool{}, map[string]bool{}
	covered := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || titles[p.Title] || p.Title == "" {
			t.Errorf("panel %d %q: id or title is not unique", p.ID, p.Title)
		}
		ids[p.ID], titles[p.Title] = true, true
		for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				if other := covered[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies over %q or beyond the right edge", p.Title, other)
				}
				covered[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if !slices.Contains([]string{"timeseries", "stat", "table"}, p.Type) {
			t.Errorf("panel %q is a %s", p.Title, p.Type)
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("panel %q: datasource %q, %d targets, unit %q", p.Title, p.Datasource.UID, len(p.Targets), p.FieldConfig.Defaults.Unit)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource.UID != "${datasource}" || refs[target.RefID] || target.Instant != (p.Type != "timeseries") {
				t.Errorf("panel %q, %s: datasource, refId or instant is wrong", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			for _, v := range regexp.MustCompile(`\$(\w+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !slices.Contains(defined, v[1]) {
					t.Errorf("panel %q: no variable %s", p.Title, v[1])
				}
			}
			for _, l := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				// What an expression gives is what its aggregation keeps, or of a plain one the target's labels.
				if !strings.Contains(target.Expr, l[1]) && l[1] != "instance" {
					t.Errorf("panel %q: the legend shows %s, which %s does not give", p.Title, l[1], target.Expr)
				}
			}
		}
	}
}

// TestQueriesKnowTheCatalog wants every metric of a query in the default set, or that of an alert behind a switch that its
// section names, with the labels that it is asked for, counters as rates and gauges as values.
func TestQueriesKnowTheCatalog(t *testing.T) {
	queries, err := Queries()
	if err != nil {
		t.Fatal(err)
	}
	var (
		token    = regexp.MustCompile(`\bcosanet_\w+`)
		rated    = regexp.MustCompile(`\b(?:rate|increase)\((cosanet_\w+)`)
		selector = regexp.MustCompile(`\b(cosanet_\w+)\{([^}]*)\}`)
		matcher  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
		grouping = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	)
	identity := []string{"cosanet_node", "cosanet_namespace", "cosanet_pod", "cosanet_netnsname", "cosanet_pod_controller_kind", "cosanet_pod_controller_name"}
	ofTarget := []string{"job", "instance"}
	seen := 0
	for _, q := range queries {
		counts, rates := map[string]int{}, map[string]int{}
		var known []string // labels of all metrics of the query
		for _, name := range token.FindAllString(q.Expr, -1) {
			if slices.Contains(identity, name) || labelValues[name] != "" {
				continue
			}
			m, ok := metrics.Lookup(name)
			asked := strings.HasPrefix(q.Name, "alert ") && switchOf(name) != "" // its section says so (TestFindings)
			if !ok || !m.In(metrics.Default) && !asked {
				t.Errorf("%s: %s is not in the default set of the catalog", q.Name, name)
				continue
			}
			counts[name]++
			known = append(known, m.Labels...)
			known = append(known, "cosanet_node")
			if !ofSelf(m) {
				known = append(known, identity...)
			}
		}
		for _, m := range rated.FindAllStringSubmatch(q.Expr, -1) {
			rates[m[1]]++
		}
		for name, n := range counts {
			seen++
			m, _ := metrics.Lookup(name)
			if want := map[bool]int{true: n}[m.Type == metrics.Counter]; rates[name] != want {
				t.Errorf("%s: %s is a %s and has %d rates in %d uses", q.Name, name, m.Type, rates[name], n)
			}
		}
		for _, s := range selector.FindAllStringSubmatch(q.Expr, -1) {
			m, ok := metrics.Lookup(s[1])
			for _, label := range matcher.FindAllStringSubmatch(s[2], -1) {
				if ok && !slices.Contains(m.Labels, label[1]) && (ofSelf(m) && label[1] != "cosanet_node" || !slices.Contains(identity, label[1])) {
					t.Errorf("%s: %s has no label %s", q.Name, s[1], label[1])
				}
			}
		}
		for _, g := range grouping.FindAllStringSubmatch(q.Expr, -1) {
			for label := range strings.SplitSeq(g[1], ", ") {
				if label != "" && !slices.Contains(known, label) && !slices.Contains(ofTarget, label) {
					t.Errorf("%s: nothing in it has the label %s", q.Name, label)
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d uses of metrics found: the patterns of this test are stale", seen)
	}
}
