package odata

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

func (s *trader) list(object string) (ids []string, err error) {
	for r, err := range s.sys.List(context.Background(), object, time.Time{}) {
		if err != nil {
			return ids, err
		}
		ids = append(ids, r.Local)
	}
	return ids, nil
}

// TestNothingSlipsThrough: objects go away and come between two pages, and every one that stays is read.
func TestNothingSlipsThrough(t *testing.T) {
	for _, object := range []string{"", "paging: skip"} {
		for _, version := range []int{2, 4} {
			d, s := shopOf(t, version, "", object)
			for n := range 30 {
				d.outside(n, 1, time.Now())
			}
			moves := 0
			d.shift = func(int) { // of the first objects, two go with every page, and one comes
				d.mu.Lock()
				defer d.mu.Unlock()
				if moves++; moves > 1 && moves < 6 {
					d.rows["Orders"] = slices.DeleteFunc(d.rows["Orders"], func(r row) bool {
						return r["Order"] == strconv.Itoa(1000+2*moves) || r["Order"] == strconv.Itoa(1001+2*moves)
					})
					d.rows["Orders"] = append(d.rows["Orders"], row{"Order": fmt.Sprintf("0%d", moves), "lock": 1})
				}
			}
			ids, err := s.list("order")
			if err != nil {
				t.Fatal(err)
			}
			for n := range 30 {
				id := strconv.Itoa(1000 + n)
				if left := n < 4 || n > 11; left && !slices.Contains(ids, id) {
					t.Errorf("V%d %s: %s was not read: %v", version, object, id, ids)
				}
			}
			if twice := len(slices.Compact(slices.Sorted(slices.Values(ids)))); twice != len(ids) {
				t.Errorf("V%d %s: objects were given twice", version, object)
			}
		}
	}
}

// TestIDsAlone: keys are asked for without anything else.
func TestIDsAlone(t *testing.T) {
	for _, version := range []int{2, 4} {
		d, s := shopOf(t, version, "", "")
		for n := range 8 {
			d.outside(n, 1, time.Now())
		}
		d.asked()
		n := 0
		for _, err := range s.sys.ListIDs(t.Context(), "order") {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		for _, asked := range d.asked() {
			if strings.Contains(asked, "/Orders") && (strings.Contains(asked, "$expand") || !strings.Contains(asked, "$select=Order&")) {
				t.Errorf("V%d asked %s", version, asked)
			}
		}
		if n != 8 || s.sys.ListsIDs("none") || !s.sys.ListsIDs("stock") {
			t.Errorf("V%d: %d ids", version, n)
		}
	}
}

// TestOrderOfPeople: a service that orders texts as people do and compares them by their bytes leaves out what lies between; it is seen, and read.
func TestOrderOfPeople(t *testing.T) {
	for _, version := range []int{2, 4} {
		d, s := shopOf(t, version, "", "")
		want := []string{}
		for _, id := range []string{"a1", "B1", "a2", "B2", "c", "D", "e", "F"} {
			d.rows["Orders"] = append(d.rows["Orders"], row{"Order": id, "lock": 1, "Changed": "2026-03-01T12:00:00.000Z"})
			want = append(want, id)
		}
		slices.Sort(want)
		if ids, _ := s.list("order"); len(ids) != 8 {
			t.Fatalf("V%d: the double itself is wrong: %v", version, ids)
		}
		d.folds = true
		ids, err := s.list("order")
		if slices.Sort(ids); err != nil || !slices.Equal(ids, want) {
			t.Errorf("V%d: listed %v, %v", version, ids, err)
		}
		polled := s.poll("order")
		if slices.Sort(polled); !slices.Equal(polled, want) {
			t.Errorf("V%d: polled %v", version, polled)
		}
		d.folds, d.people = false, true // the other way round, where no page shows it: a and c lie before F, and are never asked for
		d.rows["Orders"] = slices.DeleteFunc(d.rows["Orders"], func(r row) bool { return len(r["Order"].(string)) > 1 || r["Order"] == "e" })
		d.rows["Orders"] = append(d.rows["Orders"], row{"Order": "B", "lock": 1, "Changed": "2026-03-01T12:00:00.000Z"}, row{"Order": "a", "lock": 1, "Changed": "2026-03-01T12:00:00.000Z"})
		want = []string{"B", "D", "F", "a", "c"}
		ids, err = s.list("order")
		if slices.Sort(ids); err != nil || !slices.Equal(ids, want) {
			t.Errorf("V%d, the other way round: listed %v, %v", version, ids, err)
		}
		polled = s.poll("order")
		if slices.Sort(polled); !slices.Equal(polled, want) {
			t.Errorf("V%d, the other way round: polled %v", version, polled)
		}
	}
}

// TestListThatNeverStands: it is no list, and says so; a poll hands out what it has read, and reads it again.
func TestListThatNeverStands(t *testing.T) {
	d, s := shopOf(t, 4, "", "paging: skip")
	for n := range 20 {
		d.outside(n, 1, time.Now())
	}
	moves := 0
	d.shift = func(int) {
		d.mu.Lock()
		defer d.mu.Unlock()
		moves++
		d.rows["Orders"] = append(d.rows["Orders"], row{"Order": fmt.Sprintf("0%04d", 9999-moves), "lock": 1, "Changed": "2026-03-01T12:00:00.000Z"})
	}
	if ids, err := s.list("order"); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "4 times") {
		t.Errorf("%d objects, %v", len(ids), err)
	}
	cursor, moving := "", false
	for range 20 { // more than four walks of two pages
		p, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		cursor = p.Cursor
		moving = moving || slices.ContainsFunc(p.Remarks, func(r connector.Remark) bool { return r.Kind == connector.Moving })
	}
	if !moving {
		t.Error("the poll does not say that the list moves")
	}
}

// TestListsOfObjectsAreWhole: lines that the service cuts are read to their end.
func TestListsOfObjectsAreWhole(t *testing.T) {
	for _, version := range []int{2, 4} {
		d, s := shopOf(t, version, "", "")
		d.host = "http://behind.invalid" // of links
		var lines []string
		for n := range 11 {
			lines = append(lines, fmt.Sprintf(`{"Item":"%d","Product":"P"}`, 10+n))
		}
		id := s.create("order", "7f3e0000-0000-5000-8000-000000000001", `{"Code":"C","Items":[`+strings.Join(lines, ",")+`]}`)
		s.wants("order", id, `{"Items":[`+strings.Join(lines, ",")+`]}`)
		if got := s.find(connector.Lookup{Object: "order", External: "7f3e0000-0000-5000-8000-000000000001"}); len(got) != 1 || parsed(t, string(got[0].Doc)).Get("Items").Len() != 11 {
			t.Errorf("V%d: by external id: %+v", version, got)
		}
		s.update("order", id, `{"Items":[{"Item":"20","Product":"Q"}]}`)
		if got := parsed(t, string(s.find(connector.Lookup{Object: "order", Local: id})[0].Doc)).Get("Items"); got.Len() != 11 || got.Index(10).Get("Product").Str() != "Q" {
			t.Errorf("V%d: after an update: %s", version, got.Raw())
		}
	}
}

func TestLinks(t *testing.T) {
	s := &system{base: "/sap/opu/"}
	s.client = openTrader(t, settingsOf(t, config("http://127.0.0.1:1", "", ""))).sys.client
	b := &bound{svc: newService("SRV")}
	for link, want := range map[string]string{
		"http://localhost:8000/sap/opu/SRV/Orders?$skiptoken=5":         "Orders?$skiptoken=5",
		"https://behind/sap/opu/SRV/Orders('1')/Items?$skiptoken='a b'": "Orders('1')/Items?$skiptoken='a%20b'",
		"Orders?$skiptoken=5":                           "Orders?$skiptoken=5",
		"./Orders?$skiptoken=5%2B1":                     "Orders?$skiptoken=5%2B1",
		"?$skiptoken=5":                                 "Orders?$skiptoken=5",
		"/sap/opu/SRV/Orders?$skiptoken=5":              "Orders?$skiptoken=5",
		"http://gateway/inside/SRV/Orders?$skiptoken=5": "Orders?$skiptoken=5",
		"http://gateway/inside/SRV/Others?$skiptoken=5": "!leads out",
		"/sap/opu/SRV/../../../etc/passwd":              "!leads out",
		"/sap/opu/OTHER/Things":                         "!leads out",
		"http://[::1":                                   "!is no URL",
	} {
		got, err := s.linked(b, link, "Orders")
		if why, bad := strings.CutPrefix(want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: %q, %v", link, got, err)
			}
		} else if got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", link, got, err, want)
		}
	}
}

// TestParametersOfLinks: a link that repeats the parameters of every request, in whatever order, gets none of them twice.
func TestParametersOfLinks(t *testing.T) {
	d, s := shopOf(t, 4, "parameters: {sap-client: \"100\", sap-language: EN}", "")
	b, err := s.sys.bound(t.Context(), "order", "test")
	if err != nil {
		t.Fatal(err)
	}
	d.refuse = func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `{"value":[]}`)
		return true
	}
	if _, err := s.sys.do(t.Context(), b.svc, b.m, httpclient.Request{Method: http.MethodGet, Path: b.svc.at("Orders?sap-language=EN&$skip=5")}); err != nil {
		t.Fatal(err)
	}
	if got := d.requests[len(d.requests)-1]; got != "GET /srv/shop/Orders?sap-language=EN&$skip=5&sap-client=100" {
		t.Error(got)
	}
}

// TestServiceThatIgnores: a service that does not know a condition is not read for ever, and what it shows beside is not taken for found.
func TestServiceThatIgnores(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	for n := range 9 {
		d.outside(n, 1, time.Now())
	}
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/Orders") {
			d.call(w, "GET", "Orders", "$top=2", r.Header, nil)
			return true
		}
		return false
	}
	if _, err := s.list("order"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "set paging to skip") {
		t.Errorf("list: %v", err)
	}
	few, look := shopOf(t, 4, "", "")
	few.outside(1, 1, time.Now())
	few.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		is := strings.HasSuffix(r.URL.Path, "/Orders")
		if is {
			few.call(w, "GET", "Orders", "$count=true", r.Header, nil)
		}
		return is
	}
	for _, l := range []connector.Lookup{{External: "7f3e0000-0000-5000-8000-000000000001"}, {Natural: map[string]string{"Code": "another"}}} {
		if l.Object = "order"; len(look.find(l)) != 0 {
			t.Errorf("%+v finds what it does not ask for", l)
		}
	}
	if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "order", External: "7f3e0000-0000-5000-8000-000000000001"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("find: %v", err)
	}
}

// TestServiceThatShowsEverything: what a service shows although it has not changed since is not handed out again.
func TestServiceThatShowsEverything(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	setClock(s.sys, func() time.Time { return now })
	for n := range 5 {
		d.outside(n, 1, now.Add(-time.Duration(n)*time.Hour))
	}
	ignored := regexp.MustCompile(`Changed%20ge%20.*?Z`)
	d.refuse = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/Orders") {
			return false
		}
		d.call(w, "GET", "Orders", ignored.ReplaceAllString(r.URL.RawQuery, "Rev%20ge%200"), r.Header, nil)
		return true
	}
	cursor, read := "", 0
	for range 12 {
		p, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor, Overlap: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if read, cursor = read+len(p.Records), p.Cursor; !p.More {
			now = now.Add(time.Minute)
		}
	}
	if read != 5 {
		t.Errorf("%d records for 5 objects", read)
	}
}

func TestLookUps(t *testing.T) {
	for _, version := range []int{2, 4} {
		d, s := shopOf(t, version, "", "deleted: Gone\nselect: [Code]\nfilter: Rev ge 0")
		d.rows["Orders"] = []row{
			{"Order": "0000071000", "Code": "it's & +1", "Rev": json.Number("1"), "Price": json.Number("12.50"), "lock": 1, "External": "7F3E000000005000800000000000000A", "Gone": "X"},
			{"Order": "2", "Code": "IT'S & +1", "Rev": json.Number("1"), "Price": json.Number("1"), "lock": 1},
			{"Order": "3", "Code": "hidden", "Rev": json.Number("-1"), "lock": 1},
		}
		for _, c := range []struct {
			look connector.Lookup
			want string
		}{
			{connector.Lookup{Natural: map[string]string{"Code": "it's & +1"}}, "0000071000"},
			{connector.Lookup{Natural: map[string]string{"Code": "It's & +1"}, Compare: map[string]connector.Compare{"Code": connector.Fold}}, "0000071000,2"},
			{connector.Lookup{Natural: map[string]string{"Order": "71000"}}, ""},
			{connector.Lookup{Natural: map[string]string{"Order": "71000"}, Compare: map[string]connector.Compare{"Order": connector.Number}}, "0000071000"},
			{connector.Lookup{Natural: map[string]string{"Price": "12.5"}, Compare: map[string]connector.Compare{"Price": connector.Number}}, "0000071000"},
			{connector.Lookup{Natural: map[string]string{"Code": "hidden"}}, ""},
			{connector.Lookup{Natural: map[string]string{"Code": "longer than any code can be"}}, ""},
			{connector.Lookup{Local: "0000071000"}, "0000071000"},
			{connector.Lookup{External: "7f3e0000-0000-5000-8000-00000000000a"}, ""},
		} {
			c.look.Object = "order"
			var ids []string
			for _, r := range s.find(c.look) {
				ids = append(ids, r.Local)
				if r.Deleted != (r.Local == "0000071000") {
					t.Errorf("%s: deleted is %v", r.Local, r.Deleted)
				}
			}
			if got := strings.Join(ids, ","); got != c.want {
				t.Errorf("V%d %+v: %s, want %s", version, c.look, got, c.want)
			}
		}
		for field, text := range map[string]string{"Rev": "one", "Nope": "x", "Items": "x"} {
			if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "order", Natural: map[string]string{field: text}}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("V%d by %s: %v", version, field, err)
			}
		}
		if _, err := s.sys.Find(t.Context(), connector.Lookup{Object: "stock", External: "x"}); !strings.Contains(fmt.Sprint(err), "set external") {
			t.Errorf("stock by external id: %v", err)
		}
	}
}

// TestKeyOfThreeParts: its id is one text, whatever stands in its parts, and pages go on by it.
func TestKeyOfThreeParts(t *testing.T) {
	for _, version := range []int{2, 4} {
		d, s := shopOf(t, version, "", "")
		var ids []string
		for _, material := range []string{"A", "B'/1", "C"} {
			for _, batch := range []string{"", "1", "2"} {
				doc, _ := json.Marshal(map[string]string{"Material": material, "Plant": "1010", "Batch": batch})
				ids = append(ids, s.create("stock", "", string(doc)))
			}
		}
		if ids[4] != "Material='B''/1',Plant='1010',Batch='1'" {
			t.Errorf("the id is %s", ids[4])
		}
		got, err := s.list("stock")
		if err != nil || !slices.Equal(got, ids) {
			t.Errorf("V%d: listed %v, %v; want %v", version, got, err, ids)
		}
		s.update("stock", ids[4], `{"Quantity":7}`)
		s.wants("stock", ids[4], `{"Material":"B'/1","Batch":"1","Quantity":7}`)
		for _, wrong := range []string{"999999", "Material='A'", "Material='A',Plant='1010',Batch='1',More='1'", "Plant='1010',Material='A',Batch='1'", "Material='A,Plant='1010',Batch='1'"} {
			if len(s.find(connector.Lookup{Object: "stock", Local: wrong})) != 0 {
				t.Errorf("found %s", wrong)
			}
			s.refused(fault.NotFound, "stock", wrong, `{"Quantity":1}`, "")
			if _, err := s.write(connector.Write{Object: "stock", Action: connector.Delete, Local: wrong}); fault.KindOf(err) != fault.NotFound {
				t.Errorf("delete of %s: %v", wrong, err)
			}
		}
		if n := len(d.rows["Stock"]); n != 9 {
			t.Errorf("%d rows are there", n)
		}
	}
}

func TestRewindAndOrder(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	set := settingsOf(t, strings.Replace(config(d.url, "", ""), "  stock: {service: shop, set: Stock, changed: Changed}", "  stock: {service: shop, set: Stock}\n  feed: {service: shop, set: Orders, changes: delta}", 1))
	for object, by := range map[string]connector.ChangeOrder{"order": connector.ByStamp, "stock": connector.ByContent, "feed": connector.ByCommit, "none": ""} {
		if got := (Kind{}).Ordering(set, object); got.By != by {
			t.Errorf("%s goes by %q, want %q", object, got.By, by)
		}
	}
	if got := (Kind{}).Describe(set, "order"); got.External != "External" || !got.Searched || !slices.Equal(got.Stamps, []string{"Changed"}) {
		t.Errorf("described as %+v", got)
	}
	for n := range 5 {
		d.outside(n, 1, time.Date(2026, 3, 1+n, 12, 0, 0, 0, time.UTC))
	}
	cursor := ""
	for more := true; more; {
		p, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		cursor, more = p.Cursor, p.More
	}
	back, err := s.sys.RewindTo("order", cursor, "2026-03-04T00:00:00+01:00")
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.sys.Poll(t.Context(), connector.PollRequest{Object: "order", Cursor: back})
	if err != nil || len(p.Records) != 2 {
		t.Errorf("%d records are read again, %v; want those of the 4th and the 5th", len(p.Records), err)
	}
	for _, to := range []string{"yesterday", "2026-03-04", "17", "2062-01-01T00:00:00Z"} {
		if _, err := s.sys.RewindTo("order", cursor, to); fault.KindOf(err) != fault.Invalid {
			t.Errorf("to %s: %v", to, err)
		}
	}
	other := openTrader(t, set)
	for _, object := range []string{"stock", "feed", "none"} {
		if _, err := other.sys.RewindTo(object, "", "2026-03-04T00:00:00Z"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", object, err)
		}
	}
}

func TestSample(t *testing.T) {
	d, s := shopOf(t, 4, "", "")
	d.outside(1, 1, time.Now())
	got, err := s.sys.Sample(t.Context(), "order")
	if err != nil || got.Record == nil || got.Record.Local != "1001" || len(got.Lacking) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	types := map[string]connector.SampleColumn{}
	for _, c := range got.Columns {
		types[c.Name] = c
	}
	if c := types["Code"]; c.Type != "String(20)" || c.Length != 20 {
		t.Errorf("Code: %+v", c)
	}
	if c := types["Items.Quantity"]; c.Type != "Decimal(13,3)" {
		t.Errorf("Items.Quantity: %+v", c)
	}
	s = openTrader(t, settingsOf(t, strings.Replace(config(d.url, "", "deleted: Nope"), "external: External", "external: Code", 1)))
	got, err = s.sys.Sample(t.Context(), "order")
	if err != nil || !slices.Equal(got.Lacking, []string{"Nope"}) || got.Record != nil {
		t.Errorf("%+v, %v", got.Lacking, err)
	}
	if i := slices.IndexFunc(got.Columns, func(c connector.SampleColumn) bool { return c.Name == "Code" }); !strings.Contains(got.Columns[i].Odd, "takes 20 characters") {
		t.Errorf("Code: %+v", got.Columns[i])
	}
}
