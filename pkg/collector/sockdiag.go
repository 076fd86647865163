//go:build linux

package collector

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Layout of the messages of sock_diag (include/uapi/linux/sock_diag.h, inet_diag.h).
const (
	tcpDiagGetSock   = 18 // TCPDIAG_GETSOCK: TCP of both IP versions in one dump
	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY: any protocol of one IP version

	inetDiagReqBytes   = 60 // struct inet_diag_req: family in byte 0, states from byte 52
	inetDiagReqV2Bytes = 56 // struct inet_diag_req_v2: family and protocol in bytes 0 and 1, states from byte 4
	inetDiagMsgBytes   = 72 // struct inet_diag_msg: family and state in bytes 0 and 1

	inetDiagInfo = 2 // INET_DIAG_INFO: tcp_info, as an attribute after the message

	tcpEstablished, tcpListen = 1, 10 // include/net/tcp_states.h
)

// ipVersion tells which IP version an inet_diag_msg is of.
func ipVersion(socket []byte) (int, error) {
	switch socket[0] {
	case unix.AF_INET:
		return ipv4, nil
	case unix.AF_INET6:
		return ipv6, nil
	}
	return 0, errMalformed
}

// dumpUDP counts the UDP sockets of one IP version by state. ENOENT says that the kernel has no such version.
func dumpUDP(conn *netlink.Conn, buf []byte, family byte, counts *stateCounts) error {
	request := make([]byte, inetDiagReqV2Bytes)
	request[0], request[1] = family, unix.IPPROTO_UDP
	binary.NativeEndian.PutUint32(request[4:], 0xffffffff)
	return dump(conn, sockDiagByFamily, request, buf, func(socket []byte) error { return counts.add(socket[1]) })
}

// dump asks for all sockets and hands the inet_diag_msg of each to see.
func dump(conn *netlink.Conn, kind netlink.HeaderType, request, buf []byte, see func(socket []byte) error) error {
	return dumpMessages(conn, kind, inetDiagMsgBytes, request, buf, see)
}

// dumpMessages asks for all there is of a kind and hands each message to see, without its netlink header and of least bytes
// at least. It reads into buf instead of gathering the messages: a hostile pod may have 200,000 sockets, and a node's
// connection tracking table millions of entries, of which only the count matters.
func dumpMessages(conn *netlink.Conn, kind netlink.HeaderType, least int, request, buf []byte, see func(message []byte) error) error {
	header := netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump}
	if _, err := conn.Send(netlink.Message{Header: header, Data: request}); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	for {
		var n int
		var recvErr error
		err := raw.Read(func(fd uintptr) (done bool) {
			n, _, recvErr = unix.Recvfrom(int(fd), buf, 0)
			return recvErr != unix.EAGAIN && recvErr != unix.EINTR
		})
		if err == nil {
			err = recvErr
		}
		if err != nil {
			return fmt.Errorf("receiving a dump: %w", err)
		}
		if done, err := parseDump(buf[:n], least, see); done || err != nil {
			return err
		}
	}
}

// parseDump reads the netlink messages of one datagram: a header of length, type, flags, sequence and port, then what it is
// about. The last message of a dump is NLMSG_DONE.
func parseDump(datagram []byte, least int, see func(message []byte) error) (done bool, err error) {
	const headerBytes = unix.NLMSG_HDRLEN
	for len(datagram) >= headerBytes {
		size := int(binary.NativeEndian.Uint32(datagram))
		if size < headerBytes || size > len(datagram) {
			return false, errMalformed
		}
		body := datagram[headerBytes:size]
		switch kind := binary.NativeEndian.Uint16(datagram[4:]); kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if errno := int32(binary.NativeEndian.Uint32(body)); errno < 0 {
					return true, unix.Errno(-errno)
				}
			}
			return true, nil
		default:
			if len(body) < least {
				return false, errMalformed
			}
			if err := see(body); err != nil {
				return false, err
			}
		}
		datagram = datagram[min(len(datagram), (size+3)&^3):]
	}
	return false, nil
}
