//go:build linux

package collector

import (
	"encoding/binary"
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/cosanet/kubectl-cosanet/pkg/metrics"
)

// Layout of struct tcp_info (include/uapi/linux/tcp.h). It only ever grew: a kernel sends what it has.
const (
	tcpiCAState         = 1
	tcpiAppLimited      = 7 // in bit 0
	tcpiUnacked         = 24
	tcpiRTT             = 68
	tcpiTotalRetrans    = 100
	tcpiSegsOut         = 136
	tcpiMinRTT          = 148
	tcpiDeliveryRate    = 160
	tcpiBytesSent       = 200
	tcpiBytesRetrans    = 208
	tcpiBytesSince4_6   = tcpiDeliveryRate + 8
	tcpiBytesSince4_19  = tcpiBytesRetrans + 8
	unknownRTT          = math.MaxUint32 // of tcpi_min_rtt
	microsecondsPerUnit = 1e-6           // of a round trip time
)

// maxTCPInfo bounds the connections of a namespace whose tcp_info is asked for. The kernel locks each socket for it.
const maxTCPInfo = 16384

// errEnough ends a dump from which enough was taken.
var errEnough = errors.New("enough connections were seen")

// congestionStates are the values of tcpi_ca_state (enum tcp_ca_state).
var congestionStates = [...]string{"open", "disorder", "cwr", "recovery", "loss"}

// tcpInfo sums up the tcp_info of a namespace's established connections.
type tcpInfo struct {
	taken                       int
	rtt, rate                   *metrics.Distribution
	minRTT                      uint32
	states                      [len(congestionStates)]uint64
	unacked, sent, retransmits  uint64
	sentBytes, retransmitsBytes uint64
	bytesCounted                bool // since Linux 4.19
	stateLabels                 [len(congestionStates)][]metrics.Label
}

func newTCPInfo() *tcpInfo {
	t := &tcpInfo{
		rtt:  metrics.NewDistribution("cosanet_tcp_rtt_seconds"),
		rate: metrics.NewDistribution("cosanet_tcp_delivery_rate_bytes_per_second"),
	}
	for i, state := range congestionStates {
		t.stateLabels[i] = []metrics.Label{{Name: "cosanet_congestion", Value: state}}
	}
	return t
}

func (t *tcpInfo) reset() {
	t.rtt.Reset()
	t.rate.Reset()
	*t = tcpInfo{rtt: t.rtt, rate: t.rate, stateLabels: t.stateLabels, minRTT: unknownRTT}
}

// add takes the tcp_info of an established connection. errEnough says that there were as many as may be before it.
func (t *tcpInfo) add(socket []byte) error {
	if t.taken == maxTCPInfo {
		return errEnough
	}
	info := attribute(socket[inetDiagMsgBytes:], inetDiagInfo)
	if len(info) < tcpiBytesSince4_6 {
		return nil // closed meanwhile, or a kernel older than any that Kubernetes runs on
	}
	t.taken++
	u32 := func(at int) uint32 { return binary.NativeEndian.Uint32(info[at:]) }
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(info[at:]) }
	if state := int(info[tcpiCAState]); state < len(t.states) {
		t.states[state]++
	}
	if rtt := u32(tcpiRTT); rtt > 0 {
		t.rtt.Add(float64(rtt) * microsecondsPerUnit)
	}
	t.minRTT = min(t.minRTT, u32(tcpiMinRTT))
	t.unacked += uint64(u32(tcpiUnacked))
	t.sent += uint64(u32(tcpiSegsOut))
	t.retransmits += uint64(u32(tcpiTotalRetrans))
	if rate := u64(tcpiDeliveryRate); rate > 0 && info[tcpiAppLimited]&1 == 0 {
		t.rate.Add(float64(rate))
	}
	if len(info) >= tcpiBytesSince4_19 {
		t.bytesCounted = true
		t.sentBytes += u64(tcpiBytesSent)
		t.retransmitsBytes += u64(tcpiBytesRetrans)
	}
	return nil
}

// nlaTypeMask takes the flags off the type of an attribute (NLA_TYPE_MASK).
const nlaTypeMask = 0x3fff

// attribute finds an attribute of a netlink message by its type: length, type and value, padded to four bytes.
func attribute(attributes []byte, kind uint16) []byte {
	for len(attributes) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < unix.SizeofRtAttr || size > len(attributes) {
			return nil
		}
		if binary.NativeEndian.Uint16(attributes[2:])&nlaTypeMask == kind {
			return attributes[unix.SizeofRtAttr:size]
		}
		attributes = attributes[min(len(attributes), (size+3)&^3):]
	}
	return nil
}

// readTCPInfo appends what the dump of the namespace gathered.
func (r *reader) readTCPInfo(p process, dst []metrics.Sample) ([]metrics.Sample, error) {
	if err := r.readTCP(p); err != nil {
		return dst, err
	}
	established := r.tcp.counts[ipv4][tcpEstablished] + r.tcp.counts[ipv6][tcpEstablished]
	return r.tcp.info.append(dst, established), nil
}

func (t *tcpInfo) append(dst []metrics.Sample, established uint64) []metrics.Sample {
	dst = t.rtt.Append(dst)
	if t.minRTT != unknownRTT {
		dst = appendNamed(dst, "cosanet_tcp_rtt_min_seconds", float64(t.minRTT)*microsecondsPerUnit)
	}
	dst = t.rate.Append(dst)
	for i, n := range t.states {
		dst = appendNamed(dst, "cosanet_tcp_congestion_state", float64(n), t.stateLabels[i]...)
	}
	dst = appendNamed(dst, "cosanet_tcp_unacked_segments", float64(t.unacked))
	dst = appendNamed(dst, "cosanet_tcp_sent_segments", float64(t.sent))
	dst = appendNamed(dst, "cosanet_tcp_retransmitted_segments", float64(t.retransmits))
	if t.bytesCounted || t.taken == 0 {
		dst = appendNamed(dst, "cosanet_tcp_sent_bytes", float64(t.sentBytes))
		dst = appendNamed(dst, "cosanet_tcp_retransmitted_bytes", float64(t.retransmitsBytes))
	}
	sampled := 1.0
	if established > uint64(t.taken) && t.taken == maxTCPInfo {
		sampled = float64(t.taken) / float64(established)
	}
	return appendNamed(dst, "cosanet_tcp_info_sampled_ratio", sampled)
}
