package odata

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// told is a service that answers reads of Orders by a script: the answer to each link, and whether it was asked to track changes.
func told(t *testing.T, version int, answers map[string]string) (*trader, *[]string) {
	d := newDouble(t, version)
	asked := &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := strings.TrimPrefix(r.URL.RequestURI(), "/srv/shop/")
		if at == "$metadata" {
			fmt.Fprint(w, d.metadata())
			return
		}
		*asked = append(*asked, at+" "+r.Header.Get("Prefer"))
		answer, ok := answers[at]
		if !ok {
			w.WriteHeader(404)
			return
		}
		if answer == "gone" {
			w.WriteHeader(410)
			return
		}
		fmt.Fprint(w, strings.ReplaceAll(answer, "HOST", "http://another.invalid/srv/shop/"))
	}))
	t.Cleanup(srv.Close)
	return openTrader(t, settingsOf(t, strings.Replace(config(srv.URL, "", "changes: delta"), "    changed: Changed\n", "", 1))), asked
}

func (s *trader) pollFrom(cursor string) connector.Page {
	s.t.Helper()
	return s.pollOf("order", cursor)
}

func (s *trader) pollOf(object, cursor string) connector.Page {
	s.t.Helper()
	p, err := s.sys.Poll(s.t.Context(), connector.PollRequest{Object: object, Cursor: cursor})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

const whole = `"External":null,"Code":"C","Name":"N","Price":1,"Rev":1,"Big":1,"Due":null,"At":null,"Open":null,"Changed":null,"Gone":null`

func TestDeltaLinks(t *testing.T) {
	s, asked := told(t, 4, map[string]string{
		"Orders?$expand=Items": `{"value":[{"Order":"1","Items":[],` + whole + `}],"@odata.nextLink":"Orders?$skiptoken=1"}`,
		"Orders?$skiptoken=1":  `{"value":[{"Order":"2","Items":[],` + whole + `}],"@odata.deltaLink":"HOSTOrders?$deltatoken=a"}`,
		"Orders?$deltatoken=a": `{"value":[
			{"Order":"1","Items":[],` + whole + `},
			{"Order":"2","Name":"a part of it alone"},
			{"@odata.context":"$metadata#Orders/$deletedEntity","id":"Orders('3')","reason":"deleted"},
			{"@removed":{"reason":"deleted"},"Order":"4"},
			{"@odata.removed":{"reason":"changed"},"@odata.id":"Orders('2')"},
			{"@odata.removed":{"reason":"changed"},"@odata.id":"HOSTOrders('6')"},
			{"@odata.context":"$metadata#Orders/$link","source":"Orders('1')","relationship":"Items","target":"x"}
		],"@odata.deltaLink":"Orders?$deltatoken=b"}`,
		"Orders('2')?$expand=Items": `{"Order":"2","Items":[],` + strings.Replace(whole, `"N"`, `"read"`, 1) + `}`,
		"Orders?$deltatoken=b":      `gone`,
	})
	p := s.pollFrom("")
	if len(p.Records) != 1 || p.Records[0].Local != "1" || !p.More {
		t.Fatalf("first page: %+v", p)
	}
	p = s.pollFrom(p.Cursor)
	if len(p.Records) != 1 || p.Records[0].Local != "2" || p.More {
		t.Fatalf("second page: %+v", p)
	}
	p = s.pollFrom(p.Cursor)
	var got []string
	for _, r := range p.Records {
		name := ""
		if r.Doc != nil {
			name = parsed(t, string(r.Doc)).Get("Name").Str()
		}
		got = append(got, fmt.Sprint(r.Local, " ", r.Deleted, " ", name))
	}
	if want := "1 false N,2 false read,3 true ,4 true ,6 true "; strings.Join(got, ",") != want || p.More {
		t.Errorf("the delta: %s, want %s", strings.Join(got, ","), want)
	}
	p = s.pollFrom(p.Cursor)
	if len(p.Records) != 0 || !p.More {
		t.Errorf("a place that is forgotten: %+v", p)
	}
	if p = s.pollFrom(p.Cursor); len(p.Records) != 1 || p.Records[0].Local != "1" {
		t.Errorf("after that: %+v", p)
	}
	if !strings.HasSuffix((*asked)[0], "odata.track-changes") || strings.HasSuffix((*asked)[1], "odata.track-changes") {
		t.Errorf("asked %q", *asked)
	}
	for _, cursor := range []string{"x", `{"v":1}`} {
		if _, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("the cursor %s: %v", cursor, err)
		}
	}
}

func TestDeltaLinksOfV2(t *testing.T) {
	s, _ := told(t, 2, map[string]string{
		"Orders?$expand=Items":   `{"d":{"results":[{"Order":"1","Items":{"results":[]},` + whole + `}],"__delta":"HOSTOrders?!deltatoken='a'"}}`,
		"Orders?!deltatoken='a'": `{"d":{"results":[],"__delta":"HOSTOrders?!deltatoken='b'"}}`,
	})
	p := s.pollFrom("")
	if len(p.Records) != 1 || p.More {
		t.Fatalf("first: %+v", p)
	}
	if p = s.pollFrom(p.Cursor); len(p.Records) != 0 || p.More || !strings.Contains(p.Cursor, "'b'") {
		t.Errorf("then: %+v", p)
	}
}

func TestNoDeltaLinks(t *testing.T) {
	for answer, want := range map[string]string{
		`{"value":[]}`: "gives no delta link",
		`{"value":{}}`: "holds no list",
		`{"value":[],"@odata.deltaLink":"/else"}`: "leads out of the service",
	} {
		s, _ := told(t, 4, map[string]string{"Orders?$expand=Items": answer})
		if _, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order"}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", answer, err)
		}
	}
}
