package deploy

import (
	"flag"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/golden"
)

var update = flag.Bool("update", false, "write prometheus/rules.yaml anew")

// TestRulesAreThoseOfTheOperator keeps prometheus/rules.yaml the spec of the PrometheusRule, comments included.
func TestRulesAreThoseOfTheOperator(t *testing.T) {
	object, err := Files.ReadFile("components/prometheus-operator/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, spec, ok := strings.Cut(string(object), "\nspec:\n")
	if !ok {
		t.Fatal("the PrometheusRule has no spec")
	}
	want := "# Cut out of components/prometheus-operator/prometheusrule.yaml by \"go test ./deploy -update\". Do not edit.\n" +
		regexp.MustCompile(`(?m)^  `).ReplaceAllString(spec, "")
	golden.File(t, "prometheus/rules.yaml", want, *update)
}

// TestPromtool has promtool check the rules and evaluate every alert.
func TestPromtool(t *testing.T) {
	promtool := program(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", "prometheus/rules.yaml"},
		{"test", "rules", "testdata/rules_test.yaml"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
				t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		})
	}
}

// TestEveryAlertIsTested wants each alert among those that testdata/rules_test.yaml makes fire.
func TestEveryAlertIsTested(t *testing.T) {
	text, err := os.ReadFile("testdata/rules_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			PromQL []struct {
				Samples []struct{ Labels string } `json:"exp_samples"`
			} `json:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	fired := map[string]bool{}
	name, severity := regexp.MustCompile(`alertname="(\w+)"`), regexp.MustCompile(`severity="(\w+)"`)
	for _, test := range file.Tests {
		for _, ask := range test.PromQL {
			for _, s := range ask.Samples {
				if n, sev := name.FindStringSubmatch(s.Labels), severity.FindStringSubmatch(s.Labels); n != nil && sev != nil {
					fired[n[1]+" "+sev[1]] = true
				}
			}
		}
	}
	var want, got []string
	for _, r := range ruleList(t) {
		want = append(want, r.Alert+" "+r.Labels["severity"])
	}
	for f := range fired {
		got = append(got, f)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts (-) and those that the test makes fire (+):\n%s", diff)
	}
}

// TestFindings wants a section of docs/findings.md for every alert, and each alert to say where its section is; and for every
// section, which the rules of explain have too (a test of pkg/plugin), an alert or the reason why there is none.
func TestFindings(t *testing.T) {
	text, err := os.ReadFile("../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(text), "\n### ") {
		heading, rest, _ := strings.Cut(section, "\n")
		rest, _, _ = strings.Cut(rest, "\n## ")
		sections[heading] = rest
	}
	alerts := map[string]string{} // expressions of all levels
	for _, r := range ruleList(t) {
		alerts[r.Alert] += r.Expr + "\n"
		for _, annotation := range []string{"summary", "description", "runbook_url"} {
			if r.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", r.Alert, annotation)
			}
		}
		// GitHub's anchor of a heading of one word is the word in lower case.
		url := "https://github.com/cosanet/kubectl-cosanet/blob/main/docs/findings.md#" + strings.ToLower(r.Alert)
		if r.Annotations["runbook_url"] != url {
			t.Errorf("%s: runbook_url %s, want %s", r.Alert, r.Annotations["runbook_url"], url)
		}
		if !slices.Contains([]string{"info", "warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
	}
	for alert := range alerts {
		if _, ok := sections[alert]; !ok {
			t.Errorf("docs/findings.md has no section %s", alert)
		}
	}
	of := regexp.MustCompile(`(?m)^\*\*Alert\.\*\* (.*)$`)
	for heading, section := range sections {
		if !strings.HasPrefix(heading, "Cosanet") {
			continue
		}
		for _, part := range []string{"**Means.**", "**Threshold.**", "**Look at.**", "**Next.**", "```\n"} {
			if !strings.Contains(section, part) {
				t.Errorf("docs/findings.md, %s: no %q", heading, part)
			}
		}
		said := ""
		if m := of.FindStringSubmatch(section); m != nil {
			said = m[1]
		}
		expr, has := alerts[heading]
		if none := strings.HasPrefix(said, "None: "); none == has {
			t.Errorf("docs/findings.md, %s: an alert: %v, and it says %q: one of an alert and a reason why there is none", heading, has, said)
		}
		if want := switchFor(expr); has && (want != "") != (said != "") || !strings.Contains(said, want) {
			t.Errorf("docs/findings.md, %s: its alert wants the exporter's switch %q, and it says %q", heading, want, said)
		}
	}
}

// switches are those of the exporter without which it has no family whose name begins so.
var switches = map[string]string{
	"cosanet_listen_":          "--collector.listen.enabled",
	"cosanet_proc_net_tcp":     "--collector.sockproto.enabled",
	"cosanet_ports_":           "--collector.ports.enabled",
	"cosanet_conntrack_owned_": "--collector.conntrack-owners.enabled",
}

// switchOf is the one for a family, empty where there is none.
func switchOf(family string) string {
	for prefix, of := range switches {
		if strings.HasPrefix(family, prefix) {
			return of
		}
	}
	return ""
}

// switchFor is the one that an expression needs, empty where the exporter serves all of it by itself.
func switchFor(expr string) (needed string) {
	for _, name := range regexp.MustCompile(`\bcosanet_\w+`).FindAllString(expr, -1) {
		if _, ok := metrics.Lookup(name); ok && switchOf(name) != "" {
			needed = switchOf(name)
		}
	}
	return needed
}

func ruleList(t testing.TB) []rule {
	t.Helper()
	all, err := alerts()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

// program finds a program of the tests: in PATH, or where make deps puts it.
func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if path, err := exec.LookPath("../bin/tools/" + name); err == nil {
		return path
	}
	mustHave(t, name+" is missing: make deps")
	return ""
}
