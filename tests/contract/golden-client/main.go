// golden-client: Kubernetes' own client (client-go) as a test's second opinion on the wire format.
//
//	golden-client URL TOKEN MANIFESTS
//
// Each object of the manifests is created twice, named NAME-json by a client that speaks JSON and NAME-protobuf by one
// that speaks protobuf; then each client reads both. The four readings must be equal but for the names and what the
// server makes anew for every object. Prints a line for each object; exit code 1 when one differs or is refused.
//
// The bytes of the protobuf bodies come from the Go types' generated marshallers: nothing here is shared with the
// server under test.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

type format struct{ suffix, contentType string }

var formats = []format{{"json", "application/json"}, {"protobuf", "application/vnd.kubernetes.protobuf"}}

// What the server makes anew for every object, beside the name.
var ownMetadata = []string{"uid", "resourceVersion", "creationTimestamp"}

// A client of one group and version that sends and accepts one format.
func clientOf(url, token string, f format, gv schema.GroupVersion) (*rest.RESTClient, error) {
	config := &rest.Config{Host: url, BearerToken: token, QPS: -1}
	config.ContentType, config.AcceptContentTypes = f.contentType, f.contentType
	config.GroupVersion, config.APIPath = &gv, "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	return rest.RESTClientFor(config)
}

// The object as its own Go type. An unknown or misspelt field is an error.
func typed(manifest []byte) (runtime.Object, schema.GroupVersionKind, error) {
	object, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(manifest, nil, nil)
	if err != nil {
		return nil, schema.GroupVersionKind{}, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(manifest)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(reflect.New(reflect.TypeOf(object).Elem()).Interface()); err != nil {
		return nil, *gvk, err
	}
	return object, *gvk, nil
}

// One object on its way: its type, and where it goes.
type subject struct {
	object   runtime.Object
	gvk      schema.GroupVersionKind
	resource string
	name, ns string
}

func subjectOf(manifest []byte) (*subject, error) {
	object, gvk, err := typed(manifest)
	if err != nil {
		return nil, err
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	plural, _ := meta.UnsafeGuessKindToResource(gvk)
	return &subject{object, gvk, plural.Resource, accessor.GetName(), accessor.GetNamespace()}, nil
}

// Sends the object in one format; what the server answered. Objects without a name (reviews) are only answered.
func (s *subject) create(client *rest.RESTClient, f format) (runtime.Object, error) {
	object := s.object.DeepCopyObject()
	accessor, err := meta.Accessor(object)
	if err != nil {
		return nil, err
	}
	if s.name != "" {
		accessor.SetName(s.name + "-" + f.suffix)
	}
	answer := client.Post().NamespaceIfScoped(s.ns, s.ns != "").Resource(s.resource).Body(object).Do(context.Background())
	var contentType string
	answer.ContentType(&contentType)
	if answer.Error() == nil && contentType != f.contentType {
		return nil, fmt.Errorf("answered as %q", contentType)
	}
	return answer.Get()
}

func (s *subject) read(client *rest.RESTClient, created format) (runtime.Object, error) {
	name := s.name + "-" + created.suffix
	return client.Get().NamespaceIfScoped(s.ns, s.ns != "").Resource(s.resource).Name(name).Do(context.Background()).Get()
}

// The object as JSON, without what is its own: NAME-protobuf reads as NAME-json.
func (s *subject) neutral(object runtime.Object) (string, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return "", err
	}
	if s.name != "" {
		text = []byte(strings.ReplaceAll(string(text), s.name+"-protobuf", s.name+"-json"))
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return "", err
	}
	delete(tree, "kind") // in a decoded answer it depends on the decoder, not on the server
	delete(tree, "apiVersion")
	if metadata, ok := tree["metadata"].(map[string]any); ok {
		for _, key := range ownMetadata {
			delete(metadata, key)
		}
	}
	if spec, ok := tree["spec"].(map[string]any); ok && s.gvk.Kind == "Service" {
		delete(spec, "clusterIP") // allocated
		delete(spec, "clusterIPs")
	}
	if s.gvk.Kind == "Pod" { // the token volume's name ends in five random letters
		return withoutTokenName(tree)
	}
	text, err = json.Marshal(tree)
	return string(text), err
}

func withoutTokenName(tree map[string]any) (string, error) {
	const prefix, letters = "kube-api-access-", 5
	text, err := json.Marshal(tree)
	parts := strings.Split(string(text), prefix)
	for i := 1; i < len(parts) && len(parts[i]) >= letters; i++ {
		parts[i] = parts[i][letters:]
	}
	return strings.Join(parts, prefix), err
}

// Creates and reads in both formats; an error names the first difference.
func check(url, token string, s *subject) error {
	clients := map[string]*rest.RESTClient{}
	var first string
	compare := func(what string, object runtime.Object) error {
		text, err := s.neutral(object)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if first == "" {
			first = text
		}
		if text != first {
			return fmt.Errorf("%s:\n  %s\ndiffers from what JSON's creation was answered with:\n  %s", what, text, first)
		}
		return nil
	}
	for _, f := range formats {
		client, err := clientOf(url, token, f, s.gvk.GroupVersion())
		if err != nil {
			return err
		}
		clients[f.suffix] = client
		object, err := s.create(client, f)
		if err != nil {
			return fmt.Errorf("created as %s: %w", f.suffix, err)
		}
		if err := compare("answer to "+f.suffix, object); err != nil {
			return err
		}
	}
	if _, stored := s.object.(interface{ GetObjectMeta() metav1.Object }); !stored || s.name == "" || s.gvk.Kind == "Binding" {
		return nil // answered, never stored
	}
	for _, created := range formats {
		for _, reader := range formats {
			object, err := s.read(clients[reader.suffix], created)
			if err != nil {
				return fmt.Errorf("created as %s, read as %s: %w", created.suffix, reader.suffix, err)
			}
			if err := compare(fmt.Sprintf("created as %s, read as %s", created.suffix, reader.suffix), object); err != nil {
				return err
			}
		}
	}
	return nil
}

func run(url, token, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	failed := 0
	for manifests := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
		var raw runtime.RawExtension
		if err := manifests.Decode(&raw); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(raw.Raw) == 0 || string(raw.Raw) == "null" {
			continue
		}
		s, err := subjectOf(raw.Raw)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", path, raw.Raw, err)
		}
		verdict := "equal"
		if err := check(url, token, s); err != nil {
			failed++
			verdict = err.Error()
		}
		fmt.Printf("%s %s: %s\n", s.gvk.GroupVersion(), s.gvk.Kind, verdict)
	}
	if failed > 0 {
		return fmt.Errorf("%d objects differ or were refused", failed)
	}
	return nil
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: golden-client URL TOKEN MANIFESTS")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "golden-client:", err)
		os.Exit(1)
	}
}
