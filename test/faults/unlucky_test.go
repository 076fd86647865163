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

// unlucky is what may happen to requests of a verb, by chance.
func unlucky(random *rand.Rand) *fault {
	verbs := []string{"get pods", "list pods", "get nodes", "create pods", "watch pods", "get pods/log", "delete pods"}
	verb := verbs[random.IntN(len(verbs))]
	f := &fault{verb: verb, first: 1 + random.IntN(2), times: random.IntN(4)}
	where := after(random.IntN(4000))
	ways := []mischief{
		refuses(http.StatusInternalServerError, metav1.StatusReasonInternalError),
		refuses(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable),
		refuses(http.StatusGatewayTimeout, metav1.StatusReasonTimeout),
		refuses(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests),
		refuses(http.StatusGone, metav1.StatusReasonExpired),
		gateway, breaks, aborts, hangs, drips,
		cuts(where, nil), cuts(where, aborts), cuts(where, breaks), cuts(where, hangs),
	}
	switch verb {
	case "watch pods":
		ways = append(ways, expires, expires)
	case "get pods/log":
		last := until("# cosanet-trailer", 1)
		ways = append(ways, cuts(last, nil), cuts(last, aborts), cuts(last, breaks))
	default:
		ways = append(ways, promises, loses(breaks), loses(aborts), loses(gateway), loses(hangs))
	}
	f.do = ways[random.IntN(len(ways))]
	return f
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
			faults = append(faults, unlucky(random))
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
