package recording_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/waybill-hub/waybill/connectors"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/manifest"
	"github.com/waybill-hub/waybill/internal/recording"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

const vendor = `manifest: club
title: Club
connector: rest
settings: {branch: {doc: the branch, required: true, example: north}}
system:
  url: https://${setting:branch}.club.example/v1
  auth: {client-credentials: {token-url: /oauth/token}}
  defaults:
    external-id: reference
    version: changed
    etag: header
    list: {items: data, paging: {style: next-url, next: next, stable: true}, changed-since: {parameter: since}}
  objects: {member: {path: members, find: {natural: {mail: "{mail}"}}}}
example: {branch: north, auth: {client-credentials: {id: hub, secret: "${env:CLUB_SECRET}"}}}
personal: [name, mail, phone]
proof: {on: stand-in, what: a test}
claims: [{of: auth, says: none, source: "seen: here"}]
`

const script = `recording: members
manifest: club
on: stand-in
made: in a test
steps:
  - name: made
    create: {object: member, external: 7f3e0000-0000-5000-8000-000000000001, doc: '{"name":"Grace Hopper","mail":"grace@navy.mil","phone":"+1 202 555 9999"}'}
  - name: polled
    poll: {object: member}
  - name: changed
    update: {object: member, local: "@made", doc: '{"friend":"@made"}'}
  - name: gone
    find: {object: member, local: nobody}
  - name: found
    find: {object: member, natural: {mail: grace@navy.mil}}
`

// club is a service with a login, pages that name its own host, and a person.
func club(t *testing.T) *httptest.Server {
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/oauth/token" {
			_, _ = io.WriteString(w, `{"access_token":"eyJhbGciOiJIUzI1NiJ9.very-secret","token_type":"Bearer","expires_in":3600}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer eyJhbGciOiJIUzI1NiJ9.very-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		one := `{"id":"M-1","name":"Grace Hopper","mail":"grace@navy.mil","phone":"+1 202 555 9999","sponsor":"Ada <ada@royal.society>","reference":"7f3e0000-0000-5000-8000-000000000001","changed":"2026-11-30T10:00:00Z"}`
		w.Header().Set("Set-Cookie", "session=0123456789abcdef; Path=/")
		w.Header().Set("ETag", `"v1"`)
		switch {
		case r.Method == http.MethodPost, r.Method == http.MethodPatch:
			_, _ = io.WriteString(w, one)
		case r.URL.Path == "/v1/members" && r.URL.Query().Get("page") == "":
			_, _ = fmt.Fprintf(w, `{"data":[%s],"next":"%s/v1/members?page=2"}`, one, s.URL)
		case r.URL.Path == "/v1/members":
			_, _ = io.WriteString(w, `{"data":[]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprintf(w, `{"error":"no %s","body":%q}`, r.URL.Path, body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func world(t *testing.T) recording.World {
	t.Helper()
	kinds, err := connector.NewRegistry(connectors.All()...)
	if err != nil {
		t.Fatal(err)
	}
	return recording.World{Kinds: kinds.Map(), Manifests: manifest.New(manifest.File{Name: "club.yaml", Data: []byte(vendor)})}
}

func read(t *testing.T, file string, data []byte) *recording.Recording {
	t.Helper()
	var p strictyaml.Problems
	r := recording.Read(file, data, os.DirFS(filepath.Dir(file)), &p)
	if r == nil {
		t.Fatalf("%v\n%s", p.Err(), data)
	}
	return r
}

// TestRecordAndReplay: what is recorded on a service plays without it, through the real connector, and holds no secret, no token, no address of the service
// and no person.
func TestRecordAndReplay(t *testing.T) {
	t.Setenv("REAL_SECRET", "hush-hush-hush")
	w, s := world(t), club(t)
	var p strictyaml.Problems
	n := strictyaml.Parse("configs/waybill.yaml", []byte("connector: rest\nurl: "+s.URL+"/v1\nauth: {client-credentials: {token-url: /oauth/token, id: real-hub, secret: \"${env:REAL_SECRET}\"}}\n"+
		"objects: {member: {path: members, external-id: reference, version: changed, etag: header, find: {natural: {mail: \"{mail}\"}}, list: {items: data, paging: {style: next-url, next: next, stable: true}, changed-since: {parameter: since}}}}\n"), &p)[0]
	file := filepath.Join(t.TempDir(), "members.yaml")
	r := read(t, file, []byte(script))
	if err := w.Record(t.Context(), r, w.Kinds["rest"], connector.Settings{Name: "club", Node: n}); err != nil {
		t.Fatal(err)
	}
	files := r.Write()
	text := string(files[0].Data)
	for _, private := range []string{"hush-hush", "very-secret", "0123456789abcdef", "real-hub", "127.0.0.1", "Grace", "grace@navy", "202 555", "ada@royal", "Basic ", "Bearer ey"} {
		if strings.Contains(text, private) {
			t.Errorf("the recording holds %q:\n%s", private, text)
		}
	}
	s.Close()
	again := read(t, file, files[0].Data)
	troubles, err := w.Replay(t.Context(), again, false)
	if err != nil || len(troubles) > 0 {
		t.Fatalf("%v %v\n%s", err, troubles, text)
	}
	if got := string(again.Write()[0].Data); got != text {
		t.Errorf("a recording that was read is written otherwise:\n%s\nwant\n%s", got, text)
	}
	if n := strings.Count(text, "person-2@example.com"); n < 4 || strings.Count(text, "person-2%40example.com") != 1 {
		t.Errorf("the mail address has not one stand-in everywhere, in documents and in the address of the look-up:\n%s", text)
	}
}

// TestAnotherLogin: a secret whose place the recording's system has not stays in no recording either, in whatever form it goes over the line.
func TestAnotherLogin(t *testing.T) {
	const real = `pass "word" & more`
	t.Setenv("REAL_SECRET", real)
	w := world(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/v1/token" {
			_, _ = fmt.Fprintf(w, `{"token":"token-of-the-club","said":%q,"sent":%s}`, r.URL.RawQuery, body)
			return
		}
		_, _ = io.WriteString(w, `{"data":[]}`)
	}))
	defer s.Close()
	var p strictyaml.Problems
	n := strictyaml.Parse("configs/waybill.yaml", []byte("connector: rest\nurl: "+s.URL+"/v1\nauth: {login: {path: token, query: {key: \"{secret}\"}, body: {key: \"{secret}\"}, secret: \"${env:REAL_SECRET}\", token: token, header: X-Club}}\n"+
		"objects: {member: {path: members, version: changed, list: {items: data}}}\n"), &p)[0]
	r := read(t, filepath.Join(t.TempDir(), "members.yaml"), []byte("recording: members\nmanifest: club\non: stand-in\nmade: in a test\nsteps: [{name: polled, poll: {object: member}}]\n"))
	if err := w.Record(t.Context(), r, w.Kinds["rest"], connector.Settings{Name: "club", Node: n}); err != nil {
		t.Fatal(err)
	}
	if text := string(r.Write()[0].Data); strings.Contains(text, "pass") || strings.Contains(text, "word") || !strings.Contains(text, "stand-in-token") {
		t.Errorf("the recording holds the secret:\n%s", text)
	}
}

// TestPlayerAnswersNothingElse: each way in which a connector can differ from what was recorded is told.
func TestPlayerAnswersNothingElse(t *testing.T) {
	w := world(t)
	whole := `recording: members
manifest: club
on: stand-in
made: by hand
steps:
  - name: changed
    update: {object: member, local: M-1, doc: '{"name":"Person 1"}'}
    exchanges:
      - ask: POST /oauth/token
        headers: {Content-Type: application/x-www-form-urlencoded}
        proof: ["Authorization: Basic"]
        body: grant_type=client_credentials
        answer: '{"access_token":"stand-in-token-1"}'
      - ask: PATCH /v1/members/M-1
        proof: ["Authorization: Bearer"]
        body: '{"name": "Person 1"}'
        answer: '{"id": "M-1", "name": "Person 1"}'
    want: {local: M-1, doc: '{"id": "M-1", "name": "Person 1"}'}
`
	for name, c := range map[string]struct{ from, to, want string }{
		"as recorded":          {"", "", ""},
		"another address":      {"PATCH /v1/members/M-1", "PATCH /v1/members/M-2", "not PATCH /v1/members/M-2: the address is /v1/members/M-1"},
		"another method":       {"PATCH /v1", "PUT /v1", "the method is PATCH"},
		"another body":         {"body: '{\"name\": \"Person 1\"}'", "body: '{\"name\": \"Person 2\"}'", "the body is {\"name\":\"Person 1\"}"},
		"a number as a text":   {"body: '{\"name\": \"Person 1\"}'", "body: '{\"name\": 1}'", "the body is"},
		"no proof":             {"Authorization: Bearer", "X-Key", "the hub proves itself by [Authorization: Bearer]"},
		"a header more":        {"        proof: [\"Authorization: Bearer\"]", "        headers: {If-Match: '\"1\"'}\n        proof: [\"Authorization: Bearer\"]", "the header If-Match is \"\""},
		"asked too seldom":     {"ask: PATCH /v1/members/M-1", "ask: PATCH /v1/members/M-1\n        times: 2", "was recorded, and not asked so often"},
		"another outcome":      {"want: {local: M-1", "want: {local: M-2", "changed: the id: want M-2, got M-1"},
		"another document":     {"want: {local: M-1, doc: '{\"id\": \"M-1\"", "want: {local: M-1, doc: '{\"id\": \"M-3\"", "changed: the document: want"},
		"a failure was wanted": {"want: {local: M-1, doc: '{\"id\": \"M-1\", \"name\": \"Person 1\"}'}", "want: {fault: {kind: conflict}}", "want conflict: , got no failure"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(whole, c.from, c.to, 1)
			if c.from != "" && text == whole {
				t.Fatal("nothing was changed")
			}
			troubles, err := w.Replay(t.Context(), read(t, "members.yaml", []byte(text)), false)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(troubles, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
				t.Errorf("told:\n%s\nwant %s", got, c.want)
			}
		})
	}
}

// TestReadProblems: what is wrong with a recording is told with its place.
func TestReadProblems(t *testing.T) {
	for name, c := range map[string]struct{ steps, want string }{
		"two things":       {"[{name: a, poll: {object: x}, probe: {}}]", `f.yaml:5:9: the step "a" does 2 things (write one of create, update, delete, find, poll, list, probe, receive)`},
		"nothing":          {"[{name: a}]", `the step "a" does 0 things`},
		"twice":            {"[{name: a, probe: {}}, {name: a, probe: {}}]", `there is a step "a" already (rename one of them)`},
		"no address":       {"[{name: a, probe: {}, exchanges: [{ask: GET}]}]", `ask: "GET" is no method and address (write for example GET /v1/orders)`},
		"two answers":      {"[{name: a, probe: {}, exchanges: [{ask: GET /, answer: x, answer-file: y}]}]", `an exchange has one answer (remove one of the two)`},
		"asked never":      {"[{name: a, probe: {}, exchanges: [{ask: GET /, times: 0}]}]", `times: 0 (write how often it is asked, or remove the exchange)`},
		"no status":        {"[{name: a, probe: {}, exchanges: [{ask: GET /, status: 20}]}]", `status: 20 (write a status from 200 to 599)`},
		"an unknown thing": {"[{name: a, prode: {}}]", `unknown key "prode" (did you mean "probe"?)`},
	} {
		var p strictyaml.Problems
		if r := recording.Read("f.yaml", []byte("recording: r\nmanifest: club\non: stand-in\nmade: x\nsteps: "+c.steps+"\n"), fstest.MapFS{}, &p); r != nil || !strings.Contains(p.Err().Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, p.Err(), c.want)
		}
	}
}

// TestReceive: what a vendor posts to a webhook is read as the manifest's webhook says, and what it is made of is held against the recording; a body that the webhook would refuse is a failure of the step, and a manifest without XML has
// none to receive.
func TestReceive(t *testing.T) {
	files := []manifest.File{{Name: "erp.yaml", Data: []byte(`manifest: erp
title: ERP
connector: soap
system: {url: https://erp.example, envelope: none, objects: {order: {}}}
webhook: {verify: {scheme: bearer}, xml: {form: idoc, names: {E1EDK01: head}}}
example: {}
proof: {on: stand-in, what: a test}
claims: [{of: auth, says: none, source: "seen: here"}]
`)}, {Name: "club.yaml", Data: []byte(vendor)}}
	w := recording.World{Kinds: world(t).Kinds, Manifests: manifest.New(files...)}
	const steps = `recording: orders
manifest: erp
on: stand-in
made: in a test
steps:
  - name: two orders
    receive: {object: order, body: '<ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><MANDT>100</MANDT><DOCNUM>7</DOCNUM><SNDPRN>ECC</SNDPRN></EDI_DC40><E1EDK01 SEGMENT="1"><BELNR>0047</BELNR></E1EDK01></IDOC><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>8</DOCNUM></EDI_DC40></IDOC></ORDERS05>'}
    want:
      records:
        - {local: 100.ECC.7, doc: '{"EDI_DC40":{"MANDT":"100","DOCNUM":"7","SNDPRN":"ECC"},"head":[{"BELNR":"0047"}]}'}
        - {local: ..8, doc: '{"EDI_DC40":{"DOCNUM":"8"}}'}
  - name: no order
    receive: {object: order, body: "<ORDERS05/>"}
    want: {fault: {kind: error, text: "400: the body holds no IDOC"}}
`
	r := read(t, "orders.yaml", []byte(steps))
	if troubles, err := w.Replay(t.Context(), r, false); err != nil || len(troubles) > 0 {
		t.Errorf("%v %v", troubles, err)
	}
	if got := r.Asked(); len(got) != 1 || got[0] != "receive order" {
		t.Errorf("it does %v", got)
	}
	if docs, _ := r.Documents("order"); len(docs) != 2 {
		t.Errorf("%d documents were read: %v", len(docs), docs)
	}
	again := read(t, "orders.yaml", r.Write()[0].Data)
	if troubles, err := w.Replay(t.Context(), again, false); err != nil || len(troubles) > 0 {
		t.Errorf("as it is written: %v %v", troubles, err)
	}
	for old, new := range map[string]string{">0047<": ">0048<", "<DOCNUM>8": "<DOCNUM>9", "<ORDERS05/>": "<ORDERS05><IDOC/></ORDERS05>"} {
		changed := read(t, "orders.yaml", []byte(strings.Replace(steps, old, new, 1)))
		if troubles, err := w.Replay(t.Context(), changed, false); err != nil || len(troubles) == 0 {
			t.Errorf("with %s: %v %v", new, troubles, err)
		}
	}
	other := read(t, "orders.yaml", []byte(strings.Replace(steps, "manifest: erp", "manifest: club", 1)))
	if _, err := w.Replay(t.Context(), other, false); err == nil || !strings.Contains(err.Error(), "says nothing of xml") {
		t.Errorf("of a manifest without XML: %v", err)
	}
}

// TestTokenWithoutAScheme: a token that stands alone in Authorization is in no file, neither as what proves the hub nor in the answer that gave it, and the token of a row that was read goes along with a later write.
func TestTokenWithoutAScheme(t *testing.T) {
	const token = "b/XdI6IQzCviZOGJ0E+002=="
	t.Setenv("DESK_SECRET", "stand-in-secret")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"row-1"`)
		switch {
		case r.URL.Path == "/token":
			_, _ = io.WriteString(w, `{"Token":"`+token+`"}`)
		case r.Header.Get("Authorization") != token:
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPatch && r.Header.Get("If-Match") != `"row-1"`:
			w.WriteHeader(http.StatusPreconditionFailed)
		default:
			_, _ = io.WriteString(w, `{"id":"M-1"}`)
		}
	}))
	t.Cleanup(s.Close)
	const system = `auth: {login: {path: token, headers: {user: "{user}"}, user: hub, secret: "${env:DESK_SECRET}", token: Token, header: Authorization}}
objects: {member: {path: members, etag: header}}
`
	const of = "manifest: desk\ntitle: Desk\nconnector: rest\nsystem:\n  url: https://desk.example\n  auth: {login: {path: token, headers: {user: \"{user}\"}, token: Token, header: Authorization}}\n  objects: {member: {path: members, etag: header}}\n" +
		"example: {auth: {login: {user: hub, secret: \"${env:DESK_SECRET}\"}}}\nproof: {on: stand-in, what: a test}\nclaims: [{of: auth, says: none, source: \"seen: here\"}]\n"
	w := recording.World{Kinds: world(t).Kinds, Manifests: manifest.New(manifest.File{Name: "desk.yaml", Data: []byte(of)})}
	var p strictyaml.Problems
	n := strictyaml.Parse("configs/waybill.yaml", []byte("connector: rest\nurl: "+s.URL+"\n"+system), &p)[0]
	r := read(t, "desk.yaml", []byte(`recording: desk
manifest: desk
on: stand-in
made: in a test
steps:
  - name: read
    find: {object: member, local: M-1}
  - name: changed
    update: {object: member, local: M-1, etag: "@read", doc: '{"name":"x"}'}
`))
	if err := w.Record(t.Context(), r, w.Kinds["rest"], connector.Settings{Name: "desk", Node: n}); err != nil {
		t.Fatal(err)
	}
	text := string(r.Write()[0].Data)
	if strings.Contains(text, "XdI6") || !strings.Contains(text, "- \"Authorization\"\n") || !strings.Contains(text, `etag: "@read"`) || strings.Contains(text, "fault:") {
		t.Errorf("%s", text)
	}
	for _, etag := range []string{"@reed", "read", "@changed"} {
		lost := read(t, "desk.yaml", []byte(strings.Replace(text, `etag: "@read"`, `etag: "`+etag+`"`, 1)))
		if _, err := w.Replay(t.Context(), lost, false); err == nil || !strings.Contains(err.Error(), "no step before it has read a concurrency token") {
			t.Errorf("a token of %s, which there is not: %v", etag, err)
		}
	}
	again := read(t, "desk.yaml", []byte(text))
	if troubles, err := w.Replay(t.Context(), again, false); err != nil || len(troubles) > 0 {
		t.Errorf("%v %v", troubles, err)
	}
}
