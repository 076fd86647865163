package collector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	kgzip "github.com/klauspost/compress/gzip"
)

// TestGzip packs texts of many sizes in writes of many sizes, one after another with the same compressor, and wants one
// member that the standard library's reader and that of Prometheus take, and the shared text alone from unpack.
func TestGzip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := newCompressor()
	for _, size := range []int{0, 1, 100, pieceBytes - 1, pieceBytes, pieceBytes + 1, 7*pieceBytes + 13, 3 * pieceBytes} {
		var text []byte
		for len(text) < size {
			text = append(text, "cosanet_proc_net_snmp_Tcp_InSegs{cosanet_node=\"node-a\"} "+strings.Repeat("x", random.IntN(40))+"\n"...)
		}
		text = text[:size]
		var b body
		c.deflate(&b, nil, func(w io.Writer) error {
			for rest := text; len(rest) > 0; {
				n := min(len(rest), 1+random.IntN(2*pieceBytes))
				if _, err := w.Write(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if b.err != nil {
			t.Fatal(b.err)
		}
		var unpacked bytes.Buffer
		if err := b.unpack(&unpacked); err != nil || !bytes.Equal(unpacked.Bytes(), text) {
			t.Errorf("%d bytes: %d unpacked, %v", size, unpacked.Len(), err)
		}
		for _, end := range []string{"", "# EOF\n", strings.Repeat("own\n", 40000)} {
			tail, err := b.appendEnd(nil, []byte(end))
			if err != nil {
				t.Fatal(err)
			}
			zipped := append(bytes.Clone(b.deflated), tail...)
			want := string(text) + end

			std, err := gzip.NewReader(bytes.NewReader(zipped))
			if err != nil {
				t.Fatal(err)
			}
			std.Multistream(false)
			if got, err := io.ReadAll(std); err != nil || string(got) != want {
				t.Errorf("%d bytes and %d: %d read, %v", size, len(end), len(got), err)
			}
			prometheus, err := kgzip.NewReader(bytes.NewReader(zipped))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(prometheus); err != nil || string(got) != want {
				t.Errorf("%d bytes and %d by the other reader: %d read, %v", size, len(end), len(got), err)
			}
		}
	}
	var b body
	if c.deflate(&b, nil, func(io.Writer) error { return errors.New("no text") }); b.err == nil {
		t.Error("no error where the text could not be had")
	}
}

// BenchmarkGzip packs 16 MB of an exposition.
func BenchmarkGzip(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	pods := make([]string, 150)
	for i := range pods {
		pods[i] = `{cosanet_namespace="team-` + string(rune('a'+i%7)) + `",cosanet_netnsname="cni-` + randomName(random, 36) + `",cosanet_node="node-a",cosanet_pod="web-` + randomName(random, 16) +
			`",cosanet_pod_controller_kind="Deployment",cosanet_pod_controller_name="web"} `
	}
	var text []byte
	for len(text) < 16<<20 {
		family := "cosanet_proc_net_netstat_TcpExt_" + randomName(random, 12)
		for _, pod := range pods {
			text = append(text, family+pod+randomName(random, 1+random.IntN(3))+"\n"...)
		}
	}
	c := newCompressor()
	var buffer []byte
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		var shared body
		c.deflate(&shared, buffer[:0], func(w io.Writer) error {
			for rest := text; len(rest) > 0; rest = rest[min(len(rest), 50<<10):] {
				w.Write(rest[:min(len(rest), 50<<10)])
			}
			return nil
		})
		buffer = shared.deflated
	}
	b.ReportMetric(float64(len(buffer)), "zipped-bytes")
}

func randomName(random *rand.Rand, n int) string {
	name := make([]byte, n)
	for i := range name {
		name[i] = "0123456789abcdef"[random.IntN(16)]
	}
	return string(name)
}
