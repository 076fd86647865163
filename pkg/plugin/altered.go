package plugin

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// altered says what of the asked pod the API server did not keep. A mutating webhook that strips the pod of its rights
// would otherwise show as counters that are missing or, worse, as those of another namespace. What was added does no
// harm: the log is read by container name.
func altered(asked, got *corev1.Pod) []string {
	var changes []string
	changed := func(what string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			changes = append(changes, fmt.Sprintf("%s is %v, not %v", what, b, a))
		}
	}
	changed("label "+runLabel, asked.Labels[runLabel], got.Labels[runLabel]) // by which it is watched
	changed("hostPID", asked.Spec.HostPID, got.Spec.HostPID)
	changed("hostNetwork", asked.Spec.HostNetwork, got.Spec.HostNetwork)
	a, b := collectorOf(asked), collectorOf(got)
	if b == nil {
		return append(changes, "there is no container "+collectorName)
	}
	changed("image", path.Base(a.Image), path.Base(b.Image)) // where from is up to a registry mirror
	changed("command", a.Command, b.Command)
	changed("args", a.Args, b.Args)
	want, have := settings(a.SecurityContext), settings(b.SecurityContext)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		changed("securityContext."+key, want[key], have[key])
	}
	return changes
}

// settings are the fields of a security context that are set, by their names in YAML.
func settings(sc *corev1.SecurityContext) map[string]any {
	set := map[string]any{}
	text, err := json.Marshal(sc)
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	if err != nil {
		panic(err) // a struct of plain fields
	}
	return set
}
