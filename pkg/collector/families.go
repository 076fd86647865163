package collector

import (
	"regexp"
	"strings"
	"sync"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// families finds the declaration of what a walk emits, once for each name. What a pod can make up (message types of ICMP)
// must not pile up: see maxFamilies. Safe for concurrent use.
type families struct {
	config *Config
	mu     sync.Mutex
	byName map[string]*metrics.Metric // nil: not asked for
}

func newFamilies(c *Config) *families {
	return &families{config: c, byName: map[string]*metrics.Metric{}}
}

// family returns the declaration of a family by its full name, nil where the configuration does not ask for it.
func (f *families) family(name string) *metrics.Metric {
	return f.resolve(name, nil, "", "")
}

// field returns the declaration of one field of snmp, snmp6 or netstat, nil where the configuration does not ask for it.
// A field that the catalog does not know is emitted all the same when everything is asked for, or the expression names it.
func (f *families) field(file, proto, field string) *metrics.Metric {
	include := f.config.SnmpInclude
	if file == "netstat" {
		include = f.config.NetstatInclude
	}
	return f.resolve("cosanet_proc_net_"+file+"_"+proto+"_"+field, include, proto+"_"+field, "/proc/net/"+file+" "+proto+" "+field)
}

func (f *families) resolve(name string, include *regexp.Regexp, short, source string) *metrics.Metric {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.byName[name]
	if ok {
		return m
	}
	m, ok = metrics.Lookup(name)
	if !ok {
		m = metrics.Unknown(name, source)
	}
	wanted := m.In(f.config.Set)
	if include != nil {
		wanted = include.MatchString(short)
	}
	if !wanted || !validName(name) {
		m = nil
	}
	f.byName[name] = m
	return m
}

// validName guards the exposition against a field that is no metric name.
func validName(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
