package faults

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// shared is where the collectors of several users are made.
const shared = "faults-shared"

// user is one of the cluster's own, with the published rights in the shared namespace, and what it asks.
type user struct {
	name string
	*ask
}

func (c *cluster) users(t *testing.T) []user {
	c.namespace(t, shared, "privileged")
	var manifests []string
	users := []user{{"operator", c.asks(t, shared, "quiet-1", "--metrics", "errors")}, {"viewer", c.asks(t, shared, "quiet-1", "--metrics", "all", "--sockets")}}
	for _, u := range users {
		rights := slices.Clone(published)
		for i := range rights {
			if rights[i].where == home {
				rights[i].where = shared
			}
		}
		manifests = append(manifests, grant(t, u.name, rights))
		t.Cleanup(func() {
			c.Must(t, "delete", "clusterrole,clusterrolebinding", u.name, "--wait=false")
			c.Must(t, "-n", namespace, "delete", "role,rolebinding", u.name, "--wait=false")
		})
	}
	c.Apply(t, strings.Join(manifests, "\n---\n"))
	for _, u := range users {
		embedded.Eventually(t, "the rights of "+u.name, func() error {
			for _, r := range [][]string{{"create", "pods", "-n", shared}, {"get", "pods", "-n", namespace}, {"get", "nodes"}} {
				if r := c.Run(append([]string{"auth", "can-i", "--context", u.name}, r...)...); r.Code != 0 {
					return fmt.Errorf("%s%s", r.Stdout, r.Stderr)
				}
			}
			return nil
		})
	}
	return users
}

// begin starts a user's run, and writes down what it reads of the log.
func (u user) begin(t testing.TB, c *cluster, log *transcript, faults ...*fault) *run {
	return c.start(t, append(faults, &fault{"get pods/log", 1, 0, log.copies}), append(slices.Clone(u.args[1:]), "--context", u.name)...)
}

// transcript is what came of an answer.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) copies(w http.ResponseWriter, r *http.Request, pass http.Handler) {
	pass.ServeHTTP(&body{w, func(p []byte) (int, error) {
		l.mu.Lock()
		l.text.Write(p)
		l.mu.Unlock()
		return w.Write(p)
	}}, r)
}

// runs are the ids of the runs that the log is of.
func (l *transcript) runs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ids []string
	for _, m := range regexp.MustCompile(`(?m)^# cosanet-.* run=(\S+)`).FindAllStringSubmatch(l.text.String(), -1) {
		ids = append(ids, m[1])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Two users look at one node at the same time, again and again: each gets the answer to its own question, from a pod of its own, and
// neither deletes the other's.
func TestTwoUsers(t *testing.T) {
	c := need(t)
	t.Parallel()
	users := c.users(t)
	rounds := trial.Rounds(10, 50)
	var mu sync.Mutex
	owners := map[string]string{} // of ids and names, which nobody shares
	pairs := make([]int, rounds)
	for i := range pairs {
		pairs[i] = i + 1
	}
	abreast(t, 3, pairs, func(i int) string { return fmt.Sprint("pair ", i) }, func(t *testing.T, i int) {
		var both sync.WaitGroup
		for _, u := range users {
			both.Go(func() {
				log := new(transcript)
				r := u.begin(t, c, log)
				outcome{}.check(t, r.end())
				c.honest(t, r.proxy, u.ask, r.end())
				if n := len(r.pods()); n != 1 {
					t.Errorf("%d pods for one run on one node", n)
					return
				}
				pod := r.pods()[0]
				id := pod.Annotations["cosanet.io/run-id"]
				if got := log.runs(); !slices.Equal(got, []string{id}) {
					t.Errorf("run %s read the log of %q", id, got)
				}
				if gone := r.deleted(); !slices.Equal(gone, []string{pod.Name}) {
					t.Errorf("run %s deleted %q, its pod is %s", id, gone, pod.Name)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, unique := range []string{id, pod.Name} {
					if other := owners[unique]; other != "" {
						t.Errorf("%s is of %s and of %s", unique, other, u.name)
					}
					owners[unique] = u.name
				}
			})
		}
		both.Wait()
	})
	t.Run("a cleanup in between", func(t *testing.T) {
		g, log := newGate(), new(transcript)
		defer g.lift()
		r := users[0].begin(t, c, log, &fault{"get pods/log", 1, 1, g.before})
		r.at(t, g)
		pod := r.pods()[0]
		cleanup := c.Cosanet(t, 0, "cleanup", "--collector-namespace", shared, "--context", users[1].name)
		if want := fmt.Sprintf("pod %q in %s namespace may be in use", pod.Name, shared); !strings.Contains(cleanup.Stderr, want) || cleanup.Stdout != "" {
			t.Errorf("cleanup should say that %s, and delete nothing: %s%s", want, cleanup.Stdout, cleanup.Stderr)
		}
		g.lift()
		outcome{}.check(t, r.end())
		c.honest(t, r.proxy, users[0].ask, r.end())
	})
	c.WantNothingLeft(t, shared)
	if !t.Failed() {
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: 2*rounds + 1, Faults: 2*rounds + 1, Survived: 2*rounds + 1,
			Claim: "Two users look at the same node at the same time: each gets the answer to its own run, from a pod of its own, which nobody else deletes"})
	}
}
