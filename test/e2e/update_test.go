package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/deploy"
	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// All rules evaluate, and the one that is about full listen queues is active for the pod whose queue is full, and for no
// other pod of the suite.
func (c *cluster) testRules(t *testing.T, p *prometheus) {
	type alert struct {
		Labels map[string]string
		State  string
	}
	var groups struct {
		Groups []struct {
			Rules []struct {
				Name, Health, LastError string
				Alerts                  []alert
			}
		}
	}
	embedded.Eventually(t, "every rule is evaluated, and CosanetListenOverflows is active for full-queue alone", func() error {
		if err := p.get("/api/v1/rules", &groups); err != nil {
			return err
		}
		var pods []string
		for _, g := range groups.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
				for _, a := range r.Alerts {
					if r.Name == "CosanetListenOverflows" && a.Labels["cosanet_namespace"] == namespace {
						pods = append(pods, a.Labels["cosanet_pod"])
					}
				}
			}
		}
		if !slices.Equal(slices.Compact(pods), []string{"full-queue"}) {
			return fmt.Errorf("active for %q", pods)
		}
		return nil
	})
}

// Prometheus takes every query of the dashboard and of the rules. Those that are about what is on every node have an answer.
func (c *cluster) testQueries(t *testing.T, p *prometheus) {
	queries, err := deploy.Queries()
	if err != nil {
		t.Fatal(err)
	}
	answered := 0
	for _, q := range queries {
		found, err := p.query(q.Expr)
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
		}
		if len(found) > 0 {
			answered++
		} else if !strings.HasPrefix(q.Name, "alert ") {
			t.Logf("no data for %s: %s", q.Name, q.Expr)
		}
	}
	if answered < 20 {
		t.Errorf("%d of %d queries have an answer", answered, len(queries))
	}
}

// An update that changes the exporters' arguments leaves no gap of more than two scrape intervals in the series of any node.
func (c *cluster) testUpdate(t *testing.T, p *prometheus) {
	c.Cosanet(t, 0, "serve", "--metrics", "all")
	embedded.Eventually(t, "both exporters count everything", func() error {
		got, err := p.one(`count(count by (cosanet_node) (cosanet_proc_net_snmp_Ip_DefaultTTL{job="cosanet"}))`)
		if err == nil && got != 2 {
			err = fmt.Errorf("%v nodes", got)
		}
		return err
	})
	c.Must(t, "-n", "cosanet", "rollout", "status", "daemonset/cosanet-exporter", "--timeout=2m")
	embedded.Eventually(t, "the exporters of before are gone", func() error {
		if n := len(c.targets()); n != 2 {
			return fmt.Errorf("%d exporters", n)
		}
		return nil
	})
	time.Sleep(3 * scrapeInterval) // what comes after the change belongs to it
	found, err := p.query(`cosanet_walk_timestamp_seconds{job="cosanet"}[3m]`)
	if err != nil {
		t.Fatal(err)
	}
	scrapes, instances := map[string][]float64{}, map[string]bool{}
	for _, s := range found {
		instances[s.Labels["instance"]] = true
		for _, point := range s.Points {
			scrapes[s.Labels["cosanet_node"]] = append(scrapes[s.Labels["cosanet_node"]], point.at)
		}
	}
	if len(instances) < 4 || len(scrapes) != 2 {
		t.Fatalf("%d exporters on %d nodes were scraped, want an old and a new one on each of 2", len(instances), len(scrapes))
	}
	for node, at := range scrapes {
		slices.Sort(at)
		for i := range at[1:] {
			if gap := at[i+1] - at[i]; gap > 2*scrapeInterval.Seconds()+0.1 {
				t.Errorf("%s: %.1f s without a sample, want at most two scrape intervals of %s", node, gap, scrapeInterval)
			}
		}
	}
}

// The exporter without any capability knows pods by UID alone; the views join their names.
func (c *cluster) testRestrictedExporter(t *testing.T) {
	c.Cosanet(t, 0, "serve", "--profile", "restricted")
	r := c.Cosanet(t, 0, "top", "-n", namespace, "--source", "exporter", "--no-headers")
	for _, pod := range []string{"quiet-1", "quiet-2", "full-queue"} {
		if !strings.Contains(r.Stdout, pod) {
			t.Errorf("no row of %s:\n%s%s", pod, r.Stdout, r.Stderr)
		}
	}
	c.WantNothingLeft(t)
}

// What serve applied is taken away, and views make pods again.
func (c *cluster) testRemove(t *testing.T) {
	c.Cosanet(t, 0, "serve", "--remove")
	for _, object := range []string{"namespace/cosanet", "-n=cosanet daemonset/cosanet-exporter", "-n=cosanet service/cosanet-exporter"} {
		if left := c.Must(t, append([]string{"get", "--ignore-not-found", "-o", "name"}, strings.Fields(object)...)...); left != "" {
			t.Errorf("%s is left behind", left)
		}
	}
	if r := c.Cosanet(t, 0, "serve", "--remove"); !strings.Contains(r.Stderr, "No resources found") {
		t.Errorf("removing what is not there says %q", r.Stderr)
	}
	if r := c.Cosanet(t, 1, "top", "-n", namespace, "--source", "exporter"); !strings.Contains(r.Stderr, "kubectl cosanet serve") {
		t.Errorf("without an exporter, --source exporter says %q", r.Stderr)
	}
	c.Cosanet(t, 0, "top", "-n", namespace, "quiet-1")
	c.WantNothingLeft(t)
}
