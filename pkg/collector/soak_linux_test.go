package collector

import (
	"bytes"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakEnv makes the soak last as long as it says, such as 30m.
const soakEnv = "COSANET_SOAK"

// usage is what a process holds.
type usage struct {
	descriptors, goroutines, threads, rss int // rss in kB
}

func usageNow(t *testing.T) usage {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory() // what the test itself has made, too
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) int {
		_, after, _ := strings.Cut(string(status), "\n"+name+":")
		n, err := strconv.Atoi(strings.Fields(after)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return usage{descriptors(t), runtime.NumGoroutine(), field("Threads"), field("VmRSS")}
}

// TestSoak scrapes while pods come and go: what the exporter holds does not grow. In its short form it takes some hundred
// scrapes; COSANET_SOAK=30m makes it last.
func TestSoak(t *testing.T) {
	needsRoot(t)
	last := time.Duration(0)
	if s := os.Getenv(soakEnv); s != "" {
		var err error
		if last, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	c := cheap(t)
	c.Protocols = []Protocol{TCP, UDP}
	s := startExporter(t, c, func(e *exporter) { e.walks.cacheFor = 0 })
	scrapes := 0
	scrape := func(atLeast int, until time.Time) {
		for enough := scrapes + atLeast; scrapes < enough || time.Now().Before(until); {
			t.Run("five pods", func(t *testing.T) { // which are gone when it ends
				startSleepers(t, 5)
				for range 10 {
					scrapes++
					headers, end := []string{"Accept-Encoding", "gzip"}, ""
					if scrapes%4 == 0 {
						headers, end = []string{"Accept", "application/openmetrics-text"}, "# EOF\n"
					}
					if r, text := s.get(t, "GET", "/metrics", headers...); r.StatusCode != http.StatusOK || !bytes.HasSuffix(text, []byte(end)) {
						t.Fatalf("%s, %d bytes", r.Status, len(text))
					}
				}
			})
		}
	}
	scrape(50, time.Time{})
	before := usageNow(t)
	scrape(200, time.Now().Add(last))
	after := usageNow(t)
	t.Logf("%d scrapes: %+v, then %+v", scrapes, before, after)
	if after.descriptors > before.descriptors+5 || after.goroutines > before.goroutines+10 || after.threads > before.threads+8 || after.rss > before.rss*5/4+8<<10 {
		t.Errorf("after %d scrapes %+v, before them %+v", scrapes, after, before)
	}
}
