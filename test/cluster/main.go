// Command cluster brings up a real Kubernetes of several nodes on one bare Linux machine, and takes it down again
// without a trace. It needs root, containerd and the Go toolchain, and neither Docker nor an image registry.
//
// The control plane is one static binary built from Kubernetes' own Go modules (kube/main.go). A node is a process
// tree in its own pid, mount, network and host name namespaces, with its own containerd and kubelet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usageText = `usage: cluster VERB [FLAG...] [ARG...]

  up [--nodes N] [--image FILE.tar]...  bring the cluster up, or check the one that is up, and import images;
     [--runtime NAME]...                with containerd-2 or cri-o, built from its Go module, on the last node,
                                        or of several one each on the last nodes
  down                                  end everything that up started, and remove its folder
  status                                what runs, and whether the nodes are Ready
  import FILE.tar...                    import image archives (docker or OCI) into every node
  hollow N [FLAG...]                    make it N hollow nodes, none for 0; see bin/hollow --help for the flags
  exec NODE -- CMD [ARG...]             run a command in a node's pid, mount, network and host name namespaces
  env                                   print the exports that put kubectl and its kubeconfig into a shell
  kubeconfig                            print the kubeconfig's path

Every verb takes:
  --name NAME  the cluster's name, which its interfaces, cgroups and folder carry (default cosanet)
  --dir DIR    the folder for its state (default $COSANET_CLUSTER_DIR, else
               /run/kubectl-cosanet-cluster, with -NAME behind it for another name)
`

// usageError is a mistake in the command line: it ends the program with exit code 2.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	// SIGHUP too: a closed terminal must not leave half a cluster.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var usage usageError
	switch {
	case err == nil:
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "cluster: %v\n\n%s", err, usageText)
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "cluster: %v\n", err)
		os.Exit(1)
	}
}

// options is the parsed command line.
type options struct {
	name     string
	dir      string
	nodes    int      // 0: not asked for
	runtimes []string // of the last nodes
	images   []string
	timeout  time.Duration
	args     []string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return usageError("a verb is missing")
	}
	verb, args := args[0], args[1:]
	switch verb {
	case componentVerb: // not for users: these two are this program, started again as a part of a cluster
		return runComponent()
	case nodeVerb:
		return runNode()
	case "help", "-h", "--help":
		_, err := io.WriteString(stdout, usageText)
		return err
	}
	opts, err := parse(verb, args)
	if errors.Is(err, flag.ErrHelp) {
		_, err := io.WriteString(stdout, usageText)
		return err
	}
	if err != nil {
		return err
	}
	progress := newProgress(stderr)
	switch verb {
	case "up":
		return up(ctx, opts, progress)
	case "down":
		return down(ctx, opts, progress)
	case "status":
		return status(ctx, opts, stdout)
	}
	s, err := loadRunning(opts)
	if err != nil {
		return err
	}
	switch verb {
	case "import":
		return importImages(ctx, s, opts.args, progress)
	case "hollow":
		return hollow(ctx, s, opts.args, progress)
	case "exec":
		return execInNode(s, opts.args[0], opts.args[1:])
	case "env":
		_, err = io.WriteString(stdout, s.shellExports())
	case "kubeconfig":
		_, err = fmt.Fprintln(stdout, s.kubeconfigPath())
	}
	return err
}

// parse reads the flags and arguments of a verb.
func parse(verb string, args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.name, "name", defaultName, "")
	flags.StringVar(&o.dir, "dir", os.Getenv("COSANET_CLUSTER_DIR"), "")
	if verb == "up" {
		flags.IntVar(&o.nodes, "nodes", 0, "")
		flags.Func("runtime", "", func(s string) error { o.runtimes = append(o.runtimes, s); return nil })
		flags.DurationVar(&o.timeout, "timeout", 3*time.Minute, "")
		flags.Func("image", "", func(s string) error { o.images = append(o.images, s); return nil })
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError(fmt.Sprintf("%s: %v", verb, err))
	}
	o.args = flags.Args()
	if o.dir == "" {
		o.dir = defaultDir(o.name)
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return o, fmt.Errorf("finding the cluster's folder: %w", err)
	}
	o.dir = dir
	return o, o.check(verb)
}

func (o *options) check(verb string) error {
	if !validName(o.name) {
		return usageError(fmt.Sprintf("--name %q: want 1 to 8 lower case letters and digits, a letter first", o.name))
	}
	if o.nodes < 0 || o.nodes > maxNodes {
		return usageError(fmt.Sprintf("--nodes %d: want 1 to %d", o.nodes, maxNodes))
	}
	for _, name := range o.runtimes {
		if !slices.Contains(runtimeNames, name) {
			return usageError(fmt.Sprintf("--runtime %q: want %s", name, strings.Join(runtimeNames, " or ")))
		}
	}
	if o.nodes != 0 && len(o.runtimes) > o.nodes {
		return usageError(fmt.Sprintf("--nodes %d are too few for %d of --runtime", o.nodes, len(o.runtimes)))
	}
	switch verb {
	case "up", "down", "status", "env", "kubeconfig":
		if len(o.args) > 0 {
			return usageError(fmt.Sprintf("%s takes no argument, got %q", verb, strings.Join(o.args, " ")))
		}
	case "import":
		if len(o.args) == 0 {
			return usageError("import: name an image archive")
		}
	case "hollow":
		if len(o.args) == 0 {
			return usageError("hollow: say how many nodes")
		}
	case "exec":
		// The flag package stops at the node's name and leaves the -- behind it.
		if len(o.args) > 1 && o.args[1] == "--" {
			o.args = append(o.args[:1:1], o.args[2:]...)
		}
		if len(o.args) < 2 {
			return usageError("exec: want NODE -- CMD [ARG...]")
		}
	default:
		return usageError(fmt.Sprintf("unknown verb %q", verb))
	}
	return nil
}

// flags are those that name the same cluster again, for a message.
func (o options) flags() string {
	if o.dir == defaultDir(o.name) {
		if o.name == defaultName {
			return ""
		}
		return " --name " + o.name
	}
	return " --dir " + quote(o.dir)
}

func defaultDir(name string) string {
	dir := "/run/kubectl-cosanet-cluster"
	if name != defaultName {
		dir += "-" + name
	}
	return dir
}
