package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cosanet/kubectl-cosanet/test/embedded"
)

// scrapeInterval is that of the suite's Prometheus: short, so that rates are there soon.
const scrapeInterval = 2 * time.Second

// prometheus is a real Prometheus server on this machine's loopback. It finds the exporter's pods by asking the API server
// and scrapes them over the pod network.
type prometheus struct {
	url    string
	output *bytes.Buffer
}

// startPrometheus runs it with more jobs and rule files than its own until the test ends.
func (c *cluster) startPrometheus(t *testing.T, config string) *prometheus {
	t.Helper()
	path, err := exec.LookPath("../../bin/tools/prometheus")
	if err != nil {
		if path, err = exec.LookPath("prometheus"); err != nil {
			t.Fatal("no prometheus: make deps installs it")
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	p := &prometheus{url: "http://" + address, output: new(bytes.Buffer)}
	cmd := exec.Command(path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address, "--log.level=warn")
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("prometheus ended (%v) and said:\n%s", err, p.output)
		}
	})
	embedded.Eventually(t, "Prometheus is ready", func() error {
		response, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s\n%s", response.Status, p.output)
		}
		return nil
	})
	return p
}

// series is one series of an answer. Points are those of a range, or the one value of an instant.
type series struct {
	Labels map[string]string `json:"metric"`
	Value  *point            `json:"value"`
	Points []point           `json:"values"`
}

// point is a pair of seconds since 1970 and a value, which JSON has as a string.
type point struct {
	at    float64
	value float64
}

func (p *point) UnmarshalJSON(text []byte) error {
	var pair [2]any
	if err := json.Unmarshal(text, &pair); err != nil {
		return err
	}
	at, ok := pair[0].(float64)
	value, isString := pair[1].(string)
	if !ok || !isString {
		return fmt.Errorf("%s is no pair of a time and a value", text)
	}
	var err error
	p.at = at
	p.value, err = strconv.ParseFloat(value, 64)
	return err
}

// query asks Prometheus' API, whose error says what is wrong with an expression.
func (p *prometheus) query(expression string) ([]series, error) {
	var answer struct {
		Result []series `json:"result"`
	}
	return answer.Result, p.get("/api/v1/query?query="+url.QueryEscape(expression), &answer)
}

// get decodes the data of an answer of the API.
func (p *prometheus) get(path string, data any) error {
	response, err := http.Get(p.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%s: %w: %.200s", path, err, body)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

// one wants exactly one series of a query, and returns its value.
func (p *prometheus) one(expression string) (float64, error) {
	found, err := p.query(expression)
	if err != nil {
		return 0, err
	}
	if len(found) != 1 || found[0].Value == nil {
		return 0, fmt.Errorf("%s: %d series, want 1", expression, len(found))
	}
	return found[0].Value.value, nil
}

// labels is a selector's label matchers: {a="b",c="d"}.
func labels(pairs ...string) string {
	var matchers []string
	for i := 0; i+1 < len(pairs); i += 2 {
		matchers = append(matchers, pairs[i]+"="+strconv.Quote(pairs[i+1]))
	}
	return "{" + strings.Join(matchers, ",") + "}"
}
