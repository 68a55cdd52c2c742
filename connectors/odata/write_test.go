package odata

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
)

// shopOf opens a system on a double.
func shopOf(t testing.TB, version int, system, object string) (*double, *trader) {
	d := newDouble(t, version)
	return d, openTrader(t, settingsOf(t, config(d.url, system, object)))
}

const twoLines = `{"Code":"C-1","Name":"first","Items":[{"Item":"000010","Product":"A","Quantity":1},{"Item":"000020","Product":"B","Quantity":2}]}`

// each runs a test on both versions, with batches in every form and without.
func each(t *testing.T, run func(t *testing.T, d *double, s *trader), object string) {
	for _, v := range []struct {
		name, system string
		version      int
	}{{"V4", "", 4}, {"V2", "", 2}, {"V4 JSON", "batch: {format: json}", 4}, {"V4 none", "batch: {format: none}", 4}, {"V2 none", "batch: {format: none}", 2}} {
		t.Run(v.name, func(t *testing.T) {
			d, s := shopOf(t, v.version, v.system, object)
			run(t, d, s)
		})
	}
}

func TestLinesOneByOne(t *testing.T) {
	each(t, func(t *testing.T, d *double, s *trader) {
		id := s.create("order", "", twoLines)
		d.asked()
		s.update("order", id, `{"Name":"second","Items":[{"Item":"20","Quantity":"7.5"},{"Item":"30","Product":"C"},{"Item":"10","Quantity":1.0}]}`)
		s.wants("order", id, `{"Name":"second","Items":[{"Item":"000010","Product":"A","Quantity":1},{"Item":"000020","Product":"B","Quantity":7.5},{"Item":"30","Product":"C"}]}`)
		if asked := strings.Join(d.asked(), "\n"); strings.Contains(asked, "000010") {
			t.Errorf("a line that is as the document says was written:\n%s", asked)
		}
		s.update("order", id, `{"Name":"third"}`)
		s.wants("order", id, `{"Name":"third","Items":[{"Item":"000010"},{"Item":"000020"},{"Item":"30"}]}`)
		s.update("order", id, `{"Items":[{"Item":"30","Product":"D"}]}`)
		s.wants("order", id, `{"Name":"third","Items":[{"Item":"000010"},{"Item":"000020"},{"Item":"30","Product":"D"}]}`)
		s.update("order", id, `{"Order":"`+id+`","Items":[{"Item":"30","Product":"D"}]}`) // nothing to do
		s.refused(fault.Invalid, "order", id, `{"Items":[{"Item":"10"},{"Item":"000010","Product":"X"}]}`, "Items.1: stands here twice")
		s.refused(fault.Invalid, "order", id, `{"Items":[{"Product":"X"}]}`, "Items.0: Item is missing")
		s.refused(fault.Invalid, "order", id, `{"Items":[{"Item":"10","Quantity":1.0005}]}`, "Items.0.Quantity")
		s.refused(fault.Invalid, "order", id, `{"Items":"none"}`, "Items: is no list")
		s.refused(fault.NotFound, "order", "4711", `{"Items":[{"Item":"10"}]}`, "gone")
	}, "")
}

func TestLinesReplaced(t *testing.T) {
	each(t, func(t *testing.T, d *double, s *trader) {
		id := s.create("order", "", twoLines)
		s.update("order", id, `{"Name":"second","Items":[{"Item":"30","Product":"C"},{"Item":"20","Quantity":3}]}`)
		s.wants("order", id, `{"Name":"second","Items":[{"Item":"000020","Product":"B","Quantity":3},{"Item":"30","Product":"C"}]}`)
		s.update("order", id, `{"Items":[]}`)
		s.wants("order", id, `{"Items":[]}`)
	}, "items: {Items: {on-update: replace}}")
}

func TestLinesDeep(t *testing.T) {
	_, s := shopOf(t, 4, "", "items: {Items: {on-update: deep}}")
	id := s.create("order", "", twoLines)
	s.update("order", id, `{"Items":[{"Item":"000020","Product":"Z"}]}`)
	s.wants("order", id, `{"Items":[{"Item":"000020","Product":"Z"}]}`)
	_, s = shopOf(t, 2, "", "items: {Items: {on-update: deep}}")
	if _, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(twoLines)}); err == nil || !strings.Contains(err.Error(), "V2 knows no update of an object with its lines") {
		t.Errorf("V2: %v", err)
	}
}

// TestChangeSetIsWhole: an object and its lines are changed together or not at all, and what is wrong with a line says nothing of the object.
func TestChangeSetIsWhole(t *testing.T) {
	for _, v := range []struct {
		version int
		system  string
	}{{4, ""}, {2, ""}, {4, "batch: {format: json}"}} {
		d, s := shopOf(t, v.version, v.system, "")
		id := s.create("order", "", twoLines)
		d.shift = nil
		gone := false
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool { // a line goes between the look and the change
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "$batch") && !gone {
				gone = true
				d.mu.Lock()
				d.rows["OrderItems"] = d.rows["OrderItems"][:1]
				d.mu.Unlock()
			}
			return false
		}
		_, err := s.write(connector.Write{Object: "order", Action: connector.Update, Local: id, Doc: []byte(`{"Name":"second","Items":[{"Item":"20","Product":"X"}]}`)})
		if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || f.Duplicate {
			t.Errorf("V%d %s: a line that has gone: %v", v.version, v.system, err)
		}
		s.wants("order", id, `{"Name":"first","Items":[{"Item":"000010"}]}`)
		s.update("order", id, `{"Name":"second","Items":[{"Item":"20","Product":"X"}]}`) // it is new now
		s.wants("order", id, `{"Name":"second","Items":[{"Item":"000010"},{"Item":"20","Product":"X"}]}`)
	}
}

// TestLineThatIsGone: a line that cannot be removed, because it has gone meanwhile, does not mean that its object has.
func TestLineThatIsGone(t *testing.T) {
	for _, system := range []string{"", "batch: {format: json}", "batch: {format: none}"} {
		d, s := shopOf(t, 4, system, "items: {Items: {on-update: replace}}")
		id := s.create("order", "", twoLines)
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "POST" && strings.HasSuffix(r.URL.Path, "$batch") || r.Method == "DELETE" {
				d.mu.Lock()
				d.rows["OrderItems"] = d.rows["OrderItems"][:1]
				d.mu.Unlock()
			}
			return false
		}
		s.refused(fault.Conflict, "order", id, `{"Items":[{"Item":"10"}]}`, "Not Found")
	}
}

// TestWhatAnUpdateShows: the answer to an update is the object's state only where it holds all that a read would, and nothing was changed after it.
func TestWhatAnUpdateShows(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	id := s.create("order", "", twoLines)
	if res := s.update("order", id, `{"Name":"x"}`); res.Doc != nil {
		t.Errorf("without its lines: %s", res.Doc)
	}
	d.shows = true
	if res := s.update("order", id, `{"Name":"y"}`); res.Doc == nil || parsed(t, string(res.Doc)).Get("Items").Len() != 2 || res.ETag == "" {
		t.Errorf("with its lines: %+v", res)
	}
	if res := s.update("order", id, `{"Name":"z","Items":[{"Item":"30"}]}`); res.Doc != nil {
		t.Errorf("lines were changed after it: %s", res.Doc)
	}
	stock := s.create("stock", "", `{"Material":"A","Plant":"1","Batch":""}`)
	if res := s.update("stock", stock, `{"Quantity":3}`); !strings.Contains(string(res.Doc), `"Quantity":3`) {
		t.Errorf("an object without lines: %s", res.Doc)
	}
}

// TestPartlyMade: without batches a change of several requests may be made in part, and says so.
func TestPartlyMade(t *testing.T) {
	d, s := shopOf(t, 4, "batch: {format: none}", "")
	id := s.create("order", "", twoLines)
	for status, want := range map[int]fault.Kind{503: fault.UnknownOutcome, 401: fault.UnknownOutcome, 400: fault.Invalid} {
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			is := r.Method == "PATCH" && strings.Contains(r.URL.Path, "OrderItems")
			if is {
				d.fail(w, status, "X", "not now")
			}
			return is
		}
		s.refused(want, "order", id, fmt.Sprintf(`{"Name":"second %d","Items":[{"Item":"20","Product":"X"}]}`, status), "1 of 2 requests of the change are done")
	}
}

func TestTokensOfObjects(t *testing.T) {
	each(t, func(t *testing.T, d *double, s *trader) {
		d.etags = true
		id := s.create("order", "", twoLines)
		s.update("order", id, `{"Name":"second"}`) // without one: it is read, or says that something must be there
		s.update("order", id, `{"Name":"third","Items":[{"Item":"10","Product":"Z"}]}`)
		s.wants("order", id, `{"Name":"third","Items":[{"Item":"000010","Product":"Z"},{"Item":"000020"}]}`)
		token := s.find(connector.Lookup{Object: "order", Local: id})[0].ETag
		res, err := s.write(connector.Write{Object: "order", Action: connector.Update, Local: id, ETag: token, Doc: []byte(`{"Name":"fourth"}`)})
		if err != nil || res.ETag == "" || res.ETag == token {
			t.Errorf("with its token: %+v, %v", res, err)
		}
		for _, w := range []connector.Write{
			{Action: connector.Update, Doc: []byte(`{"Name":"fifth"}`)}, {Action: connector.Update, Doc: []byte(`{"Items":[{"Item":"10","Product":"Q"}]}`)}, {Action: connector.Delete},
		} {
			w.Object, w.Local, w.ETag = "order", id, token
			if _, err := s.write(w); fault.KindOf(err) != fault.Conflict {
				t.Errorf("%s with an old token: %v", w.Action, err)
			}
		}
		if _, err := s.write(connector.Write{Object: "order", Action: connector.Delete, Local: id}); err != nil {
			t.Errorf("deleted without a token: %v", err)
		}
		for _, w := range []connector.Write{{Action: connector.Update, Doc: []byte(`{"Name":"x"}`)}, {Action: connector.Update, ETag: token, Doc: []byte(`{"Name":"x"}`)}, {Action: connector.Delete}, {Action: connector.Delete, ETag: token}} {
			w.Object, w.Local = "order", id
			if _, err := s.write(w); fault.KindOf(err) != fault.NotFound && w.ETag == "" {
				t.Errorf("%s of what is gone: %v", w.Action, err)
			}
		}
	}, "")
}

// TestUpdateMakesNothing: V4's PATCH creates what it does not find, which an update must not.
func TestUpdateMakesNothing(t *testing.T) {
	each(t, func(t *testing.T, d *double, s *trader) {
		s.refused(fault.NotFound, "order", "4711", `{"Name":"x"}`, "")
		if len(d.rows["Orders"]) != 0 {
			t.Errorf("made: %v", d.rows["Orders"])
		}
	}, "")
}

// TestServiceWithoutTheSign: a V2 service that refuses If-Match: * gets updates without it, and is asked with it once.
func TestServiceWithoutTheSign(t *testing.T) {
	d, s := shopOf(t, 2, "", "")
	id := s.create("order", "", twoLines)
	refused := 0
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		is := r.Method == "MERGE" && r.Header.Get("If-Match") == "*"
		if is {
			refused++
			d.fail(w, 400, "NO_ETAG", "the type has no token")
		}
		return is
	}
	s.update("order", id, `{"Name":"second"}`)
	s.update("order", id, `{"Name":"third"}`)
	s.wants("order", id, `{"Name":"third"}`)
	if refused != 1 {
		t.Errorf("it was asked %d times with the sign", refused)
	}
}

func TestPassForWrites(t *testing.T) {
	d, s := shopOf(t, 2, "", "")
	var wg sync.WaitGroup
	for i := range 10 { // many find out at once that a token is wanted
		wg.Go(func() {
			if _, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(fmt.Sprintf(`{"Code":"C-%d"}`, i))}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if d.tokens != 1 {
		t.Errorf("%d tokens were fetched", d.tokens)
	}
	d.mu.Lock()
	d.tokens++ // the session is over
	d.mu.Unlock()
	s.create("order", "", `{"Code":"another"}`)
	if d.tokens != 3 {
		t.Errorf("%d tokens were fetched, want one more", d.tokens-1)
	}
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" {
			w.Header().Set("X-Csrf-Token", "Required")
			http.Error(w, "CSRF token validation failed", http.StatusForbidden)
		}
		return r.Method == "POST"
	}
	if _, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{}`)}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "CSRF") {
		t.Errorf("a token that is never good enough: %v", err)
	}
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "POST" {
			w.Header().Set("X-Csrf-Token", "Required")
			http.Error(w, "CSRF token validation failed", http.StatusForbidden)
			return true
		}
		if r.Header.Get("X-Csrf-Token") != "" {
			http.Error(w, "closed", http.StatusServiceUnavailable)
		}
		return r.Header.Get("X-Csrf-Token") != ""
	}
	if _, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{}`)}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a token that cannot be had: %v", err)
	}
}

func TestCreateByKey(t *testing.T) {
	for _, v := range []string{"create: upsert", "create: post"} {
		d, s := shopOf(t, 4, "", v)
		d.deaf = true
		id := s.create("order", "7f3e0000-0000-5000-8000-000000000001", `{"Order":"A/1","Code":"C-1"}`)
		if id != "A/1" {
			t.Errorf("%s: created as %q", v, id)
		}
		_, err := s.write(connector.Write{Object: "order", Action: connector.Create, External: "7f3e0000-0000-5000-8000-000000000002", Doc: []byte(`{"Order":"A/1","Code":"C-2"}`)})
		if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || !f.Duplicate {
			t.Errorf("%s twice: %v", v, err)
		}
		s.wants("order", id, `{"Code":"C-1"}`)
		if d.bare500 = true; v == "create: post" {
			_, err = s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{"Order":"A/1","Code":"C-3"}`)})
			if f, ok := fault.As(err); !ok || f.Kind != fault.Conflict || !f.Duplicate || f.Code != "500" {
				t.Errorf("a bare 500 for a duplicate: %v", err)
			}
		}
	}
	_, s := shopOf(t, 4, "", "create: upsert")
	if _, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(`{"Code":"C-2"}`)}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "whole key") {
		t.Errorf("without a key: %v", err)
	}
}

// TestCreatedWithoutAnswer: the id of a new object is read from its address where the answer holds nothing, and where nothing tells it nobody knows.
func TestCreatedWithoutAnswer(t *testing.T) {
	for _, c := range []struct {
		header, value, want string
		doc                 string
	}{
		{"Location", "http://behind/srv/shop/Orders('A%20''1')", "A '1", `{}`}, {"OData-EntityId", "Orders('7')", "7", `{}`}, {"X", "", "", `{}`}, {"X", "", "own", `{"Order":"own"}`},
	} {
		d, s := shopOf(t, 4, "", "")
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "POST" {
				w.Header().Set(c.header, c.value)
				w.WriteHeader(204)
			}
			return r.Method == "POST"
		}
		res, err := s.write(connector.Write{Object: "order", Action: connector.Create, Doc: []byte(c.doc)})
		if res.Local != c.want || (c.want == "") != (fault.KindOf(err) == fault.UnknownOutcome) {
			t.Errorf("%s %q: %+v, %v", c.header, c.value, res, err)
		}
	}
}

func TestAnswersToWrites(t *testing.T) {
	for _, c := range []struct {
		version int
		status  int
		body    string
		kind    fault.Kind
		code    string
		field   string
		text    string
	}{
		{4, 202, "", fault.UnknownOutcome, "202", "", "put the change off"},
		{4, 200, `{"error":{"code":"X","message":"refused all the same"}}`, fault.Invalid, "200 X", "", "refused all the same"},
		{4, 400, `{"error":{"code":"A/1","message":"outer","target":"Name","details":[{"code":"B/2","message":"inner","target":"Code"}]}}`, fault.Invalid, "400 A/1", "Name", "outer; inner"},
		{4, 400, `{"error":{"code":"A/1","message":"outer","details":[{"code":"LOCKED/1","message":"held by another"}]}}`, fault.Unavailable, "400 A/1", "", "held by another"},
		{4, 423, `{}`, fault.Unavailable, "423", "", ""},
		{4, 418, `nothing in JSON`, fault.Conflict, "418", "", "nothing in JSON"},
		{2, 400, `{"error":{"code":"A","message":{"lang":"en","value":"outer"},"innererror":{"errordetails":{"message":{"lang":"en","value":"alone"},"propertyref":"/Name"}}}}`, fault.Invalid, "400 A", "Name", "outer; alone"},
		{2, 400, `{"error":{"code":"A","message":{"lang":"en","value":"outer"},"innererror":{"errordetails":{"errordetail":[{"code":"B","message":"one","target":"/#TRANSIENT#/Code"},{"message":"two"}]}}}}`, fault.Invalid, "400 A", "Code", "outer; one; two"},
		{2, 400, `<error xmlns="x"><code>005056A509B11EE1B9A8FEC11C21578E</code><message xml:lang="en">in XML</message></error>`, fault.Invalid, "400", "", "in XML"},
		{2, 403, `{"error":{"code":"A","message":{"value":"not for you"}}}`, fault.Invalid, "403 A", "", "not for you"},
	} {
		d, s := shopOf(t, c.version, "", "")
		s.sys.set.Errors.Kinds = map[string]string{"LOCKED/1": "unavailable", "418": "conflict"}
		id := s.create("order", "", `{"Code":"C"}`)
		d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == "PATCH" || r.Method == "MERGE" {
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
				return true
			}
			return false
		}
		_, err := s.write(connector.Write{Object: "order", Action: connector.Update, Local: id, Doc: []byte(`{"Name":"x"}`)})
		f, ok := fault.As(err)
		if !ok || f.Kind != c.kind || f.Code != c.code || f.Field != c.field || !strings.Contains(f.Error(), c.text) {
			t.Errorf("%d %s: %+v, want %v %q %q %q", c.status, c.body, f, c.kind, c.code, c.field, c.text)
		}
	}
}

// TestSettingsThatDoNotFit: what the settings name and the service does not have is told, with what is near.
func TestSettingsThatDoNotFit(t *testing.T) {
	for object, want := range map[string]string{
		"set: Oders":                          `the service has no entity set "Oders"; did you mean "Orders"?`,
		"key: [Ordr]":                         `key: Orders has no property "Ordr"; did you mean "Order"?`,
		"changed: Items":                      `changed: Orders has no property "Items"`,
		"external: Code":                      "external: Code takes 20 characters, and external-form: uuid has 36",
		"external: Price":                     "external: Price is of the type Edm.Decimal",
		"items: {Itms: {}}":                   `items: Orders has no navigation property "Itms"; did you mean "Items"?`,
		"items: {Items: {key: [Pos]}}":        `items: OrderItemsType has no property "Pos"`,
		"select: [Nam]":                       `select: Orders has no property "Nam"; did you mean "Name"?`,
		"deleted: gone":                       `deleted: Orders has no property "gone"; did you mean "Gone"?`,
		"external: Code\nexternal-form: uuid": "external: Code takes 20",
	} {
		d := newDouble(t, 4)
		text, lines := config(d.url, "", ""), ""
		if !strings.HasPrefix(object, "set:") {
			lines = "    set: Orders\n"
		}
		text = text[:strings.Index(text, "  order:\n")] + "  order:\n    service: shop\n" + lines
		for _, line := range strings.Split(object, "\n") {
			text += "    " + line + "\n"
		}
		s := openTrader(t, settingsOf(t, text))
		_, err := s.sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "1"})
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", object, err, want)
		}
	}
}

func TestVersionsOfTheProtocol(t *testing.T) {
	d := newDouble(t, 2)
	for system, want := range map[string]string{"version: 4": "the service speaks OData V2, and version says 4", "batch: {format: json}": "knows no $batch in JSON"} {
		s := openTrader(t, settingsOf(t, config(d.url, system, "")))
		if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "1"}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", system, err)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"value":[]}`) }))
	t.Cleanup(srv.Close)
	s := openTrader(t, settingsOf(t, config(srv.URL, "", "")))
	if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "order", Local: "1"}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "is url the service's?") {
		t.Errorf("no metadata: %v", err)
	}
}
