package webhook

import (
	"encoding/json"
	"mime"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// vector is one request that a sender's own library made or judged.
type vector struct {
	Scheme           string            `json:"scheme"`
	Name             string            `json:"name"`
	Secret           *string           `json:"secret"`
	ToleranceSeconds *int              `json:"toleranceSeconds"`
	OrganizationID   string            `json:"organizationId"`
	VerifyAt         int64             `json:"verifyAt"`
	Headers          map[string]string `json:"headers"`
	Body             []byte            `json:"bodyBase64"`
	Expect           string            `json:"expect"`
	Reason           string            `json:"reason"`
	Ack              string            `json:"ack"`
	Nack             string            `json:"nack"`
	LibrarySaw       json.RawMessage   `json:"librarySaw"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/webhook-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 17 {
		t.Fatalf("%d vectors, want 17", len(file.Vectors))
	}
	return file.Vectors
}

const bearerToken = "tok-123"

func (v *vector) verify() Verify {
	w := Verify{Scheme: v.Scheme, Organization: v.OrganizationID}
	if v.Secret != nil {
		w.Secrets = []strictyaml.Secret{strictyaml.NewSecret(*v.Secret)}
	}
	if v.ToleranceSeconds != nil {
		w.Tolerance = time.Duration(*v.ToleranceSeconds) * time.Second
	}
	if v.Scheme == "cloudevents" { // the vectors are about the format; the proof goes beside it
		w.Secrets = []strictyaml.Secret{strictyaml.NewSecret(bearerToken)}
	}
	return w
}

func (v *vector) header() http.Header {
	h := http.Header{}
	for name, value := range v.Headers {
		h.Set(name, value)
	}
	if v.Scheme == "cloudevents" {
		h.Set("Authorization", "Bearer "+bearerToken)
	}
	return h
}

func (v *vector) request() *request {
	h := v.header()
	media, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return &request{header: h, media: media, body: v.Body, now: time.Unix(v.VerifyAt, 0)}
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Scheme+"/"+v.Name, func(t *testing.T) {
			s, err := newScheme(v.verify())
			if err != nil {
				t.Fatal(err)
			}
			err = s.verify(v.request())
			if valid := err == nil; valid != (v.Expect == "valid") {
				t.Fatalf("%s: got %v, want %s", v.Reason, err, v.Expect)
			}
		})
	}
}

// TestVectorsUnpacked compares what the hub makes of a body with what the sender's library saw in it.
func TestVectorsUnpacked(t *testing.T) {
	for _, v := range vectors(t) {
		if v.Expect != "valid" || v.LibrarySaw == nil {
			continue
		}
		t.Run(v.Scheme+"/"+v.Name, func(t *testing.T) {
			s, err := newScheme(v.verify())
			if err != nil {
				t.Fatal(err)
			}
			r := v.request()
			if err := s.verify(r); err != nil {
				t.Fatal(err)
			}
			got, err := s.unpack(r)
			if err != nil || len(got) != 1 {
				t.Fatalf("%d deliveries, %v", len(got), err)
			}
			doc := parse(t, got[0].body)
			saw := parse(t, v.LibrarySaw)
			switch v.Scheme {
			case "cloudevents":
				if !doc.Equal(saw.Get("data")) {
					t.Errorf("data %s", got[0].body)
				}
				for name, value := range saw.Members() {
					if name != "data" && name != "datacontenttype" && got[0].headers["ce-"+name] != value.Str() {
						t.Errorf("attribute %s is %q, want %q", name, got[0].headers["ce-"+name], value.Str())
					}
				}
				if got[0].trace != saw.Get("traceparent").Str() || got[0].id != "/erp/s4/1010/A234-1234-1234" {
					t.Errorf("trace %q, id %q", got[0].trace, got[0].id)
				}
			case "salesforce-outbound":
				if got[0].headers["salesforce-notification"] != saw.Get("notificationIds").Index(0).Str() || got[0].headers["salesforce-object"] != "Account" {
					t.Errorf("headers %v", got[0].headers)
				}
				for name, value := range saw.Get("sObject").Members() {
					if name != "attributes" && doc.Get(name).Str() != value.Str() {
						t.Errorf("field %s is %q, want %q", name, doc.Get(name).Str(), value.Str())
					}
				}
			}
		})
	}
}

func parse(t testing.TB, b []byte) jsondoc.Value {
	t.Helper()
	d, err := jsondoc.Parse(b, jsondoc.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return d.Root()
}
