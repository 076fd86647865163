package plugin

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"kubectl-cosanet": func() { run(Arguments(os.Args)) },
		"kubectl":         func() { run(os.Args[2:]) }, // as kubectl runs the plugin that its first argument names
	})
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
			env.Setenv("KUBECONFIG", env.WorkDir+"/no-cluster")
			return nil
		},
	})
}
