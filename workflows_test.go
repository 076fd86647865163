package cosanet

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// workflow is as much of a GitHub workflow as this repository uses
// (https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax): any other key is an error.
type workflow struct {
	Name        string            `json:"name"`
	On          map[string]any    `json:"on"`
	Permissions map[string]string `json:"permissions"`
	Concurrency map[string]any    `json:"concurrency"`
	Jobs        map[string]job    `json:"jobs"`
}

type job struct {
	Uses           string            `json:"uses"` // another workflow, instead of steps
	Needs          []string          `json:"needs"`
	If             string            `json:"if"`
	RunsOn         string            `json:"runs-on"`
	TimeoutMinutes int               `json:"timeout-minutes"`
	Environment    string            `json:"environment"`
	Permissions    map[string]string `json:"permissions"`
	Strategy       map[string]any    `json:"strategy"`
	Steps          []step            `json:"steps"`
}

type step struct {
	ID    string            `json:"id"`
	Name  string            `json:"name"`
	If    string            `json:"if"`
	Uses  string            `json:"uses"`
	Run   string            `json:"run"`
	Shell string            `json:"shell"`
	Env   map[string]string `json:"env"`
	With  map[string]any    `json:"with"`
}

// TestWorkflows reads the workflows of the public CI as strictly as their place demands: they sign and publish.
func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob(".github/workflows/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatalf("workflows %v, %v: want ci.yml and release.yml", files, err)
	}
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	pins := map[string]string{} // action: its one commit
	goVersions := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w workflow
		if err := yaml.UnmarshalStrict(text, &w); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		checkPins(t, file, text, pins)
		if len(w.On) == 0 || w.On["pull_request_target"] != nil || w.On["workflow_run"] != nil {
			t.Errorf("%s: on %v: one that runs strangers' code with rights, or nothing", file, w.On)
		}
		if len(w.Permissions) != 1 || w.Permissions["contents"] != "read" {
			t.Errorf("%s: permissions %v: a job that needs more asks for it itself", file, w.Permissions)
		}
		for name, j := range w.Jobs {
			where := file + ", job " + name
			checkJob(t, where, w, j)
			for _, s := range j.Steps {
				checkStep(t, where, s, makefile)
				if strings.HasPrefix(s.Uses, "actions/setup-go@") {
					goVersions[s.With["go-version"].(string)] = true
				}
			}
		}
	}
	if len(goVersions) != 1 {
		t.Errorf("the jobs build with Go %v: other bytes with each", goVersions)
	}
}

// checkPins wants every action by a full commit, with its version beside it, and the same one everywhere.
func checkPins(t *testing.T, file string, text []byte, pins map[string]string) {
	t.Helper()
	pinned := regexp.MustCompile(`^([\w-]+/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)$`)
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:- )?uses:\s*(.*)$`).FindAllSubmatch(text, -1) {
		uses := string(bytes.TrimSpace(m[1]))
		if strings.HasPrefix(uses, "./") {
			if _, err := os.Stat(uses); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		pin := pinned.FindStringSubmatch(uses)
		if pin == nil {
			t.Errorf("%s: uses: %s: not OWNER/NAME@COMMIT # vX.Y.Z", file, uses)
			continue
		}
		if other := pins[pin[1]]; other != "" && other != pin[2] {
			t.Errorf("%s: %s is %s here and %s elsewhere", file, pin[1], pin[2], other)
		}
		pins[pin[1]] = pin[2]
	}
}

func checkJob(t *testing.T, where string, w workflow, j job) {
	t.Helper()
	for _, need := range j.Needs {
		if _, ok := w.Jobs[need]; !ok {
			t.Errorf("%s: needs %s, which is no job", where, need)
		}
	}
	if j.Uses != "" {
		return
	}
	if len(j.Steps) == 0 || j.TimeoutMinutes == 0 {
		t.Errorf("%s: no steps or no time limit", where)
	}
	if strings.HasSuffix(j.RunsOn, "-latest") || j.RunsOn == "" {
		t.Errorf("%s: runs-on %q: a machine that changes without a commit", where, j.RunsOn)
	}
}

func checkStep(t *testing.T, where string, s step, makefile []byte) {
	t.Helper()
	if (s.Uses == "") == (s.Run == "") {
		t.Errorf("%s: step %q: one of uses and run", where, s.Name)
	}
	if strings.Contains(s.Run, "${{") {
		t.Errorf("%s: step %q: an expression inside a script is run as code: hand it over in env", where, s.Name)
	}
	if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false {
		t.Errorf("%s: a checkout that leaves its token to all later steps", where)
	}
	for _, m := range regexp.MustCompile(`\bmake (?:--\S+ )*([a-z][a-z0-9-]*)`).FindAllStringSubmatch(s.Run, -1) {
		if !slices.ContainsFunc(strings.Split(string(makefile), "\n"), func(line string) bool { return strings.HasPrefix(line, m[1]+":") }) {
			t.Errorf("%s: make %s is no target of the Makefile", where, m[1])
		}
	}
}
