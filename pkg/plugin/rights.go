package plugin

import (
	"fmt"
	"slices"
	"strings"
)

// Place is where a right is asked for, in the words of the documents.
type Place string

const (
	// InCollectors is the namespace of the collector pods and of the exporter.
	InCollectors Place = "the collector's namespace"
	// InTargets is each namespace whose pods are looked at.
	InTargets Place = "the pods' namespaces"
	// InCluster is the whole cluster.
	InCluster Place = "the cluster"
)

// Right is one verb on one resource of the core API group: what a Role's rule is made of.
type Right struct {
	Where    Place
	Resource string // with its subresource: pods/log
	Verb     string
	Exporter bool   // only where an exporter is asked
	Without  string // what comes of its absence; empty: what needs it fails
}

// Rights are all that the plugin asks the API server for, beside what everybody may: no more is asked for anywhere, and
// the documents, the roles of deploy/policy and `kubectl cosanet doctor` go by this list. `serve` and `serve --remove` are for
// administrators and not in it; neither is what doctor alone looks at where it may: policies.
func Rights() []Right {
	return []Right{
		{Where: InCollectors, Resource: "pods", Verb: "create"},
		{Where: InCollectors, Resource: "pods", Verb: "get", Without: "a pod whose creation was not answered cannot be found again"},
		{Where: InCollectors, Resource: "pods", Verb: "list", Without: "what killed runs left is not deleted, and an exporter not found"},
		{Where: InCollectors, Resource: "pods", Verb: "watch"},
		{Where: InCollectors, Resource: "pods", Verb: "delete"},
		{Where: InCollectors, Resource: "pods/log", Verb: "get"},
		{Where: InCollectors, Resource: "events", Verb: "list", Without: "why a pod does not start is told in fewer words"},
		{Where: InTargets, Resource: "pods", Verb: "get", Without: "pods cannot be named, only selected"},
		{Where: InTargets, Resource: "pods", Verb: "list", Without: "pods cannot be selected, only named"},
		{Where: InCluster, Resource: "nodes", Verb: "get", Without: "that a node cannot be asked shows only when it was"},
		{Where: InCluster, Resource: "nodes", Verb: "list", Without: "--all-nodes, --node-selector and --sample fail"},
		{Where: InCluster, Resource: "namespaces", Verb: "get", Without: "collector pods go to " + homeNamespace + " only by --collector-namespace"},
		{Where: InCollectors, Resource: "pods/proxy", Verb: "get", Exporter: true, Without: "pods are made where an exporter could be asked"},
	}
}

// grant is the rights to one resource in one place: a rule of a Role.
type grant struct {
	where    Place
	resource string
	exporter bool
	rights   []Right
}

// grantsOf are some rights with those to one resource in one place together, in their order.
func grantsOf(rights []Right) []grant {
	var grants []grant
	for _, r := range rights {
		i := slices.IndexFunc(grants, func(have grant) bool { return have.where == r.Where && have.resource == r.Resource })
		if i < 0 {
			i = len(grants)
			grants = append(grants, grant{where: r.Where, resource: r.Resource, exporter: r.Exporter})
		}
		grants[i].rights = append(grants[i].rights, r)
	}
	return grants
}

// verbsOf lists the verbs of some rights.
func verbsOf(rights []Right) string {
	var verbs []string
	for _, r := range rights {
		verbs = append(verbs, r.Verb)
	}
	return strings.Join(verbs, ", ")
}

// granting is the command by which an administrator gives somebody a right that is missing, with those that belong to it.
func granting(user, verb, resource, namespace string) string {
	switch {
	case resource == "namespaces":
		return fmt.Sprintf("kubectl create clusterrole cosanet-home --verb=get --resource=namespaces --resource-name=%s && kubectl create clusterrolebinding cosanet-home --clusterrole=cosanet-home %s", homeNamespace, subject(user))
	case resource == "events":
		return fmt.Sprintf("kubectl create role cosanet-events -n %s --verb=list --resource=events && kubectl create rolebinding cosanet-events -n %[1]s --role=cosanet-events %s", namespace, subject(user))
	case namespace == "":
		return fmt.Sprintf("kubectl create clusterrole cosanet-targets --verb=get,list --resource=pods,nodes && kubectl create clusterrolebinding cosanet-targets --clusterrole=cosanet-targets %s", subject(user))
	case resource == "pods/proxy":
		return fmt.Sprintf("kubectl create role cosanet-exporter -n %s --verb=get --resource=pods/proxy && kubectl create rolebinding cosanet-exporter -n %[1]s --role=cosanet-exporter %s", namespace, subject(user))
	case (verb == "get" || verb == "list") && resource == "pods":
		return fmt.Sprintf("kubectl create rolebinding cosanet-targets -n %s --clusterrole=view %s", namespace, subject(user))
	}
	return fmt.Sprintf("kubectl create role cosanet -n %s --verb=create,get,list,watch,delete --resource=pods,pods/log && kubectl create rolebinding cosanet -n %[1]s --role=cosanet %s", namespace, subject(user))
}
