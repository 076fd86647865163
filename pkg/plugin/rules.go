package plugin

import "slices"

// rules are all that findings are made by. Where a threshold is published, it is taken from there, and source says where.
func rules() []rule { return append(ownRules(), siblingRules()...) }

// ownRules are those that judge a row by itself.
func ownRules() []rule {
	return slices.Concat(listenRules(), connectionRules(), datagramRules(), nodeRules())
}

const (
	debugPod  = "kubectl debug -n $NAMESPACE $POD -it --image=nicolaka/netshoot -- "
	debugNode = "kubectl debug node/$NODE -it --profile=sysadmin --image=nicolaka/netshoot -- "
	topPod    = "kubectl cosanet top -n $NAMESPACE $POD "
	topNodes  = "kubectl cosanet top --all-nodes "
)

// listenRules are about connections that come in.
func listenRules() []rule {
	return []rule{
		{
			id: "listen-overflows", title: "a listener accepts too slowly",
			measure: formula{sum: []string{netstat + "TcpExt_ListenOverflows"}}, unit: "connections a second are thrown away because an accept queue is full",
			levels: []level{{Warning, 1}, {Critical, 5}},
			source: "netdata, `health.d/tcp_listen.conf` (average of a minute). The alert takes the average of five minutes.",
			means:  "A program accepts connections more slowly than they come: handshakes that are complete are thrown away, and the clients wait a second or more before they try again.",
			look: "Recv-Q against Send-Q of the listening socket in `ss -lnt`: full is Recv-Q above Send-Q. The CPU limit of the pod (throttling), long garbage collections, one thread that accepts and works; the backlog that the program asks for, and " +
				"`net.core.somaxconn`, which cuts it and is each pod's own.",
			next:   []string{topPod + "--interval 5s --columns LISTENOVFL,LISTENDROP,PASSIVE,EST", debugPod + "ss -lnt"},
			shows:  fullestQueues,
			beside: []string{queueLength, queueLimit},
		},
		{
			id: "accept-queue-full", title: "an accept queue is full", unless: "listen-overflows",
			worst: fullQueues, unit: "listening sockets have no room for another connection",
			levels: []level{{Warning, 0}},
			source: "the kernel's own: a queue with more than its limit takes no further connection (`include/net/sock.h` sk_acceptq_is_full). The alert waits for five minutes: a queue that stays full.",
			means:  "Connections wait to be accepted, and there is no room for another one: the program does not accept, or not fast enough. Each further client waits and tries again.",
			look:   "Whether the queue moves at all: one that stays full belongs to a program that hangs, one that comes and goes to a burst. The CPU limit of the pod, and the backlog that the program asks for.",
			next:   []string{"kubectl cosanet explain -n $NAMESPACE $POD", debugPod + "ss -lnt"},
			beside: []string{queueLength, queueLimit},
			served: "`--collector.listen.enabled` or `--metrics=all`",
		},
		{
			id: "listen-drops", title: "connection requests are dropped, and not by a full queue",
			measure: formula{sum: []string{netstat + "TcpExt_ListenDrops"}, minus: []string{netstat + "TcpExt_ListenOverflows", netstat + "TcpExt_TCPReqQFullDrop"}}, unit: "connection requests a second are dropped, and by neither of a listener's two queues",
			levels: []level{{Warning, 1}},
			source: "netdata, `health.d/tcp_listen.conf`; the kernel counts each overflow as a drop too, so drops alone say too little (netdata/netdata#3234), and one for a full SYN queue too. The alert takes the average of five minutes, with those for a full SYN queue.",
			means:  "Connection requests are dropped at a listening socket although its queues have room.",
			look:   "Without SYN cookies the kernel keeps a quarter of `net.ipv4.tcp_max_syn_backlog` for clients that it knows: sockets in SYN-RECV. Otherwise memory of the pod and of TCP, routes back to the client (Ip_OutNoRoutes); for a full SYN queue see [CosanetSynQueueFull](#cosanetsynqueuefull).",
			next:   []string{topPod + "--interval 5s --columns LISTENDROP,LISTENOVFL,SYNQ,TcpExt_TCPReqQFullDrop,Ip_OutNoRoutes"},
		},
		{
			id: "syn-queue-full", title: "the SYN queue of a listener is full",
			measure: formula{sum: []string{netstat + "TcpExt_TCPReqQFullDrop", netstat + "TcpExt_TCPReqQFullDoCookies"}}, unit: "connection requests a second find the SYN queue full and are dropped or answered with a cookie",
			levels: []level{{Warning, 1}, {Critical, 5}},
			source: "netdata, `health.d/tcp_listen.conf`. The alert takes the average of five minutes.",
			means:  "More handshakes are half open than a listening socket may have: a flood of SYNs, or clients whose answers get lost. New requests are dropped or, with SYN cookies, answered without TCP options.",
			look:   "Sockets in SYN-RECV and where they come from; `net.ipv4.tcp_max_syn_backlog` and `net.ipv4.tcp_syncookies` in the pod; whether the way back to the clients works.",
			next:   []string{topPod + "--sockets --columns SYNRECV,SYNQ,SYNRETR,PASSIVE", debugPod + "ss -nt state syn-recv"},
		},
		{
			id: "close-wait", title: "a program does not close its connections",
			measure: formula{sum: []string{"cosanet_proc_net_tcp"}, values: []string{"CLOSE_WAIT"}}, unit: "sockets whose peer has closed, and whose program has not",
			levels: []level{{Warning, 100}, {Critical, 1000}},
			source: "this project's; none are published. A program that closes has a handful, for milliseconds. The alert waits for ten minutes (warning) and five (critical).",
			means:  "The peers have ended these connections and the program keeps them open: a leak of descriptors that ends in `too many open files`.",
			look:   "Whether the number grows, which the finding says of its interval: longer (`--interval 1m`), or over a recording, it is surer. A client library whose responses are not read to their end and closed is the usual cause; the peer in `ss` tells which.",
			next:   []string{topPod + "--sockets --interval 10s --columns CLOSEWAIT,EST,PASSIVE,ACTIVE", debugPod + "ss -ntp state close-wait"},
			grows:  growth{"in CLOSE-WAIT", "cosanet_proc_net_tcp", "CLOSE_WAIT"},
			served: "`--collector.sockproto.enabled` or `--metrics=all`",
		},
	}
}
