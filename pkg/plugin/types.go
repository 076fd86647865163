package plugin

import (
	"fmt"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// APIVersion is that of the objects which -o json, yaml, jsonpath, go-template and custom-columns show. They are
// printed, never stored: no cluster knows them.
const APIVersion = "cosanet.io/v1alpha1"

// PodNetStatsList is what top shows.
type PodNetStatsList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []PodNetStats `json:"items"`
}

// PodNetStats is one row of top: a pod, with kind NodeNetStats a node, or with kind NetStatsGroup the sum
// of what pods count that belong together. Its fields are in the order of their names, in
// which kubectl prints every object.
type PodNetStats struct {
	APIVersion string `json:"apiVersion"`

	// Columns are the columns of the table by their key: rates in units a second, bytes a second, percentages as 0 to 100.
	// One that is missing was not counted or could not be read (see Failed), or has begun again (see Reset).
	Columns    map[string]float64 `json:"columns,omitempty"`
	Controller *Controller        `json:"controller,omitempty"`
	Counted    *int               `json:"counted,omitempty"` // of a group: pods of which there are numbers
	Failed     []string           `json:"failed,omitempty"`  // sources that could not be read
	GroupBy    string             `json:"groupBy,omitempty"` // of a group: what its pods have in common
	Kind       string             `json:"kind"`

	// Message is what Status means. Status is empty where there are values; else the word of the table (host, shared,
	// pending, ended, gone, or the runtime handler of a pod with a kernel of its own).
	Message  string   `json:"message,omitempty"`
	Metadata Metadata `json:"metadata"`

	// Metrics are all series that were read, by short name: Tcp_RetransSegs, netdev_receive_bytes_total{device="eth0"}.
	Metrics map[string]Value `json:"metrics,omitempty"`
	Node    string           `json:"node,omitempty"`
	Odd     []Odd            `json:"odd,omitempty"` // of a workload: its pods that are unlike the others
	PodIP   string           `json:"podIP,omitempty"`
	Pods    *int             `json:"pods,omitempty"`  // of a group
	Reset   []string         `json:"reset,omitempty"` // counters that fell within the window, by short name
	Status  string           `json:"status,omitempty"`

	// Time is when the last sample was taken. WindowSeconds is the time between first and last; without it counters are
	// totals since the namespace was made.
	Time          *metav1.MicroTime `json:"time,omitempty"`
	WindowSeconds float64           `json:"windowSeconds,omitempty"`
}

// Metadata is the part of an object's metadata that a row has.
type Metadata struct {
	Name      string    `json:"name"`
	Namespace string    `json:"namespace,omitempty"`
	UID       types.UID `json:"uid,omitempty"`
}

// Controller is what made a pod.
type Controller struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Value is the last value of a series and, for a counter over a window, its rate in units a second.
type Value struct {
	Rate  *float64 `json:"rate,omitempty"`
	Value float64  `json:"value"`
}

// NetStatsDiff is what diff shows.
type NetStatsDiff struct {
	metav1.TypeMeta `json:",inline"`
	A               DiffSide     `json:"a"`
	B               DiffSide     `json:"b"`
	Items           []DiffSeries `json:"items"`
}

// DiffSide says what one side of a diff is.
type DiffSide struct {
	Name          string            `json:"name"`
	Node          string            `json:"node,omitempty"`
	Time          *metav1.MicroTime `json:"time,omitempty"`
	WindowSeconds float64           `json:"windowSeconds,omitempty"`
	Failed        []string          `json:"failed,omitempty"`
}

// DiffSeries is a series of either side. A or B is missing where that side does not have it.
type DiffSeries struct {
	Metric  string   `json:"metric"`
	Unit    string   `json:"unit,omitempty"` // of a rate: units a second
	Rate    bool     `json:"rate,omitempty"`
	Signal  string   `json:"signal"`
	A       *float64 `json:"a,omitempty"`
	B       *float64 `json:"b,omitempty"`
	Delta   *float64 `json:"delta,omitempty"` // B - A
	Ratio   *float64 `json:"ratio,omitempty"` // B / A, missing when A is 0
	Note    string   `json:"note,omitempty"`  // "a: reset", "b: failed"
	Meaning string   `json:"meaning,omitempty"`
}

// object turns a value of this file into what the printers of kubectl take.
func object(v any) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(v)
	if err != nil {
		return nil, fmt.Errorf("building the output object: %w", err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// finite returns v for JSON, which has neither NaN nor infinities, rounded to a thousandth, or, where that is less than a
// tenth, to three digits: there are seconds among them.
func finite(v float64) (float64, bool) {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false
	}
	switch abs := math.Abs(v); {
	case abs > 0 && abs < 0.1:
		digits := math.Pow(10, 2-math.Floor(math.Log10(abs)))
		v = math.Round(v*digits) / digits
	case abs < 1e12:
		v = math.Round(v*1e3) / 1e3
	}
	return v, true
}
