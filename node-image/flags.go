//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/collector"
	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// command is a command line, parsed.
type command struct {
	collector.Config
	sockets  *bool // whether sockets are counted; nil: as the set of metrics has it
	listen   *bool // the same of accept queues
	tcp      *bool // of tcp_info
	ports    *bool // of local ports
	serve    bool
	exporter collector.ServeConfig // with serve
	logText  bool                  // JSON otherwise
	logLevel slog.Level
}

// parse reads the command line. Asked for help or the version it prints that and returns flag.ErrHelp.
func parse(args []string, stdout io.Writer) (*command, error) {
	c := &command{Config: collector.Config{Version: version, Revision: revision, Set: metrics.Default}}
	f := flag.NewFlagSet("cosanet-collector", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	showVersion := f.Bool("version", false, "print the version and end")
	c.flagsOfBoth(f)
	once, served := c.flagsOfRun(), c.flagsOfServe()
	for _, more := range []*flag.FlagSet{once, served} {
		more.VisitAll(func(m *flag.Flag) { f.Var(m.Value, m.Name, m.Usage) })
	}

	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "Usage: cosanet-collector [flags]")
		f.SetOutput(stdout)
		f.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, err
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case *showVersion:
		fmt.Fprintln(stdout, version)
		return nil, flag.ErrHelp
	}
	if err := c.chooseMode(f, once, served); err != nil {
		return nil, err
	}
	c.chooseProtocols()
	c.Listen, c.TCPInfo, c.Ports = c.chosen(c.listen), c.chosen(c.tcp), c.chosen(c.ports)
	if c.Node == "" {
		c.Node, err = os.Hostname()
	}
	return c, err
}

// flagsOfBoth say what is collected. Those that begin with "collector." are spelled as the original exporter spelled them.
func (c *command) flagsOfBoth(f *flag.FlagSet) {
	f.Func("metrics", "set of metrics: default, errors or all (default default)", into(&c.Set, metrics.ParseSet))
	f.StringVar(&c.Node, "node", os.Getenv("NODE_NAME"), "name of the node in the labels (default $NODE_NAME, else the host's name)")
	f.StringVar(&c.CRISocket, "cri-socket", os.Getenv("CRI_SOCKET"), "path of the container runtime's socket on the node (default $CRI_SOCKET, else the known ones)")
	f.Func("collector.pod-filter", "only pods whose namespace/name matches this `expression`", into(&c.PodFilter, parsePodFilter))
	f.BoolVar(&c.Host, "collector.host-metrics.enabled", true, "the node's own row")
	f.BoolVar(&c.Conntrack, "collector.conntrack.enabled", true, "connection tracking")
	f.BoolVar(&c.Conntrack, "collector.connstrack.enabled", true, "the same, as the original exporter spelled it")
	f.BoolVar(&c.Snmp, "collector.snmp.enabled", true, "/proc/net/snmp and snmp6")
	f.Func("collector.snmp.metric-include", "counters of snmp and snmp6 whose Proto_Counter matches this `expression`, instead of the set's", into(&c.SnmpInclude, regexp.Compile))
	f.BoolVar(&c.Netstat, "collector.netstat.enabled", true, "/proc/net/netstat")
	f.Func("collector.netstat.metric-include", "counters of netstat whose Proto_Counter matches this `expression`, instead of the set's", into(&c.NetstatInclude, regexp.Compile))
	f.BoolVar(&c.Sockstat, "collector.sockstat.enabled", true, "/proc/net/sockstat and sockstat6")
	f.BoolVar(&c.Netdev, "collector.netdev.enabled", true, "/proc/net/dev")
	f.Func("collector.sockproto.protos", "of these `protocols`: tcp, udp, icmp, udplite, raw (default tcp,udp, and all with --metrics=all)", into(&c.Protocols, collector.ParseProtocols))
	f.BoolFunc("collector.sockproto.enabled", "sockets by state (default false, and true with --metrics=all)", intoChoice(&c.sockets))
	f.BoolFunc("collector.listen.enabled", "accept queues of listening sockets (default false, and true with --metrics=all)", intoChoice(&c.listen))
	f.BoolFunc("collector.tcp.enabled", "tcp_info of established connections: round trip times, retransmits (default false, and true with --metrics=all)", intoChoice(&c.tcp))
	f.BoolFunc("collector.ports.enabled", "local ports that connections take (default false, and true with --metrics=all)", intoChoice(&c.ports))
	f.BoolVar(&c.ConntrackOwners, "collector.conntrack-owners.enabled", false, "whose the entries of the node's conntrack table are; the whole table is dumped for it")
}

// chosen is what a switch says, and where it was not given, what the set does.
func (c *command) chosen(choice *bool) bool {
	if choice != nil {
		return *choice
	}
	return c.Set == metrics.All
}

// flagsOfRun are for frames on the standard output.
func (c *command) flagsOfRun() *flag.FlagSet {
	f := flag.NewFlagSet("run", flag.ContinueOnError)
	f.Bool("once", false, "walk, write and end; implied by every flag that only a single run has")
	f.StringVar(&c.Run, "run", "", "id of this run, repeated in the trailer")
	f.Func("encoding", "of the frames: text or gzip (default text)", into(&c.Encoding, metrics.ParseEncoding))
	f.IntVar(&c.Samples, "samples", 1, "frames to write")
	f.DurationVar(&c.Interval, "interval", 0, "between the frames")
	f.DurationVar(&c.Deadline, "deadline", 0, "for all of it (default 1m and an interval for each frame)")
	return f
}

// flagsOfServe are for the exporter. Its "listen", "cache-duration", "logformat" and "verbosity" are the original's.
func (c *command) flagsOfServe() *flag.FlagSet {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	s := &c.exporter
	f.BoolVar(&c.serve, "serve", true, "be a Prometheus exporter until SIGTERM, as the original exporter is without any flag; not with a flag for a single run")
	listen := func(address string) error {
		s.Listen = append(s.Listen, address)
		return nil
	}
	f.Func("listen", "`address` to answer at, host:port; may be repeated (default :9156)", listen)
	f.Func("web.listen-address", "the same, as other exporters spell it", listen)
	f.StringVar(&s.ProbeListen, "probe-listen", "", "further `address` that answers /healthz and /readyz alone, without TLS or password: for the kubelet, where --web.config.file asks for them")
	f.StringVar(&s.WebConfigFile, "web.config.file", "", "`file` of the Prometheus exporter toolkit with TLS, client certificates, users or a rate limit; read again when it changes")
	f.DurationVar(&s.CacheDuration, "cache-duration", 500*time.Millisecond, "how old a walk may be to answer further scrapes")
	f.DurationVar(&s.ScrapeTimeout, "scrape-timeout", 10*time.Second, "of a scrape that does not say how long it waits")
	f.IntVar(&s.MaxConnections, "max-connections", 512, "at each address; further ones wait")
	f.Func("logformat", "json or text (default json)", into(&c.logText, parseLogFormat))
	f.Func("verbosity", "of the log: debug, info, warn or error (default info)", into(&c.logLevel, parseVerbosity))
	return f
}

// chooseMode tells an exporter from a single run, and refuses what is neither.
func (c *command) chooseMode(f *flag.FlagSet, once, served *flag.FlagSet) error {
	var ofRun, ofServe string // one that was given
	f.Visit(func(flag *flag.Flag) {
		switch {
		case once.Lookup(flag.Name) != nil && flag.Value.String() != "false":
			ofRun = flag.Name
		case served.Lookup(flag.Name) != nil && flag.Value.String() != "false":
			ofServe = flag.Name
		}
	})
	switch c.serve = c.serve && ofRun == ""; {
	case ofRun != "" && ofServe != "":
		return fmt.Errorf("--%s is for a single run and --%s for an exporter: use one or the other", ofRun, ofServe)
	case c.serve:
		return c.checkServe()
	case c.Samples < 1:
		return fmt.Errorf("--samples %d: at least 1", c.Samples)
	case c.Interval < 0 || c.Deadline < 0:
		return errors.New("--interval and --deadline may not be negative")
	}
	return nil
}

func (c *command) checkServe() error {
	s := &c.exporter
	switch {
	case s.CacheDuration < 0:
		return errors.New("--cache-duration may not be negative")
	case s.ScrapeTimeout <= 0:
		return errors.New("--scrape-timeout must be more than nothing")
	case s.MaxConnections < 1:
		return fmt.Errorf("--max-connections %d: at least 1", s.MaxConnections)
	}
	if len(s.Listen) == 0 {
		s.Listen = []string{":9156"}
	}
	return nil
}

// chooseProtocols settles whose sockets are counted.
func (c *command) chooseProtocols() {
	all := c.Set == metrics.All
	wanted := all
	if c.sockets != nil {
		wanted = *c.sockets
	}
	switch {
	case !wanted:
		c.Protocols = nil
	case c.Protocols == nil && all:
		c.Protocols = collector.AllProtocols()
	case c.Protocols == nil:
		c.Protocols = []collector.Protocol{collector.TCP, collector.UDP}
	}
}

// logger returns the exporter's log.
func (c *command) logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.logLevel}
	if c.logText {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// parsePodFilter takes the expression that matches every pod, the original's default, for none.
func parsePodFilter(s string) (*regexp.Regexp, error) {
	if s == "^.+$" {
		return nil, nil
	}
	return regexp.Compile(s)
}

func parseLogFormat(s string) (text bool, err error) {
	switch s {
	case "json":
		return false, nil
	case "text":
		return true, nil
	}
	return false, fmt.Errorf("unknown log format %q: use json or text", s)
}

func parseVerbosity(s string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(s, level.String()) {
			return level, nil
		}
	}
	return 0, fmt.Errorf("unknown verbosity %q: use debug, info, warn or error", s)
}

// intoChoice makes the setter of a switch that is on, off or not given.
func intoChoice(to **bool) func(string) error {
	return func(s string) error {
		on, err := strconv.ParseBool(s)
		*to = &on
		return err
	}
}

// into makes the setter of a flag whose value is parsed.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(s string) (err error) {
		*to, err = parse(s)
		return err
	}
}
