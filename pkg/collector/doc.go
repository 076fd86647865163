// Package collector runs on a node and counts: it finds the pod sandboxes, reads what the kernel keeps in each of their
// network namespaces, and makes one metrics.Snapshot of it.
//
//	walker.go     a walk over all sandboxes, and what is kept until the next: connection, identities, memory
//	discover.go   which sandboxes are there: the container runtime's list (cri.go, criwire.go) joined with the processes of
//	              the node by their cgroups (scan.go, cgroup.go)
//	walk.go       every sandbox once, in parallel; hostNetwork and shared namespaces are one record (record.go)
//	process.go    a process pinned by a directory descriptor, so that a reused pid is never read for the one before
//	sources.go    what is read of a namespace: files, each with its parser (twoline.go, snmp6.go, sockstat.go, ...),
//	              connection tracking (conntrack.go) and sockets by state (sockets.go)
//	run.go        Snapshots at an interval, as frames on a writer
//
// Files below /proc/<pid>/net are those of the process's namespace: reading them needs neither setns nor a capability.
// A namespace is entered for netlink alone (conntrack.go where the kernel has no file, sockdiag.go). The tables /proc/<pid>/net/{tcp,tcp6,udp,udp6} are
// never opened: the kernel walks the sockets of the whole machine for each of them.
package collector
