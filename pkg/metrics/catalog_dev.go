package metrics

// Devices of a namespace (/proc/net/dev) and the receive queues of the CPUs (/proc/net/softnet_stat). A device without
// counters of its own reports zeros; what a driver puts under errs, fifo and frame differs from driver to driver.
//
// softnet_stat is the same in every namespace (softnet_seq_show in net/core/net-procfs.c walks the CPUs and never looks at the
// namespace): Scope Node, summed over CPUs.

const (
	devRef     = "net/core/net-procfs.c dev_seq_printf_stats; include/uapi/linux/if_link.h"
	softnetRef = "net/core/net-procfs.c softnet_seq_show; Documentation/networking/scaling.rst"
)

var deviceLabels = []string{"cosanet_device"}

// dev declares one column of /proc/net/dev.
func dev(direction, column, unit string, signal Signal, set Set, help, meaning string) *Metric {
	return &Metric{
		Name: "cosanet_netdev_" + direction + "_" + column + "_total", Type: Counter, Unit: unit, Labels: deviceLabels,
		Help: help, Meaning: meaning, Source: "/proc/net/dev " + direction + " " + column, Ref: devRef, Signal: signal, Default: set == Default,
	}
}

var deviceMetrics = []*Metric{
	dev("receive", "bytes", "bytes", Traffic, Default, "Bytes that the device received, Ethernet headers included.", ""),
	dev("receive", "packets", "packets", Traffic, Default, "Packets that the device received.", ""),
	dev("receive", "errs", "packets", Error, Default, "Bad packets that the device received.", "Damaged packets arrive: cable, transceiver, NIC or driver."),
	dev("receive", "drop", "packets", Drop, Default, "Packets received and dropped: no memory or ring space, or no protocol here that wants them.", "Packets that reached the device were thrown away; in a pod often VLAN or protocol noise, on a NIC a full ring."),
	dev("receive", "fifo", "packets", Drop, All, "Packets lost because the device's receive queue overflowed.", "The NIC's ring is too small or its CPU is too busy."),
	dev("receive", "frame", "packets", Error, All, "Packets received with a bad length, bad CRC, bad alignment, or too big for the buffer.", "Damaged frames arrive: cable, transceiver, or an MTU mismatch."),
	dev("receive", "compressed", "packets", Traffic, All, "Packets received compressed; of use on a few slow links only.", ""),
	dev("receive", "multicast", "packets", Traffic, All, "Multicast packets that the device received, where its driver counts them.", ""),
	dev("transmit", "bytes", "bytes", Traffic, Default, "Bytes that the device sent, Ethernet headers included.", ""),
	dev("transmit", "packets", "packets", Traffic, Default, "Packets that the device sent.", ""),
	dev("transmit", "errs", "packets", Error, Default, "Packets that the device failed to send.", "The device cannot send: link, NIC, driver, or a tunnel without a way out."),
	dev("transmit", "drop", "packets", Drop, Default, "Packets dropped on their way out: a full queue, no memory, or a peer device that is down.", "Packets are thrown away as they leave; on a pod's veth the other end was down or its queue full."),
	dev("transmit", "fifo", "packets", Drop, All, "Packets lost because the device's send queue ran over or dry.", "The NIC could not keep up."),
	dev("transmit", "colls", "packets", Error, All, "Collisions while sending, on half-duplex links.", "A link runs in half duplex: autonegotiation went wrong."),
	dev("transmit", "carrier", "packets", Error, All, "Packets not sent for want of carrier, or aborted by the device.", "The link was down or is unstable."),
	dev("transmit", "compressed", "packets", Traffic, All, "Packets sent compressed; of use on a few slow links only.", ""),

	{Name: "cosanet_softnet_processed_total", Type: Counter, Unit: "packets", Signal: Traffic, Scope: Node, Source: "/proc/net/softnet_stat column 1", Ref: softnetRef,
		Help: "Packets that the CPUs took from receive queues."},
	{Name: "cosanet_softnet_dropped_total", Type: Counter, Unit: "packets", Signal: Drop, Scope: Node, Default: true, Source: "/proc/net/softnet_stat column 2", Ref: softnetRef,
		Help:    "Packets dropped because a CPU's backlog was full (netdev_max_backlog).",
		Meaning: "A CPU does not keep up with received packets: spread them (RPS, more queues) or raise netdev_max_backlog."},
	{Name: "cosanet_softnet_time_squeezed_total", Type: Counter, Unit: "events", Signal: Saturation, Scope: Node, Default: true, Source: "/proc/net/softnet_stat column 3", Ref: softnetRef,
		Help:    "Times a CPU stopped polling with work left, its budget of packets or time used up (netdev_budget, netdev_budget_usecs).",
		Meaning: "CPUs are busy with packets to their limit: latency grows; a few a second are normal under load."},
	{Name: "cosanet_softnet_received_rps_total", Type: Counter, Unit: "events", Signal: Traffic, Scope: Node, Source: "/proc/net/softnet_stat column 10", Ref: softnetRef,
		Help: "Times a CPU was woken by another to process packets (receive packet steering)."},
	{Name: "cosanet_softnet_flow_limit_total", Type: Counter, Unit: "packets", Signal: Drop, Scope: Node, Source: "/proc/net/softnet_stat column 11", Ref: softnetRef,
		Help:    "Packets of large flows dropped to spare small ones while a CPU's backlog was filling (flow_limit_cpu_bitmap).",
		Meaning: "One flow swamps a CPU: the flow limit does its work and throws its packets away."},
	{Name: "cosanet_softnet_backlog_packets", Type: Gauge, Unit: "packets", Signal: Saturation, Scope: Node, Source: "/proc/net/softnet_stat column 12", Ref: softnetRef,
		Help:    "Packets that wait in the backlogs of the CPUs now; absent where the kernel has no such column.",
		Meaning: "Near netdev_max_backlog packets are dropped: a CPU does not keep up."},
}
