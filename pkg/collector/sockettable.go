package collector

import "bytes"

// States of a socket, numbered as in include/net/tcp_states.h and named as the original exporter named them.
var socketStates = [...]string{
	1: "ESTABLISHED", 2: "SYN_SENT", 3: "SYN_RECV", 4: "FIN_WAIT1", 5: "FIN_WAIT2", 6: "TIME_WAIT",
	7: "CLOSE", 8: "CLOSE_WAIT", 9: "LAST_ACK", 10: "LISTEN", 11: "CLOSING",
}

// newSynRecv is TCP_NEW_SYN_RECV, a SYN_RECV that is not yet a socket; /proc/net/tcp and ss show it as SYN_RECV.
const newSynRecv, synRecv = 12, 3

// stateCounts is the number of sockets in each state.
type stateCounts [len(socketStates)]uint64

func (c *stateCounts) add(state uint8) error {
	if state == newSynRecv {
		state = synRecv
	}
	if state == 0 || int(state) >= len(c) {
		return errMalformed
	}
	c[state]++
	return nil
}

// parseSocketTable counts the sockets of /proc/net/raw, icmp, udplite and their IPv6 twins by state: a line of names, then
// a socket a line, whose fourth column is the state in hexadecimal.
//
//	7: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 ...
func parseSocketTable(counts *stateCounts, file []byte) error {
	_, file = line(file)
	for len(file) > 0 {
		var l []byte
		l, file = line(file)
		for range 3 {
			l = bytes.TrimLeft(l, " ")
			blank := bytes.IndexByte(l, ' ')
			if blank < 0 {
				return errMalformed
			}
			l = l[blank:]
		}
		state, _, err := hexadecimal(l)
		if err != nil || state > 255 {
			return errMalformed
		}
		if err := counts.add(uint8(state)); err != nil {
			return err
		}
	}
	return nil
}
