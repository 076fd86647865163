package plugin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// apiServer speaks as much of the Kubernetes API as a run needs, over real HTTP, and fails where a test tells it to:
// what a real cluster does only by accident. The runs that go well are shown on a real one in test/e2e.
type apiServer struct {
	url string

	mu       sync.Mutex
	version  int
	pods     map[string]*corev1.Pod // by namespace/name
	nodes    []string
	watchers map[chan metav1.WatchEvent]labels.Selector // of the pods of any namespace
	creates  int
	most     int                              // collector pods that were there at the same time
	deletes  map[string]*metav1.DeleteOptions // by namespace/name
	readings map[string]int                   // of each pod's log
	asked    []url.Values                     // for logs, by which options
	events   []corev1.Event
	life     []corev1.PodStatus // what becomes of a collector pod, step by step

	// Where a test interferes; nil: nowhere.
	throttle  func(w http.ResponseWriter, r *http.Request) bool // before anything else: true when it has answered
	admit     func(pod *corev1.Pod) *metav1.Status              // before a pod is stored: may change or refuse it
	created   func(w http.ResponseWriter, pod *corev1.Pod) bool // after it was stored: true when it has answered
	log       func(w http.ResponseWriter, pod *corev1.Pod, reading int)
	deletable func(pod *corev1.Pod) *metav1.Status
	listable  func(namespace string) *metav1.Status
	watching  func(w http.ResponseWriter, nth int) bool // true when it has answered
	watches   int
	exporter  func(w http.ResponseWriter, r *http.Request, nth int) // what is behind the proxy of every pod
	proxied   []string                                              // whom the proxy was asked for

	infirmary // what doctor asks
}

var running = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
	{Name: collectorName, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
}}

func exited(code int32, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: []corev1.ContainerStatus{{
		Name:  collectorName,
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message, FinishedAt: metav1.Now(), ContainerID: "containerd://1"}},
	}}}
}

func newAPIServer(t *testing.T, nodes ...string) *apiServer {
	s := &apiServer{
		pods: map[string]*corev1.Pod{}, nodes: nodes, watchers: map[chan metav1.WatchEvent]labels.Selector{},
		deletes: map[string]*metav1.DeleteOptions{}, readings: map[string]int{}, life: []corev1.PodStatus{running},
	}
	s.log = func(w http.ResponseWriter, pod *corev1.Pod, _ int) { w.Write(framesOf(pod)) }
	mux := http.NewServeMux()
	s.infirmary.handle(mux)
	mux.HandleFunc("GET /api/v1/nodes", s.listNodes)
	mux.HandleFunc("GET /api/v1/nodes/{name}", s.getNode)
	mux.HandleFunc("GET /api/v1/pods", s.listPods)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}/pods", s.listPods)
	mux.HandleFunc("POST /api/v1/namespaces/{ns}/pods", s.createPod)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}/pods/{name}", s.getPod)
	mux.HandleFunc("DELETE /api/v1/namespaces/{ns}/pods/{name}", s.deletePod)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}/pods/{name}/log", s.podLog)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}/pods/{name}/proxy/metrics", s.proxy)
	mux.HandleFunc("GET /api/v1/namespaces/{ns}/events", func(w http.ResponseWriter, r *http.Request) {
		answer(w, &corev1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}, Items: s.events})
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.throttle == nil || !s.throttle(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.url = server.URL
	return s
}

func (s *apiServer) client(t *testing.T) kubernetes.Interface {
	client, err := kubernetes.NewForConfig(&rest.Config{Host: s.url, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	if status, ok := object.(*metav1.Status); ok && status.Code != 0 {
		w.WriteHeader(int(status.Code))
	}
	json.NewEncoder(w).Encode(object)
}

func failure(code int32, reason metav1.StatusReason, message string) *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}
}

func notFound(w http.ResponseWriter, resource, name string) {
	answer(w, failure(http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s %q not found", resource, name)))
}

func (s *apiServer) getNode(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if !slices.Contains(s.nodes, name) {
		notFound(w, "nodes", name)
		return
	}
	answer(w, s.nodeAs(name))
}

func nodeNamed(name string) *corev1.Node {
	return &corev1.Node{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Node"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{
			NodeInfo:   corev1.NodeSystemInfo{OperatingSystem: "linux", KubeletVersion: "v1.37.2"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

func (s *apiServer) listNodes(w http.ResponseWriter, r *http.Request) {
	list := &corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	for _, name := range s.nodes {
		if node := s.nodeAs(name); err == nil && selector.Matches(labels.Set(node.Labels)) {
			list.Items = append(list.Items, *node)
		}
	}
	answer(w, list)
}

// listPods lists, in pages where asked to, or watches.
func (s *apiServer) listPods(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Get("watch") != "" {
		s.watch(w, r)
		return
	}
	if s.listable != nil {
		if status := s.listable(r.PathValue("ns")); status != nil {
			answer(w, status)
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for key, pod := range s.pods {
		ns := r.PathValue("ns")
		selector, err := labels.Parse(query.Get("labelSelector"))
		on, byNode := strings.CutPrefix(query.Get("fieldSelector"), "spec.nodeName=")
		if err == nil && (ns == "" || strings.HasPrefix(key, ns+"/")) && (!byNode || pod.Spec.NodeName == on) && selector.Matches(labels.Set(pod.Labels)) {
			list.Items = append(list.Items, *pod)
		}
	}
	slices.SortFunc(list.Items, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	from, _ := strconv.Atoi(query.Get("continue"))
	list.Items = list.Items[from:]
	if limit, _ := strconv.Atoi(query.Get("limit")); limit > 0 && len(list.Items) > limit {
		list.Items, list.Continue = list.Items[:limit], strconv.Itoa(from+limit)
	}
	answer(w, list)
}

func (s *apiServer) createPod(w http.ResponseWriter, r *http.Request) {
	pod := new(corev1.Pod)
	if err := json.NewDecoder(r.Body).Decode(pod); err != nil {
		answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error()))
		return
	}
	if r.URL.Query().Get("dryRun") == "" {
		s.mu.Lock()
		s.creates++
		s.mu.Unlock()
	}
	if s.admit != nil {
		if status := s.admit(pod); status != nil {
			answer(w, status)
			return
		}
	}
	if pod.Namespace = r.PathValue("ns"); r.URL.Query().Get("dryRun") != "" {
		answer(w, pod)
		return
	}
	pod.CreationTimestamp = metav1.Now()
	s.put(pod)
	s.tell("ADDED", pod)
	if s.created != nil && s.created(w, pod) {
		return
	}
	answer(w, pod)
	go s.live(pod.DeepCopy())
}

// put stores a pod as it is.
func (s *apiServer) put(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	pod.ResourceVersion = strconv.Itoa(s.version)
	pod.UID = cmp.Or(pod.UID, types.UID("uid-of-"+pod.Name))
	s.pods[pod.Namespace+"/"+pod.Name] = pod.DeepCopy()
	s.most = max(s.most, len(s.pods))
}

// live runs a collector pod through its life.
func (s *apiServer) live(pod *corev1.Pod) { s.through(pod, s.life) }

// through runs a pod through a life of its own.
func (s *apiServer) through(pod *corev1.Pod, life []corev1.PodStatus) {
	for _, status := range life {
		time.Sleep(5 * time.Millisecond) // so that watchers see more than the last step
		pod.Spec.NodeName = pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
		s.step(pod, status)
	}
}

func (s *apiServer) step(pod *corev1.Pod, status corev1.PodStatus) {
	s.mu.Lock()
	_, there := s.pods[pod.Namespace+"/"+pod.Name]
	s.mu.Unlock()
	if !there {
		return
	}
	pod.Status = status
	s.put(pod)
	s.tell("MODIFIED", pod)
}

func (s *apiServer) tell(event string, pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object, _ := json.Marshal(pod)
	for channel, of := range s.watchers {
		if of.Matches(labels.Set(pod.Labels)) {
			e := metav1.WatchEvent{Type: event}
			e.Object.Raw = object
			channel <- e
		}
	}
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.watches++
	nth := s.watches
	s.mu.Unlock()
	if s.watching != nil && s.watching(w, nth) {
		return
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil || r.URL.Query().Get("resourceVersion") != "0" {
		answer(w, failure(http.StatusBadRequest, metav1.StatusReasonBadRequest, "no watch of a run: "+r.URL.String()))
		return
	}
	events := make(chan metav1.WatchEvent, 1000)
	s.mu.Lock()
	s.watchers[events] = selector
	for _, pod := range s.pods {
		if selector.Matches(labels.Set(pod.Labels)) {
			e := metav1.WatchEvent{Type: "ADDED"}
			e.Object.Raw, _ = json.Marshal(pod)
			events <- e
		}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, events)
	}()
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	out := json.NewEncoder(w)
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			out.Encode(e)
			w.(http.Flusher).Flush()
		}
	}
}

// watched tells whether somebody watches a pod.
func (s *apiServer) watched(pod *corev1.Pod) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.watchers {
		if of.Matches(labels.Set(pod.Labels)) {
			return true
		}
	}
	return false
}

func (s *apiServer) getPod(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	pod := s.pods[r.PathValue("ns")+"/"+r.PathValue("name")]
	s.mu.Unlock()
	if pod == nil {
		notFound(w, "pods", r.PathValue("name"))
		return
	}
	answer(w, pod)
}

func (s *apiServer) deletePod(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("ns") + "/" + r.PathValue("name")
	opts := new(metav1.DeleteOptions)
	json.NewDecoder(r.Body).Decode(opts)
	s.mu.Lock()
	pod := s.pods[key]
	s.mu.Unlock()
	if pod == nil {
		notFound(w, "pods", r.PathValue("name"))
		return
	}
	if s.deletable != nil {
		if status := s.deletable(pod); status != nil {
			answer(w, status)
			return
		}
	}
	s.mu.Lock()
	delete(s.pods, key)
	s.deletes[key] = opts
	s.mu.Unlock()
	s.tell("DELETED", pod)
	answer(w, pod)
}

func (s *apiServer) podLog(w http.ResponseWriter, r *http.Request) {
	key := r.PathValue("ns") + "/" + r.PathValue("name")
	s.mu.Lock()
	pod := s.pods[key]
	s.readings[key]++
	s.asked = append(s.asked, r.URL.Query())
	reading := s.readings[key]
	s.mu.Unlock()
	if pod == nil {
		notFound(w, "pods", r.PathValue("name"))
		return
	}
	s.log(w, pod, reading)
}

// left are the collector pods that are still there.
func (s *apiServer) left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []string
	for key, pod := range s.pods {
		if pod.Labels[managedByLabel] == managedBy {
			left = append(left, key)
		}
	}
	return left
}
