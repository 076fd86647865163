package plugin

import (
	"net/http"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Of many pods that a namespace warns of, it is told once; what comes of an error is the error and no line of a library's log.
func TestWarnings(t *testing.T) {
	s := newAPIServer(t, "a", "b")
	s.throttle = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Add("Warning", `299 - "would violate PodSecurity \"restricted:latest\""`)
		w.Header().Add("Warning", `199 - "of somebody else"`)
		return false
	}
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	var ledger Ledger
	code := Main(t.Context(), Build{Version: "v1.2.3", Image: "registry.example/cosanet:v1.2.3"}, streams, &ledger,
		[]string{"top", "--server", s.url, "--node", "a", "--node", "b", "--source", "pod", "--interval", "0"})
	if want := "Warning: would violate PodSecurity \"restricted:latest\"\n"; code != 0 || errOut.String() != want {
		t.Errorf("exit code %d, standard error %q, want %q\n%s", code, errOut, want, out)
	}
}
