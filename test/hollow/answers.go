package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// answers are the frames of all nodes, each made once: a thousand nodes would otherwise take the time that whoever asks
// them is measured in. They are in a file without a name, so that the machine's memory need not hold them.
type answers struct {
	mu   sync.Mutex
	file *os.File
	size int64
	at   map[answerKey]extent
}

// answerKey is what a frame depends on, but for the run.
type answerKey struct {
	node     string
	change   uint64
	question question
	encoding metrics.Encoding
	frame    int
	after    time.Duration // the first
}

type extent struct {
	offset int64
	length int
}

// runMark stands for the run in a frame that is kept.
const runMark = "run=00000000"

func newAnswers() (*answers, error) {
	file, err := os.CreateTemp("", "hollow-")
	if err == nil {
		err = os.Remove(file.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("making the file of answers: %w", err)
	}
	return &answers{file: file, at: map[answerKey]extent{}}, nil
}

func (a *answers) close() { a.file.Close() } // which frees it

// get returns a frame, made now if it is not there yet.
func (a *answers) get(key answerKey, make func() ([]byte, error)) ([]byte, error) {
	a.mu.Lock()
	where, ok := a.at[key]
	a.mu.Unlock()
	if ok {
		text := slices.Grow([]byte(nil), where.length)[:where.length]
		if _, err := a.file.ReadAt(text, where.offset); err != nil {
			return nil, fmt.Errorf("reading an answer: %w", err)
		}
		return text, nil
	}
	text, err := make()
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.file.WriteAt(text, a.size); err != nil {
		return nil, fmt.Errorf("keeping an answer: %w", err)
	}
	a.at[key] = extent{a.size, len(text)}
	a.size += int64(len(text))
	return text, nil
}

// keptSamples is how many frames a run has at most that are kept for others: those of a look, not of a watch.
const keptSamples = 2

// frame is what a node's collector writes for one sample of a run that began then. Those of a look are the same for every run.
func (f *fleet) frame(n *node, p *program, began time.Time, number int) ([]byte, error) {
	write := func(run string) ([]byte, error) {
		s := f.recording.snapshot(n.name, "", n.sandboxes(), p.question, f.moment(p, began, number), f.began)
		frame := metrics.NewFrame(run, s)
		frame.Trailer.Number = number + 1
		var text bytes.Buffer
		err := frame.Write(&text, p.encoding)
		return text.Bytes(), err
	}
	if p.samples > keptSamples {
		return write(p.run)
	}
	key := answerKey{n.name, n.change.Load(), p.question, p.encoding, number, time.Duration(number) * p.interval}
	text, err := f.answers.get(key, func() ([]byte, error) { return write(runMark[len("run="):]) })
	if err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(text, []byte(runMark), []byte("run="+p.run)), nil
}

// moment is when a frame was begun, by the clock of its node: of a frame that is kept an hour after this process began, and
// the samples as far apart as was asked.
func (f *fleet) moment(p *program, began time.Time, number int) time.Time {
	if p.samples > keptSamples {
		return began.Add(p.begun(number))
	}
	return f.began.Add(time.Hour + time.Duration(number)*p.interval)
}

// warm makes the frames that a view asks for by default.
func (f *fleet) warm(ctx context.Context) error {
	p := &program{question: question{set: metrics.Default}, encoding: metrics.Gzip, samples: 2, interval: time.Second}
	return f.each(ctx, func(ctx context.Context, n *node) error {
		for number := range p.samples {
			if _, err := f.frame(n, p, time.Time{}, number); err != nil {
				return fmt.Errorf("writing what the collector of %s says: %w", n.name, err)
			}
		}
		f.progress.count(func(s *progressState) { s.Warm++ })
		return nil
	})
}

// sandboxes are what the node's collector finds: the node itself, its own pods, and those of others.
func (n *node) sandboxes() []sandbox {
	n.mu.Lock()
	defer n.mu.Unlock()
	boxes := make([]sandbox, 1, 1+len(n.uids)+len(n.guests))
	boxes[0] = sandbox{metrics.Sandbox{
		Node: n.name, Namespace: metrics.HostNamespace, NetNS: metrics.HostNamespace, Inode: inode(n.name), HostNetwork: true,
	}, hash(n.name)}
	for i, uid := range n.uids {
		if uid == "" {
			continue
		}
		p := newOwnPod(n.number, i)
		boxes = append(boxes, sandbox{metrics.Sandbox{
			Node: n.name, Namespace: namespaceName(p.namespace), Pod: p.name(), UID: uid, NetNS: "cni-" + uuid(uid, 0), Inode: inode(uid),
			ControllerKind: "Deployment", ControllerName: workloads[p.workload],
		}, hash(p.name())})
	}
	for _, guest := range n.guests {
		boxes = append(boxes, guest)
	}
	return boxes
}
