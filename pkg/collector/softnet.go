package collector

import "github.com/cosanet/kubectl-cosanet/pkg/metrics"

// softnetColumns are the columns of /proc/net/softnet_stat that mean something, by index: received_rps since Linux
// 2.6.39, flow_limit since 3.11, the backlog's length since 5.14.
var softnetColumns = [...]string{
	0:  "cosanet_softnet_processed_total",
	1:  "cosanet_softnet_dropped_total",
	2:  "cosanet_softnet_time_squeezed_total",
	9:  "cosanet_softnet_received_rps_total",
	10: "cosanet_softnet_flow_limit_total",
	11: "cosanet_softnet_backlog_packets",
}

// parseSoftnet appends the samples of /proc/net/softnet_stat, summed over the CPUs: a line a CPU, hexadecimal numbers.
// A column that the kernel does not have is absent.
func parseSoftnet(family func(name string) *metrics.Metric, dst []metrics.Sample, file []byte) ([]metrics.Sample, error) {
	if len(file) == 0 {
		return dst, errMalformed
	}
	var sums [len(softnetColumns)]uint64
	columns := len(sums)
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		i := 0
		for ; i < len(sums) && !blank(l); i++ {
			v, rest, err := hexadecimal(l)
			if err != nil {
				return dst, err
			}
			sums[i] += v
			l = rest
		}
		columns = min(columns, i)
	}
	for i, name := range softnetColumns[:columns] {
		if name == "" {
			continue
		}
		if m := family(name); m != nil {
			dst = append(dst, metrics.Sample{Metric: m, Value: float64(sums[i])})
		}
	}
	return dst, nil
}
