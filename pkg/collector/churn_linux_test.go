package collector

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// churn makes pods and ends them, a hundred a second where the machine can, each with a number of its own in its counters.
type churn struct {
	t      *testing.T
	octets sync.Map // pod UID -> what its IPv4 has sent, known before anybody can find the pod
	pods   []churned
	made   int
	ended  int
}

type churned struct {
	*place
	pid int
}

// run goes on until ctx ends. It keeps few enough pods for a walk to be short, and many enough for each to be seen.
func (c *churn) run(ctx context.Context) {
	const alive = 25
	tick := time.NewTicker(time.Second / 100)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(c.pods) > 0 {
				c.end()
			}
			return
		case <-tick.C:
		}
		c.begin()
		if len(c.pods) > alive {
			c.end()
		}
	}
}

func (c *churn) begin() {
	p, err := newPlace(100 + c.made%60_000)
	if err != nil {
		c.t.Error(err)
		return
	}
	c.octets.Store(p.uid, p.octets)
	pid, err := p.start(0)
	if err != nil {
		c.t.Error(errors.Join(err, p.remove()))
		return
	}
	p.leave()
	c.made++
	c.pods = append(c.pods, churned{p, pid})
}

func (c *churn) end() {
	first := c.pods[0]
	c.pods = c.pods[1:]
	if err := errors.Join(end(first.pid), first.remove()); err != nil {
		c.t.Error(err)
	}
	c.ended++
}

// sightings are what walks have said of the pods that come and go.
type sightings struct {
	walks, read, missed, wrong int
}

// judge looks through a walk: a pod that was read has its own number, one that was not is counted as missed.
func (s *sightings) judge(c *churn, snapshot *metrics.Snapshot) {
	s.walks++
	records := 0.0
	for i := range snapshot.Records {
		r := &snapshot.Records[i]
		if !r.Sandbox.Self() && !r.Sandbox.Host() {
			records++
		}
		want, ok := c.octets.Load(r.Sandbox.UID)
		if !ok {
			continue // somebody else's on this machine
		}
		got, _, counted := mark(r.Samples)
		switch {
		case counted && int(got) == want:
			s.read++
		case !counted && len(r.FailedSources()) > 0:
			s.missed++
		default:
			s.wrong++
			c.t.Errorf("pod %s: %v octets (there: %v, shared with %q, %d samples), want %d", r.Sandbox.UID, got, counted, r.Sandbox.SharedWith, len(r.Samples), want)
		}
	}
	self := &snapshot.Records[len(snapshot.Records)-1]
	gone, _ := self.Value("cosanet_walk_sandboxes", "gone")
	s.missed += int(gone)
	total := 0.0
	for _, result := range walkResults {
		n, ok := self.Value("cosanet_walk_sandboxes", result)
		if !ok {
			c.t.Errorf("the walk does not say how many were %s", result)
		}
		total += n
	}
	if total != records+gone {
		c.t.Errorf("%v sandboxes, of which %v have a record and %v are gone", total, records, gone)
	}
	wantValue(c.t, &snapshot.Records[0], 1, "cosanet_read_success", "snmp") // the host's
}

// TestChurn walks while pods come and go, again and again as the exporter does and once as a collector pod
// does: no walk fails, none has one pod's counters under the name of another, and what was missed is counted.
func TestChurn(t *testing.T) {
	needsRoot(t)
	period := 3 * time.Second
	if trial.Long() {
		period = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), period)
	defer cancel()
	c := &churn{t: t}
	var comesAndGoes sync.WaitGroup
	begin := time.Now()
	comesAndGoes.Go(func() { c.run(ctx) })

	config := noRuntime(t)
	config.Protocols, config.Listen, config.TCPInfo, config.Ports = nil, false, false, false
	again, once := new(sightings), new(sightings)
	walker := NewWalker(config)
	defer walker.Close()
	for i := 0; ctx.Err() == nil; i++ {
		s := walker.Walk(t.Context())
		again.judge(c, s)
		walker.Recycle(s)
		if i%4 == 0 {
			once.judge(c, Walk(t.Context(), config))
		}
	}
	comesAndGoes.Wait()
	took := time.Since(begin)
	read, missed, wrong := again.read+once.read, again.missed+once.missed, again.wrong+once.wrong
	t.Logf("%d pods in %s, %.0f a second; %d walks read them %d times and missed them %d times", c.made, took.Round(time.Second), float64(c.made)/took.Seconds(), again.walks+once.walks, read, missed)
	if read == 0 || missed == 0 || c.ended != c.made {
		t.Errorf("of %d pods, %d ended, %d readings and %d misses: this shows nothing", c.made, c.ended, read, missed)
	}
	trial.Record(t, trial.Result{Group: trial.Truth, Claim: "walks over pods that come and go, up to a hundred a second, end well, have of each pod its own counters or none, and count what they missed",
		Runs: read + missed + wrong, Faults: missed + wrong, Survived: read + missed, Lost: wrong})
}
