package main

import (
	"strings"
)

// mount is a line of /proc/PID/mountinfo.
type mount struct {
	path, fstype string
	root         string // the folder of the file system that is mounted; of nsfs the namespace, as net:[INODE]
	super        string // the options of the file system itself
}

// parseMounts reads /proc/PID/mountinfo (man 5 proc_pid_mountinfo): after a varying number of fields a lone dash
// comes, and then the type, the source and the options of the file system. A line that is not so is passed over.
func parseMounts(mountinfo string) []mount {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var list []mount
	for line := range strings.Lines(mountinfo) {
		before, after, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		fields, super := strings.Fields(before), strings.Fields(after)
		if len(fields) >= 6 && len(super) >= 3 {
			list = append(list, mount{unescape.Replace(fields[4]), super[0], unescape.Replace(fields[3]), super[2]})
		}
	}
	return list
}
