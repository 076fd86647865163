//go:build linux

package collector

import (
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const ifAddrMsgBytes = 8 // struct ifaddrmsg: the family in byte 0

// readAddresses asks a process's namespace for its own addresses, by rtnetlink. They are those of the pod as the kernel has
// them, of each network that it is in; the runtime and the API server know one an IP version, and only by name.
func (r *reader) readAddresses(p process) (addresses []netip.Addr, err error) {
	var conn *netlink.Conn
	if err := p.dial(func(c *netlink.Config) (err error) {
		conn, err = netlink.Dial(unix.NETLINK_ROUTE, c)
		return err
	}); err != nil {
		return nil, err
	}
	defer conn.Close()
	err = dumpMessages(conn, unix.RTM_GETADDR, ifAddrMsgBytes, make([]byte, ifAddrMsgBytes), r.buf, func(m []byte) error {
		if a, ok := ownAddress(m); ok {
			addresses = append(addresses, a)
		}
		return nil
	})
	return addresses, err
}

// ownAddress takes the address out of a message about one: IFA_LOCAL, since of a link between two IFA_ADDRESS is that of the
// other side, and IFA_ADDRESS where there is no IFA_LOCAL. Those that every namespace has are nobody's.
func ownAddress(m []byte) (netip.Addr, bool) {
	for _, kind := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		if a, ok := netip.AddrFromSlice(attribute(m[ifAddrMsgBytes:], kind)); ok {
			return a, !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified()
		}
	}
	return netip.Addr{}, false
}
