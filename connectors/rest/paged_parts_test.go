package rest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// TestPagedParts: the lines and totals of an order stand at addresses of their own. Polls, lists and look-ups give whole orders, whatever the pages of their lists are; what is no whole order is told as its own failure.
func TestPagedParts(t *testing.T) {
	for _, tc := range []struct {
		name, lines string // the settings of lines
		size        int    // of the service's pages
		ids         string // of the lines, one letter each; after / what they are from the second look on; * others at every look
		broken      string // the third line, where it is another one
		status      int    // of the list
		maxBody     string
		want        string // the lines' ids, in their order
		fails       fault.Kind
		says        string
	}{
		{name: "one page", lines: "item: rows, paging: {style: none}", size: 9, ids: "abc", want: "abc"},
		{name: "none", lines: "item: rows, paging: {style: none}", size: 9, ids: "", want: ""},
		{name: "offset", lines: "item: rows, paging: {style: offset, size-parameter: size, size: 2, more: more}", size: 2, ids: "abcde", want: "abcde"},
		{name: "page", lines: "item: rows, paging: {style: page, size-parameter: size, size: 2, more: more}", size: 2, ids: "abcde", want: "abcde"},
		{name: "a line goes while it is read", lines: "item: rows, paging: {style: offset, size-parameter: size, size: 2, more: more}", size: 2, ids: "abcde/bcde", want: "abcde"},
		{name: "a line that says nothing", lines: "item: rows, paging: {style: none}", size: 9, ids: "ab", broken: `{"sku":"?"}`, fails: fault.Invalid, says: "holds no id"},
		{name: "a line that cannot be read", lines: "item: rows, paging: {style: none}", size: 9, ids: "ab", broken: `{"id":"c","id":"d"}`, fails: fault.Invalid, says: "cannot be read"},
		{name: "no such list", lines: "item: rows, paging: {style: none}", size: 9, ids: "ab", status: 404, fails: fault.Invalid, says: "404"},
		{name: "nothing is said by 404", lines: "item: none, paging: {style: none}", size: 9, ids: "ab", status: 410, want: ""},
		{name: "away", lines: "item: rows, paging: {style: none}", size: 9, ids: "ab", status: 503, fails: fault.Unavailable, says: "503"},
		{name: "never the same", lines: "item: rows, paging: {style: offset, size-parameter: size, size: 2, more: more}", size: 2, ids: "*", fails: fault.Unavailable, says: "moved each of 3 times"},
		{name: "too long", lines: "item: rows, paging: {style: none}", size: 9, ids: "abcdefgh", maxBody: "200B", fails: fault.Invalid, says: "max-body"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			looks := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				q := r.URL.Query()
				switch r.URL.Path {
				case "/orders":
					fmt.Fprint(w, `[{"id":"o 1","changed":"2026-11-30T10:00:01Z"}]`)
					return
				case "/orders/o 1":
					fmt.Fprint(w, `{"id":"o 1","changed":"2026-11-30T10:00:01Z"}`)
					return
				case "/orders/o 1/lines":
				default:
					t.Errorf("asked for %s", r.URL)
				}
				if q.Get("of") != "o 1" {
					t.Errorf("asked without the order: %s", r.URL)
				}
				if tc.status != 0 {
					w.WriteHeader(tc.status)
					fmt.Fprint(w, `{"said":"nothing here"}`)
					return
				}
				ids, later, moved := strings.Cut(tc.ids, "/")
				if looks++; moved && looks > 1 {
					ids = later
				}
				var rows []string
				for i, id := range strings.Replace(ids, "*", "abcde", 1) {
					if ids == "*" {
						id = rune(1000 + 10*looks + i)
					}
					rows = append(rows, fmt.Sprintf(`{"id":"%c","sku":"S"}`, id))
				}
				if tc.broken != "" {
					rows = append(rows, tc.broken)
				}
				from, _ := strconv.Atoi(q.Get("offset"))
				if n, err := strconv.Atoi(q.Get("page")); err == nil {
					from = (n - 1) * tc.size
				}
				from = min(from, len(rows))
				to := min(from+tc.size, len(rows))
				fmt.Fprintf(w, `{"rows":[%s],"more":%v}`, strings.Join(rows[from:to], ","), to < len(rows))
			}))
			defer srv.Close()
			top := ""
			if tc.maxBody != "" {
				top = "max-body: " + tc.maxBody + "\n"
			}
			opened, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\n"+top+"errors: {kinds: {\"410\": empty}}\nobjects:\n  order: {path: orders, version: changed, list: {detail: get}, get: {parts: {lines: {path: \"orders/{id}/lines\", parameters: {of: \"{id}\"}, "+tc.lines+"}}}}\n"))
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			sys := opened.(*system)
			sys.clock = hasty{sys.clock}
			judge := func(what string, got []connector.Record, err error) {
				t.Helper()
				if len(got) == 1 && got[0].Err != nil && err == nil {
					err = got[0].Err
				}
				if tc.says != "" {
					if fault.KindOf(err) != tc.fails || !strings.Contains(fmt.Sprint(err), tc.says) {
						t.Errorf("%s: %v, want %v about %q", what, err, tc.fails, tc.says)
					}
					return
				}
				if err != nil || len(got) != 1 {
					t.Fatalf("%s: %d orders, %v", what, len(got), err)
				}
				doc, err := jsondoc.Parse(got[0].Doc, jsondoc.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				lines, ids := doc.Root().Get("lines"), ""
				for v := range lines.Elements() {
					ids += v.Get("id").Str()
				}
				if lines.Kind() != jsondoc.Array || ids != tc.want {
					t.Errorf("%s: the order is %s, want the lines %q", what, got[0].Doc, tc.want)
				}
			}
			page, err := sys.Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"})
			judge("poll", page.Records, err)
			looks = 0
			found, err := sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "o 1"})
			judge("find", found, err)
		})
	}
}

// TestPartsStay: what stands elsewhere is read with the object and never sent back with it, and what a write answers is not the whole object.
func TestPartsStay(t *testing.T) {
	var put string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == "PUT":
			b := make([]byte, r.ContentLength)
			_, _ = r.Body.Read(b)
			put = string(b)
			fmt.Fprint(w, put)
		case strings.HasSuffix(r.URL.Path, "/lines"):
			fmt.Fprint(w, `[{"id":"a"}]`)
		default:
			fmt.Fprint(w, `{"id":"1","note":"x"}`)
		}
	}))
	defer srv.Close()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  order: {path: orders, list: {detail: get}, update: {style: put}, get: {parts: {lines: {path: \"orders/{id}/lines\"}}}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	res, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "order", Action: connector.Update, Local: "1", Doc: []byte(`{"note":"y"}`)})
	if err != nil || put != `{"id":"1","note":"y"}` || res.Doc != nil || res.Local != "1" {
		t.Errorf("sent %s, got %+v, %v", put, res, err)
	}
}

// TestGetByList: where an object is asked for by a search, one that finds nothing says that there is none; an answer without the list says nothing of the kind.
func TestGetByList(t *testing.T) {
	answer := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) }))
	defer srv.Close()
	sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  order: {path: orders, get: {parameters: {q: \"id={id}\"}, item: rows.0}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	defer sys.Close()
	for body, want := range map[string]int{`{"rows":[{"id":"1"}]}`: 1, `{"rows":[]}`: 0, `{}`: -1, `{"rows":null}`: -1, `{"rows":["1"]}`: -1} {
		answer = body
		found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "order", Local: "1"})
		if (err != nil) != (want < 0) || err == nil && len(found) != want {
			t.Errorf("%s: %v, %v", body, found, err)
		}
	}
}

// TestUnchanged: a status that says that nothing was to be changed is a success where the settings say so, and nowhere else.
func TestUnchanged(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }))
	defer srv.Close()
	for settings, want := range map[string]bool{"update: {unchanged: 304}": true, "update: {unchanged: 305}": false, "update: {style: patch}": false} {
		sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nobjects:\n  order: {path: orders, "+settings+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := sys.(connector.Sink).Write(t.Context(), connector.Write{Object: "order", Action: connector.Update, Local: "1", Doc: []byte(`{"note":"y"}`)})
		if done := err == nil && res.Local == "1" && res.Status == "304"; done != want {
			t.Errorf("%s: %+v, %v", settings, res, err)
		}
		sys.Close()
	}
}

// TestEmpty: a service that answers a search without a match by a failure. Only the code that says so makes a list empty: the same status without it is a failure still.
func TestEmpty(t *testing.T) {
	const nothing = "There is no data for the requested resource"
	for _, tc := range []struct {
		kinds, body string
		status      int
		empty       bool
	}{
		{`{"` + nothing + `": empty}`, `{"ERROR":"` + nothing + `"}`, 404, true},
		{`{"` + nothing + `": empty}`, `{"ERROR":"` + nothing + `"}`, 200, true},
		{`{"` + nothing + `": empty}`, `{"ERROR":"Unknown object (SBL-EAI-50257)"}`, 404, false},
		{`{"` + nothing + `": not-found}`, `{"ERROR":"` + nothing + `"}`, 404, false},
		{`{SBL-EAI-50257: empty}`, `{"ERROR":"Unknown object (SBL-EAI-50257)"}`, 404, true},
		{`{"404": empty}`, `no JSON`, 404, true},
		{`{"404": empty}`, `{"ERROR":"away"}`, 503, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tc.status)
			fmt.Fprint(w, tc.body)
		}))
		sys, err := Kind{}.Open(t.Context(), settingsOf(t, "connector: rest\nurl: "+srv.URL+"\nerrors: {code: ERROR, message: ERROR, code-pattern: '\\((SBL-[A-Z]+-[0-9]+)\\)', kinds: "+tc.kinds+"}\nobjects:\n  order: {path: orders, external-id: x, list: {items: items}, find: {external: {x: \"{external}\"}}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		page, err := sys.(connector.Poller).Poll(t.Context(), connector.PollRequest{Object: "order", Reader: "r"})
		if got := err == nil && len(page.Records) == 0; got != tc.empty {
			t.Errorf("%s, a poll that is answered %d %s: %v, %v", tc.kinds, tc.status, tc.body, page, err)
		}
		found, err := sys.(connector.Finder).Find(t.Context(), connector.Lookup{Object: "order", External: "0193c2b4-7f4e-7e1a-9d5b-3a1c2f4e5d6b"})
		if got := err == nil && len(found) == 0; got != tc.empty {
			t.Errorf("%s, a search that is answered %d %s: %v, %v", tc.kinds, tc.status, tc.body, found, err)
		}
		srv.Close()
		sys.Close()
	}
}

// TestCodePattern: a code that stands in a sentence.
func TestCodePattern(t *testing.T) {
	for _, tc := range []struct{ pattern, said, want string }{
		{`\((SBL-[A-Z]+-[0-9]+)\)`, "No insert (SBL-EAI-04381) of Account(SBL-EAI-04383)", "SBL-EAI-04381"},
		{`SBL-[A-Z]+-[0-9]+`, "No insert (SBL-EAI-04381)", "SBL-EAI-04381"},
		{`SBL-[A-Z]+-[0-9]+`, "There is no data", "There is no data"},
		{`code (\d+)?`, "code is absent: code ", ""},
		{"", "No insert (SBL-EAI-04381)", "No insert (SBL-EAI-04381)"},
	} {
		var p strictyaml.Problems
		set := read(settingsOf(t, "connector: rest\nurl: http://localhost\nerrors: {code: e, code-pattern: '"+tc.pattern+"'}\nobjects: {x: {}}\n"), &p)
		if err := p.Err(); err != nil {
			t.Fatal(err)
		}
		doc, err := jsondoc.Parse([]byte(fmt.Sprintf(`{"e":%q}`, tc.said)), jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Errors.codes(doc.Root()); len(got) != 1 || got[0] != tc.want {
			t.Errorf("%q finds %q in %q, want %q", tc.pattern, got, tc.said, tc.want)
		}
	}
}

// TestPartsProblems: what the new settings say that means nothing.
func TestPartsProblems(t *testing.T) {
	for settings, want := range map[string]string{
		"errors: {code: e, code-pattern: '(('}\nobjects: {x: {}}":                                                      "code-pattern",
		"errors: {code-pattern: 'x'}\nobjects: {x: {}}":                                                                "where it looks",
		"objects: {x: {update: {unchanged: 204}}}":                                                                     "300 to 399",
		"objects: {x: {update: {unchanged: 302}}}":                                                                     "leads to another address",
		"errors: {kinds: {\"304\": conflict}}\nobjects: {x: {update: {unchanged: 304}}}":                               "errors.kinds says that 304 is a failure",
		"objects: {x: {external-id: a.b, find: {external: {q: '{external}'}}, create: {pairs: {}}}}":                   "the hub sets a.b (external-id)",
		"objects: {x: {etag: placed, etag-field: v, update: {style: put}, delete: {body: {e: '{etag}'}}}}":             "has no place for the token",
		"objects: {x: {etag: body, etag-field: a.b, update: {pairs: {}}}}":                                             "the hub sets a.b (etag-field)",
		"objects: {x: {get: {parts: {l: {path: 'x/{id}/l'}}}}}":                                                        "would show the objects without",
		"objects: {x: {list: {detail: get}, get: {parts: {l: {path: x}}}}}":                                            "{id} is missing",
		"objects: {x: {list: {detail: get}, get: {parts: {l: {}}}}}":                                                   "path",
		"objects: {x: {list: {detail: get}, get: {parts: {l: {path: 'x/{id}/l', paging: {style: page, size: 0}}}}}}":   "size: at least 1",
		"objects: {x: {list: {detail: get}, get: {parts: {l: {path: 'x/{id}/l', paging: {style: none, self: end}}}}}}": "self means nothing",
		"objects: {x: {list: {detail: get}, get: {parts: {l: {path: 'x/{id}/l', id: no}}}}}":                           "a part that is one answer",
	} {
		var p strictyaml.Problems
		Kind{}.Check(settingsOf(t, "connector: rest\nurl: http://localhost\n"+settings+"\n"), &p)
		if err := p.Err(); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%s: %v, want %q", settings, err, want)
		}
	}
}
