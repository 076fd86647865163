package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// api asks the cluster's apiserver as its admin.
type api struct {
	client *http.Client
	url    string
	token  string
}

func (s *State) api() (*api, error) {
	ca, err := os.ReadFile(s.pki("ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}} // and no proxy
	return &api{&http.Client{Transport: transport, Timeout: 5 * time.Second}, s.serverURL(), s.Tokens[adminUser]}, nil
}

func (a *api) get(ctx context.Context, path string) ([]byte, error) {
	return a.getAs(ctx, path, "application/json")
}

// getAs is get for an answer in another form.
func (a *api) getAs(ctx context.Context, path, mediaType string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.url+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Accept", mediaType)
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return body, nil
}

// nodeStatus is what a cluster needs to know of a Node object.
type nodeStatus struct {
	name, version string
	ready         bool   // Ready, and free of the taint it started with
	why           string // when it is not
}

// nodes lists the nodes that are real.
func (a *api) nodes(ctx context.Context) ([]nodeStatus, error) {
	body, err := a.get(ctx, "/api/v1/nodes?labelSelector=cosanet.io/hollow!=true")
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return parseNodes(body)
}

func parseNodes(body []byte) ([]nodeStatus, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Taints []struct{ Key string } }
			Status   struct {
				Conditions []struct{ Type, Status, Message string }
				NodeInfo   struct{ KubeletVersion string }
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	var nodes []nodeStatus
	for _, item := range list.Items {
		n := nodeStatus{name: item.Metadata.Name, version: item.Status.NodeInfo.KubeletVersion, why: "has not reported yet"}
		for _, c := range item.Status.Conditions {
			if c.Type == "Ready" {
				n.ready, n.why = c.Status == "True", c.Message
			}
		}
		for _, t := range item.Spec.Taints {
			if n.ready && strings.HasPrefix(t.Key, "node.kubernetes.io/") {
				n.ready, n.why = false, "tainted "+t.Key
			}
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// hollowNodes counts the hollow nodes. It asks for the table that kubectl shows: a thousand whole nodes are megabytes.
func (a *api) hollowNodes(ctx context.Context) (all, ready int, err error) {
	const table = "application/json;as=Table;v=v1;g=meta.k8s.io"
	body, err := a.getAs(ctx, "/api/v1/nodes?labelSelector=cosanet.io/hollow=true&includeObject=None", table)
	if err != nil {
		return 0, 0, fmt.Errorf("listing the hollow nodes: %w", err)
	}
	return parseNodeTable(body)
}

// parseNodeTable counts the rows of a table of nodes, and those whose status is Ready.
func parseNodeTable(body []byte) (all, ready int, err error) {
	var table struct {
		ColumnDefinitions []struct{ Name string }
		Rows              []struct{ Cells []any }
	}
	if err := json.Unmarshal(body, &table); err != nil {
		return 0, 0, fmt.Errorf("listing the hollow nodes: %w", err)
	}
	for _, row := range table.Rows {
		all++
		for i, column := range table.ColumnDefinitions {
			if column.Name == "Status" && i < len(row.Cells) && row.Cells[i] == "Ready" {
				ready++
			}
		}
	}
	return all, ready, nil
}
