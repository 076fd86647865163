package rules

import (
	"encoding/binary"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// tun gives the namespace of the calling thread a device of which the test is the other end: what is written to it
// arrives, what is sent out by it can be read. The network 10.99.0.0/16 is behind it.
func tun(name string, mtu string) (*os.File, error) {
	device, err := newDevice(name, unix.IFF_TUN)
	if err != nil {
		return nil, err
	}
	return device, ip("link set " + name + " mtu " + mtu + " up\naddr add " + farIP + "/16 dev " + name + "\n")
}

// newDevice makes a device of packets (IFF_TUN), or of frames between neighbours (IFF_TAP).
func newDevice(name string, kind uint16) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	request.SetUint16(kind | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, os.NewSyscallError("TUNSETIFF", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// tunnel gives the pod such a device, w.far, to a network in which nobody answers: what is sent there is taken and forgotten.
func (w *world) tunnel(mtu string) error {
	err := w.inPod(func() (err error) {
		w.far, err = tun("far0", mtu)
		return err
	})
	if err == nil {
		go forget(w.far)
	}
	return err
}

// forget takes what leaves by a device.
func forget(device *os.File) {
	for b := make([]byte, 1<<16); ; {
		if _, err := device.Read(b); err != nil {
			return
		}
	}
}

// inject has n packets arrive by a device.
func inject(device *os.File, n int, packet func(i int) []byte) error {
	return times(n, func(i int) error { _, err := device.Write(packet(i)); return err })
}

// stranger is the i-th address behind the pod's far device.
func stranger(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, byte(1 + i>>8), byte(i)}) }

// packet is one of IPv4. offset is its second word's lower half: flags and the offset of a fragment.
func packet(protocol byte, from, to netip.Addr, id, offset uint16, payload []byte) []byte {
	p := make([]byte, 20, 20+len(payload))
	p[0], p[8], p[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(p[4:], id)
	binary.BigEndian.PutUint16(p[6:], offset)
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	binary.BigEndian.PutUint16(p[10:], checksum(p))
	return append(p, payload...)
}

// syn is a segment that begins a connection, of the window of 1024 bytes.
func syn(from, to netip.Addr, sourcePort, port uint16) []byte {
	s := make([]byte, 20)
	binary.BigEndian.PutUint16(s, sourcePort)
	binary.BigEndian.PutUint16(s[2:], port)
	s[12], s[13], s[14] = 5<<4, 0x02, 4
	binary.BigEndian.PutUint16(s[16:], checksum(pseudo(unix.IPPROTO_TCP, from, to, s)))
	return packet(unix.IPPROTO_TCP, from, to, 0, 0, s)
}

func datagram(from, to netip.Addr, sourcePort, port uint16, payload string) []byte {
	d := append(make([]byte, 8), payload...)
	binary.BigEndian.PutUint16(d, sourcePort)
	binary.BigEndian.PutUint16(d[2:], port)
	binary.BigEndian.PutUint16(d[4:], uint16(len(d)))
	binary.BigEndian.PutUint16(d[6:], checksum(pseudo(unix.IPPROTO_UDP, from, to, d)))
	return packet(unix.IPPROTO_UDP, from, to, 0, 0, d)
}

// pseudo is what the checksum of a transport is over: RFC 9293, section 3.1.
func pseudo(protocol byte, from, to netip.Addr, segment []byte) []byte {
	p := append(from.AsSlice(), to.AsSlice()...)
	p = append(p, 0, protocol, byte(len(segment)>>8), byte(len(segment)))
	return append(p, segment...)
}

// checksum is the Internet's: RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
