package collector

import "bytes"

// parseNeighbours parses /proc/net/stat/arp_cache: a line of names, then a line a CPU, in hexadecimal. The entries are those
// of the table on each of them; how often it was full (table_fulls, since Linux 4.14) is counted by each CPU for itself.
func parseNeighbours(file []byte) (entries, full float64, err error) {
	head, file := line(file)
	names := bytes.Fields(head)
	if len(file) == 0 || len(names) == 0 || string(names[0]) != "entries" {
		return 0, 0, errMalformed
	}
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		for i := 0; i < len(names) && !blank(l); i++ {
			var v uint64
			if v, l, err = hexadecimal(l); err != nil {
				return 0, 0, err
			}
			switch string(names[i]) {
			case "entries":
				entries = float64(v)
			case "table_fulls":
				full += float64(v)
			}
		}
	}
	return entries, full, nil
}
