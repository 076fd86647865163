package rules

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
)

// counters are those of one of the pod's files snmp, netstat and snmp6: TcpActiveOpens, as nstat names them.
func (w *world) counters(file string) (map[string]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", w.podPID, file))
	if err != nil {
		return nil, err
	}
	counters := map[string]string{}
	var header []string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		proto, two := strings.CutSuffix(f[0], ":")
		switch {
		case !two: // snmp6 has a line each
			counters[f[0]] = f[1]
		case header == nil:
			header = f
		default:
			for i := 1; i < len(f); i++ {
				counters[proto+header[i]] = f[i]
			}
			header = nil
		}
	}
	return counters, nil
}

// compare wants a walk to say of the node what the files of its pid 1 say, once these are at rest. It is for a node without
// a pod.
func (w *world) compare() error {
	files := func() (map[string]string, error) {
		all := map[string]string{}
		for _, file := range []string{"snmp", "netstat", "snmp6"} {
			counters, err := w.counters(file)
			if err != nil {
				return nil, err
			}
			for name, value := range counters {
				all[file+" "+name] = value
			}
		}
		return all, nil
	}
	for range 50 {
		before, err := files()
		if err != nil {
			return err
		}
		got := w.walked()
		want, err := files()
		if err != nil {
			return err
		}
		if !maps.Equal(before, want) {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || len(want) < 300 {
			return fmt.Errorf("of %d counters, files (-), walk (+): %s", len(want), diff)
		}
		return nil
	}
	return fmt.Errorf("the counters do not come to rest")
}

// walked are the counters of these files as a walk has them.
func (w *world) walked() map[string]string {
	all := map[string]string{}
	snapshot := w.walker.Walk(context.Background())
	for _, r := range snapshot.Records {
		if !r.Sandbox.Host() {
			continue
		}
		for _, s := range r.Samples {
			for _, file := range []string{"snmp", "netstat", "snmp6"} {
				if name, ok := strings.CutPrefix(s.Metric.Name, "cosanet_proc_net_"+file+"_"); ok {
					all[file+" "+strings.Replace(name, "_", "", 1)] = strconv.FormatFloat(s.Value, 'f', -1, 64)
				}
			}
		}
	}
	return all
}
