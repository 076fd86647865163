package plugin

import (
	"slices"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// records finds a node's records by the name of their pod. A name has several while the sandbox of an earlier pod of
// that name goes away.
type records map[PodRef][]*metrics.Record

func index(s *metrics.Snapshot) records {
	found := records{}
	for i := range s.Records {
		if box := &s.Records[i].Sandbox; box.Pod != "" {
			ref := PodRef{box.Namespace, box.Pod}
			found[ref] = append(found[ref], &s.Records[i])
		}
	}
	return found
}

// of finds the record of a pod; among several of its name the one with its UID.
func (r records) of(pod *livePod) *metrics.Record {
	named := r[PodRef{pod.namespace, pod.name}]
	for _, record := range named {
		if record.Sandbox.UID == pod.uid || slices.Contains(pod.hash, record.Sandbox.UID) {
			return record
		}
	}
	if len(named) == 0 {
		return nil
	}
	return named[0]
}

// name gives nameless records the names of the listed pods, so that a text or a saved file says who is who.
func (f *Fleet) name() {
	var byUID map[string]*livePod // made for the first nameless one
	for _, o := range f.Observations {
		for _, s := range o.Snapshots {
			for i := range s.Records {
				box := &s.Records[i].Sandbox
				if box.UID == "" || box.Pod != "" || box.Host() {
					continue
				}
				if byUID == nil {
					byUID = podsByUID(f.Pods)
				}
				if pod, ok := byUID[box.UID]; ok {
					box.Namespace, box.Pod = sanitize(pod.namespace), sanitize(pod.name)
				}
			}
		}
	}
}

func podsByUID(pods []livePod) map[string]*livePod {
	byUID := map[string]*livePod{}
	for i := range pods {
		for _, uid := range pods[i].uids() {
			byUID[uid] = &pods[i]
		}
	}
	return byUID
}
