package faults

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cosanet/kubectl-cosanet/test/trial"
)

// seedVariable makes TestUnluckyConnections do again what it did.
const seedVariable = "COSANET_SEED"

// unlucky is what may happen to requests of a verb, by chance, and its name.
func unlucky(random *rand.Rand) (f *fault, name string) {
	verbs := []string{"get pods", "list pods", "get nodes", "create pods", "watch pods", "get pods/log", "delete pods"}
	verb := verbs[random.IntN(len(verbs))]
	f = &fault{verb: verb, first: 1 + random.IntN(2), times: random.IntN(4)}
	where := after(random.IntN(4000))
	type way struct {
		name string
		do   mischief
	}
	ways := []way{
		{"500", refuses(http.StatusInternalServerError, metav1.StatusReasonInternalError)},
		{"503", refuses(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)},
		{"504", refuses(http.StatusGatewayTimeout, metav1.StatusReasonTimeout)},
		{"429", refuses(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)},
		{"410", refuses(http.StatusGone, metav1.StatusReasonExpired)},
		{"gateway", gateway}, {"breaks", breaks}, {"aborts", aborts}, {"hangs", hangs}, {"drips", drips},
		{"cut", cuts(where, nil)}, {"cut, aborts", cuts(where, aborts)}, {"cut, breaks", cuts(where, breaks)}, {"cut, hangs", cuts(where, hangs)},
	}
	switch verb {
	case "watch pods":
		ways = append(ways, way{"expires", expires}, way{"expires", expires})
	case "get pods/log":
		last := until("# cosanet-trailer", 1)
		ways = append(ways, way{"cut at the end", cuts(last, nil)}, way{"cut at the end, aborts", cuts(last, aborts)}, way{"cut at the end, breaks", cuts(last, breaks)})
	default:
		ways = append(ways, way{"promises", promises}, way{"lost, breaks", loses(breaks)}, way{"lost, aborts", loses(aborts)},
			way{"lost, gateway", loses(gateway)}, way{"lost, hangs", loses(hangs)})
	}
	chosen := ways[random.IntN(len(ways))]
	f.do = chosen.do
	return f, fmt.Sprintf("%s: %s, %d times from the %d. on", verb, chosen.name, f.times, f.first)
}

// Several things go wrong with the connection, by chance: what holds in TestConnection holds.
func TestUnluckyConnections(t *testing.T) {
	c := need(t)
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	const home = "faults-unlucky"
	c.namespace(t, home, "privileged")
	a := c.asks(t, home, "-l", "app=quiet")
	rounds := make([]int, trial.Rounds(6, 120))
	for i := range rounds {
		rounds[i] = i + 1
	}
	abreast(t, 6, rounds, func(i int) string { return fmt.Sprint("run ", i) }, func(t *testing.T, i int) {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		var faults []*fault
		for range 1 + random.IntN(3) {
			f, name := unlucky(random)
			faults = append(faults, f)
			t.Log(name)
		}
		c.through(t, c.between(t, faults...), a, "--timeout", "6s")
	})
	c.WantNothingLeft(t, home)
	if !t.Failed() {
		n := len(rounds)
		trial.Record(t, trial.Result{Group: trial.Lifecycle, Runs: n, Faults: n, Survived: n,
			Claim: "One to three faults of the connection in a run over two nodes, by chance: the whole answer of each node or the reason, one pod at most, and it is deleted"})
	}
}
