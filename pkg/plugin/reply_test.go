package plugin

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Whatever a node answers is read within bounds, and believed only when it is whole.
func FuzzReadReply(f *testing.F) {
	for _, info := range []string{countsDefault, countsAll, `metrics="a\"b",pod_filter="\n"`} {
		f.Add(scrapeOf("a", 1, info))
	}
	f.Add([]byte("cosanet_proc_net_tcp{ 1\n# EOF\n"))
	f.Add([]byte("# TYPE cosanet_exporter_info histogram\ncosanet_exporter_info_bucket{le=\"1\"} 1\n# EOF\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, ask := range []Ask{{Metrics: metrics.All}, {Metrics: metrics.Default, Sockets: true}} {
			r, err := readReply(bytes.NewReader(text), ask)
			if err != nil {
				continue
			}
			if !bytes.HasSuffix(text, []byte("# EOF\n")) {
				t.Fatal("believed without its end")
			}
			r.lacks(ask)
			for _, record := range r.snapshot.Records {
				if record.Sandbox.Node == "" || !plain(record.Sandbox.Node) && sanitize(record.Sandbox.Node) != record.Sandbox.Node {
					t.Errorf("kept a record of node %q", record.Sandbox.Node)
				}
				for _, s := range record.Samples {
					if strings.HasPrefix(s.Metric.Name, ownFamilies) || !strings.HasPrefix(s.Metric.Name, "cosanet_") {
						t.Errorf("kept %s", s.Metric.Name)
					}
				}
			}
		}
	})
}

func TestReadReplyBounds(t *testing.T) {
	for name, text := range map[string]string{
		"line of more than 64 KiB": "cosanet_conntrack_curr{cosanet_node=\"" + strings.Repeat("x", maxAnswerLine) + "\"} 1\n# EOF\n",
		"more than 64 MiB":         strings.Repeat("# "+strings.Repeat("x", 61)+"\n", 1<<20+1),
	} {
		if _, err := readReply(strings.NewReader(text), Ask{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	broken := errors.New("connection reset")
	if _, err := readReply(readerThatFails{broken}, Ask{}); !errors.Is(err, broken) || !errors.Is(err, metrics.ErrTruncated) {
		t.Errorf("a broken connection: %v", err)
	}
}

type readerThatFails struct{ err error }

func (r readerThatFails) Read([]byte) (int, error) { return 0, r.err }
