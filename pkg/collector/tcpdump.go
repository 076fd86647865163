//go:build linux

package collector

import (
	"encoding/binary"
	"errors"
	"slices"
)

// tcpDump is what is known of the TCP sockets of a namespace by one dump of them for all sources that ask: each dump passes
// over the sockets of the whole machine.
type tcpDump struct {
	counted bool       // by state
	listen  *listeners // nil: not asked for, as the next two
	info    *tcpInfo
	ports   *portUse

	request []byte
	counts  [2]stateCounts
	done    bool // for the namespace that is being read
	err     error
}

func newTCPDump(c *Config) *tcpDump {
	d := &tcpDump{counted: slices.Contains(c.Protocols, TCP), request: make([]byte, inetDiagReqBytes)}
	states := uint32(0)
	if c.Listen {
		d.listen = newListeners()
		states |= 1 << tcpListen
	}
	if c.TCPInfo {
		d.info = newTCPInfo()
		states |= 1 << tcpEstablished
	}
	if c.Ports {
		d.ports = newPortUse()
	}
	if d.counted || c.Ports {
		states = 0xffffffff
	}
	binary.NativeEndian.PutUint32(d.request[52:], states)
	return d
}

// forget makes ready for another namespace.
func (d *tcpDump) forget() { d.done, d.err = false, nil }

// read dumps the sockets of a namespace, once. Where only listening ones are asked for, the kernel passes over their own
// table, and not over that of all connections of the machine (tcp_diag_dump, inet_diag_dump_icsk).
//
// It asks in the way of Linux 2.6, which knows no family: one dump does for both IP versions.
func (r *reader) readTCP(p process) error {
	d := r.tcp
	if d.done {
		return d.err
	}
	d.done = true
	if d.ports != nil {
		d.ports.readRange(p, r.buf)
	}
	if d.info != nil {
		d.info.reset()
	}
	if d.err = r.dumpTCP(p, d.info != nil); errors.Is(d.err, errEnough) {
		r.hangUp() // what the kernel has not sent yet it need not make
		d.err = r.dumpTCP(p, false)
	}
	return d.err
}

// dumpTCP asks once; withInfo for the tcp_info of every socket too, until there are enough of them.
func (r *reader) dumpTCP(p process, withInfo bool) error {
	conn, err := r.dialSockDiag(p)
	if err != nil {
		return err
	}
	d := r.tcp
	d.counts = [2]stateCounts{}
	if d.listen != nil {
		clear(d.listen.queues)
	}
	if d.ports != nil {
		d.ports.reset()
	}
	d.request[3] = 0
	if withInfo {
		d.request[3] = 1 << (inetDiagInfo - 1)
	}
	return dump(conn, tcpDiagGetSock, d.request, r.buf, func(socket []byte) error { return d.add(socket, withInfo) })
}

// add takes one socket.
func (d *tcpDump) add(socket []byte, withInfo bool) error {
	version, err := ipVersion(socket)
	if err != nil {
		return err
	}
	state := socket[1]
	if err := d.counts[version].add(state); err != nil {
		return err
	}
	if d.listen != nil && state == tcpListen {
		if err := d.listen.add(socket); err != nil {
			return err
		}
	}
	if d.ports != nil {
		d.ports.add(socket)
	}
	if withInfo && state == tcpEstablished {
		return d.info.add(socket)
	}
	return nil
}
