package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// knowsItsImage waits until the nodes name the collector's image: a kubelet looks through its images twice a minute.
func (c *cluster) knowsItsImage(t *testing.T) {
	t.Helper()
	embedded.Eventually(t, "the nodes name the collector's image", func() error {
		if r := c.Run("cosanet", "doctor"); r.Code == 4 {
			return fmt.Errorf("%s", r.Stdout)
		}
		return nil
	})
}

// Where all is well doctor says so, of every line; test/faults has what is not.
func TestDoctor(t *testing.T) {
	c := need(t)
	c.knowsItsImage(t)
	r := c.Cosanet(t, 0, "doctor", "--no-headers")
	for line := range strings.Lines(strings.Split(r.Stdout, "\n\n")[0]) {
		if check := strings.Fields(line); len(check) > 0 && !strings.Contains(line, " ok ") && check[0] != "policy" {
			t.Errorf("not well: %s", line)
		}
	}
	if r.Stderr != "A run would work.\n" {
		t.Errorf("standard error: %s", r.Stderr)
	}
	c.WantNothingLeft(t)
}
