package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// objectServer stores whatever is applied, by its path, and refuses what a test tells it to. The installation that goes
// well is shown on a real cluster in test/e2e.
type objectServer struct {
	url string

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path
	writes  []string                              // "PATCH /api/v1/..." of what was not a dry run
	applied func(object *unstructured.Unstructured)
	refuse  func(r *http.Request) *metav1.Status // nil to let it pass
	stuck   bool                                 // what is deleted stays
	touched appsv1.DaemonSetStatus               // of a DaemonSet, once it is changed by other than an apply
}

func newObjectServer(t *testing.T) *objectServer {
	s := &objectServer{objects: map[string]*unstructured.Unstructured{}}
	s.applied = func(object *unstructured.Unstructured) {}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// installation is one into the namespace cosanet of the server.
func (s *objectServer) installation(t *testing.T) (i *installation, out, errOut *bytes.Buffer) {
	t.Helper()
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	config := &rest.Config{Host: s.url, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	i = &installation{namespace: homeNamespace, dryRun: "none", timeout: 20 * time.Second, patience: time.Second, streams: streams}
	printer, err := genericclioptions.NewPrintFlags("serverside-applied").ToPrinter()
	if err != nil {
		t.Fatal(err)
	}
	i.printer = &objectPrinter{out: out, printer: printer}
	if i.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if i.dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if i.metadata, err = metadata.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	return i, out, errOut
}

func (s *objectServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if status := s.refuse(r); status != nil {
			answer(w, status)
			return
		}
	}
	steps := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	name := steps[len(steps)-1]
	object := s.objects[r.URL.Path]
	dry := r.URL.Query().Get("dryRun") != ""
	if r.Method == http.MethodDelete { // of which the options are in the body
		var options metav1.DeleteOptions
		if err := json.NewDecoder(r.Body).Decode(&options); err != nil {
			answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
			return
		}
		dry = len(options.DryRun) > 0
	}
	if !dry && r.Method != http.MethodGet {
		s.writes = append(s.writes, r.Method+" "+r.URL.Path)
	}
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusCreated)
		io.Copy(w, r.Body)
	case r.Method == http.MethodPatch:
		s.patch(w, r, dry)
	case object == nil && slices.Contains([]string{"pods", "events", "controllerrevisions", "deployments", "daemonsets", "statefulsets", "jobs", "cronjobs",
		"persistentvolumeclaims", "services", "configmaps", "secrets", "serviceaccounts", "roles", "rolebindings"}, name):
		s.list(w, r)
	case object == nil:
		notFound(w, steps[len(steps)-2], name)
	case r.Method == http.MethodDelete:
		if !s.stuck && !dry {
			delete(s.objects, r.URL.Path)
		}
		answer(w, object)
	default:
		answer(w, object)
	}
}

func (s *objectServer) patch(w http.ResponseWriter, r *http.Request, dry bool) {
	if object := s.objects[r.URL.Path]; object != nil && r.Header.Get("Content-Type") == string(types.MergePatchType) {
		object.Object["status"], _ = runtime.DefaultUnstructuredConverter.ToUnstructured(&s.touched)
		answer(w, object)
		return
	}
	if q := r.URL.Query(); r.Header.Get("Content-Type") != string(types.ApplyPatchType) || q.Get("fieldManager") != managedBy {
		answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "no apply of kubectl-cosanet: "+r.URL.String()))
		return
	}
	object := &unstructured.Unstructured{}
	if err := json.NewDecoder(r.Body).Decode(&object.Object); err != nil {
		answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
		return
	}
	if !dry {
		object.SetUID(types.UID("uid-of-" + object.GetName()))
		s.objects[r.URL.Path] = object
		s.applied(object)
	}
	answer(w, object)
}

// put stores an object as it is; it must have a kind.
func (s *objectServer) put(object *unstructured.Unstructured) {
	gvk := object.GroupVersionKind()
	root := "/apis/" + gvk.Group
	if gvk.Group == "" {
		root = "/api"
	}
	path := root + "/" + gvk.Version
	if ns := object.GetNamespace(); ns != "" {
		path += "/namespaces/" + ns
	}
	s.objects[path+"/"+resourceOf(object).Resource+"/"+object.GetName()] = object
}

// list answers with what is stored below a path.
func (s *objectServer) list(w http.ResponseWriter, r *http.Request) {
	kind := map[string]string{"pods": "PodList", "events": "EventList", "controllerrevisions": "ControllerRevisionList"}[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]]
	version := strings.TrimPrefix(strings.TrimPrefix(r.URL.Path[:strings.Index(r.URL.Path, "/namespaces/")], "/apis/"), "/api/")
	if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
		kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
	}
	items := []any{}
	for path, object := range s.objects {
		if rest, ok := strings.CutPrefix(path, r.URL.Path+"/"); ok && !strings.Contains(rest, "/") {
			items = append(items, object.Object)
		}
	}
	answer(w, map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{}, "items": items})
}

// thing is an object of somebody's.
func thing(apiVersion, kind, name string, labels map[string]string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	object.SetName(name)
	object.SetUID(types.UID("uid-of-" + name))
	object.SetLabels(labels)
	if kind != "Namespace" {
		object.SetNamespace(homeNamespace)
	}
	return object
}

// refusing refuses every request whose method and path have these words.
func refusing(words string, code int32, reason metav1.StatusReason, message string) func(*http.Request) *metav1.Status {
	return func(r *http.Request) *metav1.Status {
		if strings.Contains(fmt.Sprint(r.Method, " ", r.URL.Path), words) {
			return failure(code, reason, message)
		}
		return nil
	}
}
