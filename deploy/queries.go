package deploy

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// Monitoring holds what goes into Prometheus and Grafana: prometheus/rules.yaml (cut out of the PrometheusRule of
// components/prometheus-operator), prometheus/scrape.yaml and dashboards/cosanet.json.
//
//go:embed prometheus dashboards
var Monitoring embed.FS

// Query is one expression that the dashboard or an alert asks of Prometheus.
type Query struct {
	Name string // "panel Loss: B", "alert CosanetRetransmits: warning", "variable node"
	Expr string // PromQL, without any variable of Grafana's
}

// Queries returns every expression of the dashboard, its variables included, and of the rules. Each variable stands for
// everything, and the rate interval is as long as that of the rules, so that each answers where its data is there.
func Queries() ([]Query, error) {
	panels, err := panelQueries()
	if err != nil {
		return nil, err
	}
	alerts, err := alertQueries()
	return append(panels, alerts...), err
}

// dashboard is what is read of Grafana's JSON model.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
	Panels []struct {
		Title   string
		Targets []struct{ RefID, Expr string }
	}
}

func panelQueries() ([]Query, error) {
	text, err := Monitoring.ReadFile("dashboards/cosanet.json")
	if err != nil {
		return nil, err
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	var queries []Query
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		var ask struct{ Query string }
		if err := json.Unmarshal(v.Query, &ask); err != nil {
			return nil, fmt.Errorf("reading the variable %s of the dashboard: %w", v.Name, err)
		}
		inner, ok := strings.CutPrefix(strings.TrimSuffix(ask.Query, ")"), "label_values(")
		comma := strings.LastIndex(inner, ", ")
		if !ok || comma < 0 {
			return nil, fmt.Errorf("reading the variable %s of the dashboard: %q is no label_values(series, label)", v.Name, ask.Query)
		}
		series, label := inner[:comma], inner[comma+2:]
		queries = append(queries, Query{"variable " + v.Name, fmt.Sprintf("count by (%s) (%s)", label, everything.Replace(series))})
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries = append(queries, Query{"panel " + p.Title + ": " + target.RefID, everything.Replace(target.Expr)})
		}
	}
	return queries, nil
}

// everything takes Grafana's variables out of an expression.
var everything = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$node", ".*", "$namespace", ".*", "$pod", ".*")

// ruleFile is what is read of a rules file.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

// rule is one alert.
type rule struct {
	Alert       string
	Expr        string
	For         string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts() ([]rule, error) {
	text, err := Monitoring.ReadFile("prometheus/rules.yaml")
	if err != nil {
		return nil, err
	}
	var file ruleFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("reading the rules: %w", err)
	}
	var all []rule
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}

func alertQueries() ([]Query, error) {
	all, err := alerts()
	var queries []Query
	for _, r := range all {
		queries = append(queries, Query{"alert " + r.Alert + ": " + r.Labels["severity"], r.Expr})
	}
	return queries, err
}
