package main

import (
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// program is what a container on a hollow node seems to run.
type program struct {
	kind     programKind
	question question
	run      string
	encoding metrics.Encoding
	samples  int
	interval time.Duration
	says     string // all that its log has, where it is no collector's run
	exitCode int32
}

type programKind uint8

const (
	runs     programKind = iota // until it is ended, and does nothing
	ends                        // at once
	collects                    // writes its frames and ends
	exports                     // answers scrapes until it is ended
)

// version is that of the image, by its tag.
func version(image string) string {
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[i+1:]
	}
	return "latest"
}

// programOf tells by its command line what a pod runs: the collector's flags are known (node-image/flags.go), anything else
// runs for as long as its restart policy has it run.
func programOf(pod *corev1.Pod) program {
	for i := range pod.Spec.Containers {
		if c := &pod.Spec.Containers[i]; strings.Contains(c.Image, "cosanet") && len(c.Command) == 0 {
			return collector(c)
		}
	}
	if pod.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return program{kind: runs, says: "hollow: nothing runs here\n"}
	}
	return program{kind: ends, says: "hollow: nothing runs here\n"}
}

// collector reads the command line of a collector.
func collector(c *corev1.Container) program {
	p := program{kind: exports, samples: 1, question: question{set: metrics.Default}}
	f := flag.NewFlagSet("cosanet-collector", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.StringVar(&p.run, "run", "", "")
	f.IntVar(&p.samples, "samples", 1, "")
	f.DurationVar(&p.interval, "interval", 0, "")
	f.Func("encoding", "", into(&p.encoding, metrics.ParseEncoding))
	p.question.addFlags(f)
	once := f.Bool("once", false, "")
	showVersion := f.Bool("version", false, "")
	f.Bool("serve", true, "")
	for _, name := range []string{"cri-socket", "deadline", "node", "listen", "cache-duration", "probe-listen", "web.config.file", "logformat", "verbosity"} {
		f.String(name, "", "")
	}
	err := f.Parse(c.Args)
	switch {
	case err != nil:
		return program{kind: ends, exitCode: 2, says: fmt.Sprintf("cosanet-collector: error: %v\n", err)}
	case *showVersion:
		return program{kind: ends, says: version(c.Image) + "\n"}
	case *once || p.run != "":
		p.kind = collects
		p.samples = max(1, p.samples)
	}
	return p
}

// lifetime is how long the program runs; zero when it does until it is ended.
func (p *program) lifetime() time.Duration {
	switch p.kind {
	case collects:
		return p.due(p.samples-1) + 10*time.Millisecond
	case ends:
		return 10 * time.Millisecond
	}
	return 0
}

// begun is when a frame is begun, since the container's start, which takes the process a moment.
func (p *program) begun(frame int) time.Duration {
	return 40*time.Millisecond + time.Duration(frame)*p.interval
}

// due is when a frame has been written: after a walk over thirty pods.
func (p *program) due(frame int) time.Duration { return p.begun(frame) + 60*time.Millisecond }

// farewell is how long the program goes on when it is asked to end: a collector and what does nothing end at once, an exporter
// answers for ten seconds more, and what does not know the signal is ended when its grace is over.
func (p *program) farewell(grace time.Duration) time.Duration {
	switch p.kind {
	case collects, ends:
		return 0
	case exports:
		return min(grace, 10*time.Second)
	}
	return grace
}
