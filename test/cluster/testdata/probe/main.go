// Command probe is what the cluster's tests run in pods: `probe serve` answers HTTP on port 8080 with its host name,
// `probe get URL` fetches, `probe root` lists what a privileged pod sees of its node.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: probe serve | get URL | root")
	}
	switch os.Args[1] {
	case "serve":
		name, err := os.Hostname()
		if err != nil {
			log.Fatal(err)
		}
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, name) })
		log.Fatal(http.ListenAndServe(":8080", nil))
	case "get":
		client := http.Client{Timeout: 10 * time.Second}
		resp, err := client.Get(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
			log.Fatal(err)
		}
	case "root":
		for _, path := range []string{"/proc/1/root/run/containerd/containerd.sock", "/proc/1/root/proc/1/ns/net"} {
			if _, err := os.Stat(path); err != nil {
				log.Fatal(err)
			}
		}
		cmdline, err := os.ReadFile("/proc/1/cmdline")
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", cmdline)
	}
}
