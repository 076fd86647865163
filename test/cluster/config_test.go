package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPickSubnet(t *testing.T) {
	all := subnets("cosanet")
	if got := len(all); got != 64 {
		t.Fatalf("got %d candidates, want 64", got)
	}
	prefixes := func(s ...string) (list []netip.Prefix) {
		for _, p := range s {
			list = append(list, netip.MustParsePrefix(p))
		}
		return list
	}
	inFirst := netip.PrefixFrom(all[0].Addr().Next(), 32)
	tests := []struct {
		name string
		used []netip.Prefix
		want netip.Prefix
		err  string
	}{
		{"nothing in use", nil, all[0], ""},
		{"a default route is in nobody's way", prefixes("0.0.0.0/0", "192.168.0.0/16"), all[0], ""},
		{"one address in use", []netip.Prefix{inFirst}, all[1], ""},
		{"the first two in use", []netip.Prefix{all[0], all[1]}, all[2], ""},
		{"all of 10/8 in use", prefixes("10.0.0.0/8"), netip.Prefix{}, "in use"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pickSubnet("cosanet", tt.used)
			if got != tt.want || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, %v, want %v, %q", got, err, tt.want, tt.err)
			}
		})
	}
	if subnets("cosanet")[0] == subnets("cosatest")[0] {
		t.Error("two clusters start at the same network")
	}
}

func TestAddresses(t *testing.T) {
	s := &State{Subnet: netip.MustParsePrefix("10.200.0.0/16"), Name: "cosanet", dir: "/x"}
	got := map[string]string{
		"host":       s.hostAddr().String(),
		"server":     s.serverURL(),
		"node":       s.nodeAddr(2).String(),
		"node IPv6":  s.nodeAddr6(2).String(),
		"pods":       s.podNet(2).String(),
		"pods IPv6":  s.podNet6(2).String(),
		"services":   s.serviceNet().String(),
		"kubernetes": s.apiServiceAddr().String(),
	}
	want := map[string]string{
		"host":       "10.200.0.1",
		"server":     "https://10.200.0.2",
		"node":       "10.200.0.12",
		"node IPv6":  "fdc0:5a4e:c8::c",
		"pods":       "10.200.2.0/24",
		"pods IPv6":  "fdc0:5a4e:c8:2::/64",
		"services":   "10.200.255.0/24",
		"kubernetes": "10.200.255.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"cosanet": true, "a": true, "e2e1": true, "": false, "ninechars": false, "2e": false, "a-b": false, "Up": false, "../x": false,
	} {
		if got := validName(name); got != want {
			t.Errorf("validName(%q) = %v, want %v", name, got, want)
		}
		if link := (&State{Name: name}).hostLink(); want && len(link) > 15 {
			t.Errorf("%s is no interface name: %d bytes", link, len(link))
		}
	}
}
