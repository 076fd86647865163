package plugin

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){
		"kubectl-cosanet": func() { run(Arguments(os.Args)) },
		"kubectl":         func() { run(os.Args[2:]) }, // as kubectl runs the plugin that its first argument names
	})
}

// leakless fails tests that pass and leave goroutines behind: what a run starts ends with it.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	code := m.M.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func run(args []string) {
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	build := Build{Version: "v1.2.3", Image: "registry.example/cosanet:v1.2.3"}
	var ledger Ledger
	os.Exit(Main(UntilSignalled(&ledger, os.Stderr), build, streams, &ledger, args))
}

// TestScripts runs the commands over recorded frames, as they are typed, and compares what they print. Without a cluster
// in reach: what needs one fails, and says so.
func TestScripts(t *testing.T) {
	recording := chronicle(t, 13)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"fleet.prom", "once.prom"} {
				recorded, err := os.ReadFile("testdata/" + name)
				if err != nil {
					return err
				}
				if err := os.WriteFile(env.WorkDir+"/"+name, recorded, 0o644); err != nil {
					return err
				}
			}
			if err := os.WriteFile(env.WorkDir+"/recording.prom", recording, 0o644); err != nil {
				return err
			}
			env.Setenv("KUBECONFIG", env.WorkDir+"/no-cluster")
			return nil
		},
	})
}
