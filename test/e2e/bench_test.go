package e2e

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkFirstTable times `kubectl cosanet top --interval 0` from the command to the first line of its table, in turn
// with what anybody could do by hand with the same image: create a pod, kubectl wait for it, kubectl logs.
func BenchmarkFirstTable(b *testing.B) {
	c := need(b)
	image := strings.TrimSpace(c.Must(b, "cosanet", "version", "-o", "jsonpath={.image}"))
	var table, whole, bare []time.Duration
	for b.Loop() {
		first, end := c.timeTop(b)
		table, whole = append(table, first), append(whole, end)
		bare = append(bare, c.timeBarePod(b, image))
	}
	b.ReportMetric(median(table).Seconds(), "s/table")
	b.ReportMetric(median(whole).Seconds(), "s/command")
	b.ReportMetric(median(bare).Seconds(), "s/barepod")
	b.ReportMetric(median(table).Seconds()/median(bare).Seconds(), "table/barepod")
	b.ReportMetric(median(whole).Seconds()/median(bare).Seconds(), "command/barepod")
}

func (c *cluster) timeTop(b *testing.B) (first, end time.Duration) {
	b.Helper()
	cmd := c.Command("cosanet", "top", "--node", "node-1", "--interval", "0", "-A")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "POD") {
		b.Fatalf("no table but %q (%v)", line, err)
	}
	first = time.Since(start)
	if _, err := io.Copy(io.Discard, lines); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return first, time.Since(start)
}

func (c *cluster) timeBarePod(b *testing.B, image string) time.Duration {
	b.Helper()
	start := time.Now()
	c.Must(b, "-n", namespace, "run", "bare", "--image", image, "--image-pull-policy=IfNotPresent", "--restart=Never",
		`--overrides={"spec":{"nodeSelector":{"kubernetes.io/hostname":"node-1"},"terminationGracePeriodSeconds":0}}`, "--", "--version")
	c.Must(b, "-n", namespace, "wait", "pod/bare", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
	if out := c.Must(b, "-n", namespace, "logs", "bare"); out == "" {
		b.Fatal("the bare pod printed nothing")
	}
	end := time.Since(start)
	c.Must(b, "-n", namespace, "delete", "pod", "bare", "--wait")
	return end
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}
