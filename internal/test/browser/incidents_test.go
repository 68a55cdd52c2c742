//go:build unix

package browser

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	_ "modernc.org/sqlite" // the store of a hub that stands still
)

const (
	shopSecret    = "a-secret-that-the-shop-has"
	partnerSecret = "a-secret-that-the-partner-had"
	newSecret     = "a-secret-that-the-partner-has-now"
)

// world is a hub around which twelve things have gone wrong at once.
type world struct {
	t                              *testing.T
	dir, at, hooks                 string
	crm, erp, asia, us, books, pim *application
	delivery                       int
}

// newWorld starts the hub on the files of incidents/ and seeds all of them.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	if err := os.CopyFS(w.dir, os.DirFS("incidents")); err != nil {
		t.Fatal(err)
	}
	w.write("leads.secret", partnerSecret)
	if err := os.MkdirAll(w.path("drop"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, a := range []**application{&w.crm, &w.erp, &w.asia, &w.us, &w.books, &w.pim} {
		*a = newApplication(t)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.hooks = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"HOOKS": w.hooks, "SHOP_SECRET": shopSecret, "CRM_URL": w.crm.url(), "ERP_URL": w.erp.url(), "ASIA_URL": w.asia.url(), "US_URL": w.us.url(), "BOOKS_URL": w.books.url(), "PIM_URL": w.pim.url()} {
		t.Setenv(name, value)
	}
	w.applications()
	w.twoDaysAgo()
	w.at = hub(t, w.dir, "run", "-c", "configs/waybill.yaml")
	w.seed()
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// utf16 writes a text with its byte order mark.
func utf16(text string) string {
	out := "\xff\xfe"
	for _, c := range []byte(text) {
		out += string([]byte{c, 0})
	}
	return out
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// applications are as they were before anything went wrong, but for what two of them refuse.
func (w *world) applications() {
	for i, name := range []string{"Acme", "Baltic Tools", "Chang", "Delta"} {
		w.crm.put("customers", object{"id": fmt.Sprintf("C-%d", i+1), "number": fmt.Sprintf("K-%d", i+1), "name": name, "city": "Ulm", "tax_no": fmt.Sprintf("DE-%d", i+1)})
	}
	w.erp.refuse = func(kind string, o object) (int, object) {
		if street, _ := o["street"].(string); len(street) > 20 {
			return http.StatusUnprocessableEntity, object{"code": "22001", "message": "value too long for type character varying(20), column street"}
		}
		if kind == "orders" && fmt.Sprint(o["quantity"]) == "0" {
			return http.StatusUnprocessableEntity, object{"code": "QTY", "message": "an order has a quantity"}
		}
		return 0, nil
	}
	w.books.refuse = func(_ string, o object) (int, object) {
		if o["tax_no"] == nil {
			return http.StatusOK, object{"ok": false, "message": "the tax number of the customer is missing"}
		}
		return 0, nil
	}
	w.books.answer = func(o object) object { o["ok"] = true; return o }
	w.pim.put("prices", object{"no": "P-1", "amount": "10.00"})
}

// twoDaysAgo has a hub find that somebody has changed a customer in the ERP, and makes it two days old: nothing else tells the hub's clock another time.
func (w *world) twoDaysAgo() {
	w.t.Helper()
	w.t.Run("two days ago", func(t *testing.T) {
		at := hub(t, w.dir, "run", "-c", "configs/waybill.yaml")
		until(t, "the customers are in the ERP", func() bool { return w.erp.has("customers", object{"number": "K-4"}) })
		w.erp.does(func() { w.erp.objects["customers"][0]["city"] = "Bonn" })
		w.run(t, at, "reconciliations/customers-crm-erp", "drift")
	})
	db, err := sql.Open("sqlite", w.path("data/waybill.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	days := (48 * time.Hour).Nanoseconds()
	for _, change := range []string{"UPDATE comparisons SET wanted = wanted - ?1, started = started - ?1, updated = updated - ?1, finished = finished - ?1", "UPDATE differences SET since = since - ?1"} {
		if _, err := db.Exec(change, days); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// run runs a reconciliation or a rule, until it says how things stand.
func (w *world) run(t *testing.T, at, name, state string) {
	t.Helper()
	if code := ask(t, "POST", at+"/api/v1/"+name+"/run", "{}", nil); code != http.StatusAccepted {
		t.Fatalf("a run of %s: %d", name, code)
	}
	until(t, name+" ends as "+state, func() bool {
		var list struct{ Runs []struct{ State string } }
		ask(t, "GET", at+"/api/v1/"+name+"/runs", "", &list)
		return len(list.Runs) > 0 && list.Runs[0].State == state
	})
}

// push sends a document to a webhook, signed with that secret.
func (w *world) push(path, secret string, o object) int {
	w.t.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		w.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	w.delivery++
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+w.hooks+"/hooks/"+path, strings.NewReader(string(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	r.Header.Set("X-Delivery", fmt.Sprint(w.delivery))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (w *world) taken(path string, all ...object) {
	w.t.Helper()
	for _, o := range all {
		if code := w.push(path, shopSecret, o); code != http.StatusAccepted {
			w.t.Fatalf("%s: %d for %v", path, code, o)
		}
	}
}

// order is one of the shop's for Acme, with what is odd about it.
func order(no string, seq int, odd object) object {
	o := object{"no": no, "seq": seq, "customer": "C-1", "unit": "piece", "street": "17 Hafenallee", "quantity": 2}
	for name, v := range odd {
		o[name] = v
	}
	return o
}

// seed has all twelve go wrong, and waits until the hub has noticed each.
func (w *world) seed() {
	w.t.Helper()
	w.crm.put("customers", object{"id": "C-77", "number": "K-77", "name": "Eastern", "city": "Bonn", "tax_no": "DE-77", "hidden": true}) // the CRM does not list it
	w.crm.put("customers", object{"id": "C-9", "number": "K-9", "name": "Baltic Tools GmbH", "city": "Ulm", "tax_no": "DE-2"})
	w.us.stop()
	w.asia.does(func() { w.asia.pause = 150 * time.Millisecond })
	w.taken("shop/orders", order("SO-4711", 1, object{"customer": "C-77"}), order("SO-600", 1, object{"unit": "crate"}), order("SO-601", 1, object{"unit": "crate"}),
		order("SO-700", 1, object{"street": "1200 Avenida Presidente Juscelino Kubitschek"}), order("SO-900", 1, object{"quantity": 0}), order("SO-900", 2, object{"quantity": 5}))
	w.taken("shop/invoices", object{"no": "INV-1", "seq": 1})
	w.taken("us/orders", object{"no": "US-1", "seq": 1}, object{"no": "US-2", "seq": 1})
	if code := w.push("partner/leads", newSecret, object{"no": "L-1", "seq": 1}); code != http.StatusUnauthorized {
		w.t.Fatalf("a wrong secret: %d", code)
	}
	w.write("drop/stock-7.csv", utf16("no,seq\nW-1,1\n")) // and the folder's files are UTF-8
	w.pim.put("prices", object{"no": "P-2", "amount": "12.00", "modified": time.Now().UTC().Add(-time.Hour).Format("2006-01-02T15:04:05.000Z")})
	for i := range 1200 {
		w.taken("asia/stock", object{"no": fmt.Sprintf("S-%d", i), "seq": 1})
	}
	for i := range 4 {
		w.taken("asia/orders", object{"no": fmt.Sprintf("A-%d", i), "seq": 1})
	}
	w.run(w.t, w.at, "reconciliations/customers-crm-erp", "drift")
	w.run(w.t, w.at, "rules/customer-once", "drift")
	for flow, state := range map[string]string{"orders": "attention", "asia-orders": "late", "us-orders": "failing", "prices": "silent", "leads": "attention", "invoices": "attention", "stock": "attention"} {
		w.becomes(flow, state)
	}
}

// becomes waits until a flow is in a state.
func (w *world) becomes(flow, state string) {
	w.t.Helper()
	var last string
	defer func() {
		if w.t.Failed() {
			w.t.Logf("%s is %s", flow, last)
		}
	}()
	until(w.t, flow+" is "+state, func() bool {
		var st struct {
			Flows []struct{ Name, State, Why string }
		}
		ask(w.t, "GET", w.at+"/api/v1/status", "", &st)
		for _, f := range st.Flows {
			if f.Name == flow {
				last = f.State + ": " + f.Why
				return f.State == state
			}
		}
		return false
	})
}

// walker goes through the console as a person does, and counts what is done: a click, an Enter, a search that is submitted.
type walker struct {
	*window
	keys bool // the keyboard alone
	n    int
}

// find is the first element of a selector that holds a text and is seen; "" is any text.
const findElement = `((selector, text) => [...document.querySelectorAll(selector)].find((e) => (e.innerText || e.value || e.getAttribute("aria-label") || "").includes(text) && e.checkVisibility()))`

func element(selector, text string) string {
	s, _ := json.Marshal(selector)
	t, _ := json.Marshal(text)
	return fmt.Sprintf("%s(%s, %s)", findElement, s, t)
}

// on presses a link or a button: with the mouse, or by tabbing to it and Enter. What is pressed is marked, so that the page which follows is told from it.
func (w *walker) on(selector, text string) {
	w.t.Helper()
	e := element(selector, text)
	w.sees(`document.readyState === "complete" && ` + e)
	w.n++
	js[int](w.window, "window.left = false; 1")
	if w.keys {
		w.tab(e)
		w.act(chromedp.KeyEvent(kb.Enter))
	} else {
		w.click(e)
	}
	w.sees(`window.left !== false && document.readyState === "complete"`)
}

// click clicks into the middle of an element, wherever it stands then.
func (w *walker) click(e string) {
	w.t.Helper()
	// A page that is live may move what it shows once more: it is clicked where it stands in two frames, one after the other, and nothing may lie over it there.
	var at []float64
	until(w.t, "a place to click on "+e, func() bool {
		at = js[[]float64](w.window, fmt.Sprintf(`(async () => {
			const frame = () => new Promise(requestAnimationFrame), place = () => { const r = e.getClientRects()[0]; return r ? [r.left + r.width / 2, r.top + r.height / 2] : [0, 0]; };
			const e = %s;
			if (!e) return [];
			e.scrollIntoView({block: "center"});
			const before = place();
			await frame(); await frame();
			const now = place(), hit = document.elementFromPoint(now[0], now[1]);
			return hit && (e.contains(hit) || hit.contains(e)) && now[0] === before[0] && now[1] === before[1] ? now : [];
		})()`, e))
		return len(at) == 2
	})
	w.act(chromedp.MouseClickXY(at[0], at[1]))
}

// tab goes to an element with the keyboard, and sees where the focus is.
func (w *walker) tab(e string) {
	w.t.Helper()
	for range 250 {
		w.do(chromedp.KeyEvent(kb.Tab))
		if js[bool](w.window, "document.activeElement === "+e) {
			if outline := js[string](w.window, "getComputedStyle(document.activeElement).outlineStyle"); outline == "none" {
				fail(w.t, "the focus on %s is not seen", e)
			}
			return
		}
	}
	w.t.Fatalf("250 tabs do not lead to %s", e)
}

// types writes into a field, in the place of what is there: a click, or as many tabs as it takes.
func (w *walker) types(selector, text string) {
	w.t.Helper()
	e := element(selector, "")
	w.sees(e)
	if js[bool](w.window, "document.activeElement !== "+e) {
		if w.keys {
			w.tab(e)
		} else {
			w.n++
			w.click(e)
			w.sees("document.activeElement === " + e)
		}
	}
	js[int](w.window, "document.activeElement.select(); 1")
	w.do(chromedp.Func(func(ctx context.Context, to *chromedp.Target) error {
		_, err := cdp.Call(ctx, to, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// cause ends the way to the cause: what the page says, after how many interactions at most.
func (w *walker) cause(says ...string) {
	w.t.Helper()
	for _, text := range says {
		w.shows(text)
	}
	if w.n > 3 {
		fail(w.t, "%d interactions lead to the cause", w.n)
	}
	w.n = 0
}

// repair ends the way to the repair, after how many interactions at most.
func (w *walker) repair() {
	w.t.Helper()
	if w.n > 3 {
		fail(w.t, "%d interactions lead to the repair", w.n)
	}
	w.n = 0
}

// finds submits a search from any page.
func (w *walker) finds(text string) {
	w.t.Helper()
	w.types("#head-q", text)
	w.n++
	w.act(chromedp.KeyEvent(kb.Enter))
	w.sees(`location.pathname === "/console/find" && document.readyState === "complete"`)
}

// edits changes a text in the document that is shown, and gives a reason.
func (w *walker) edits(old, fresh string) {
	w.t.Helper()
	w.on("#document a", "Edit")
	w.sees(`document.activeElement === document.querySelector("#data")`)
	doc := js[string](w.window, `document.querySelector("#data").value`)
	if !strings.Contains(doc, old) {
		w.t.Fatalf("%s is not in %s", old, doc)
	}
	w.types("#data", strings.Replace(doc, old, fresh, 1))
	w.types("#edit-note", "as the customer says")
	w.on("#document button", "Save and replay")
}

// incident is one thing that has gone wrong: the way to its cause, and the way to its repair.
type incident struct {
	name          string
	cause, repair func(*walker, *world)
}

// incidents stand in the order in which they are walked: what ends by itself after some minutes comes first.
var incidents = []incident{
	{"ERP slow", func(w *walker, _ *world) {
		w.shows("a call to erp-asia takes")
		w.on("#systems a", "erp-asia")
		w.cause("asia-stock", "Latency")
	}, func(w *walker, o *world) {
		w.on("#flow-asia-stock button", "Pause")
		w.repair()
		o.becomes("asia-orders", "running")
		until(w.t, "the orders are in the ERP", func() bool { return o.asia.has("orders", object{"no": "A-3"}) })
	}},
	{"order missing in the ERP", func(w *walker, _ *world) {
		w.finds("SO-4711")
		w.cause("waiting", "C-77")
	}, func(w *walker, o *world) {
		w.on("#timeline a", "open")
		w.on("form.fetch button", "Fetch")
		w.repair()
		until(w.t, "the order is in the ERP", func() bool { return o.erp.has("orders", object{"number": "SO-4711"}) })
		w.shows("delivered")
	}},
	{"ERP down", func(w *walker, _ *world) {
		w.on("#systems a", "erp-us")
		w.cause("connection refused", "us-orders")
	}, func(w *walker, o *world) {
		o.us.start()
		w.sees(`document.querySelector("h1").innerText.includes("up")`)
		w.repair()
		o.becomes("us-orders", "running")
		until(w.t, "the orders are in the ERP", func() bool { return o.us.has("orders", object{"no": "US-2"}) })
	}},
	{"unknown unit code", func(w *walker, _ *world) {
		w.on("#causes a", "crate")
		w.cause("The map units does not know the code crate of shop.", "2 messages")
	}, func(w *walker, o *world) {
		w.types("#to-0", "pallet")
		w.on("form.code button", "")
		w.repair()
		until(w.t, "the orders are in the ERP", func() bool { return o.erp.has("orders", object{"number": "SO-601", "unit": "PAL"}) })
		w.shows("Every code is known.")
	}},
	{"value too long for a column", func(w *walker, _ *world) {
		w.on("#causes a", "too long")
		w.on("#messages a", "SO-700")
		w.cause("value too long for type character varying(20), column street", "1200 Avenida Presidente Juscelino Kubitschek")
	}, func(w *walker, o *world) {
		w.edits("1200 Avenida Presidente Juscelino Kubitschek", "1200 Av. Kubitschek")
		w.repair()
		until(w.t, "the order is in the ERP", func() bool { return o.erp.has("orders", object{"number": "SO-700", "street": "1200 Av. Kubitschek"}) })
	}},
	{"drift since two days", func(w *walker, _ *world) {
		w.shows("oldest 2 d ago")
		w.on("#compared a", "customers-crm-erp")
		w.on("#runs a", "")
		w.cause("city", "Bonn", "Ulm")
	}, func(w *walker, o *world) {
		w.on("#repair button.danger", "Repair")
		w.repair()
		until(w.t, "the city is right", func() bool { return o.erp.has("customers", object{"number": "K-1", "city": "Ulm"}) })
		w.sees(`document.querySelector("h1").innerText.includes("agreed")`)
	}},
	{"flow silent", func(w *walker, _ *world) {
		w.on("#flows a", "prices")
		w.cause("nothing delivered for")
	}, func(w *walker, o *world) {
		w.types("#to", "start")
		w.types("#rewind-note", "the source was restored from a copy")
		w.on("#rewind button", "")
		w.repair()
		until(w.t, "the price is in the ERP", func() bool { return o.erp.has("prices", object{"no": "P-2"}) })
	}},
	{"customer doubled in the CRM", func(w *walker, _ *world) {
		w.on("#compared a", "customer-once")
		w.on("#runs a", "")
		w.cause("Baltic Tools is 2 times in the CRM: K-2, K-9")
	}, func(w *walker, o *world) {
		o.crm.remove("customers", "C-9") // the CRM's own people bring the two together
		w.on("nav.crumbs a", "customer-once")
		w.on("#now button", "")
		w.repair()
		w.sees(`document.querySelector("h1").innerText.includes("agreed")`)
	}},
	{"sender with a wrong secret", func(w *walker, _ *world) {
		w.on("#refused a", "leads")
		w.cause("its sender is refused: signature")
	}, func(w *walker, o *world) {
		o.write("leads.secret", newSecret) // as the partner says
		w.on(`form[action="/console/reload"] button`, "")
		w.repair()
		w.shows("The files are loaded.")
		if code := o.push("partner/leads", newSecret, object{"no": "L-1", "seq": 1}); code != http.StatusAccepted {
			fail(w.t, "after the repair the sender gets %d", code)
		}
		o.becomes("leads", "running")
	}},
	{"invoice refused in a 200", func(w *walker, _ *world) {
		w.on("#causes a", "tax number")
		w.on("#messages a", "INV-1")
		w.cause("the tax number of the customer is missing")
	}, func(w *walker, o *world) {
		w.edits(`"seq": 1`, `"seq": 1, "tax_no": "DE-1"`)
		w.repair()
		until(w.t, "the invoice is in the books", func() bool { return o.books.has("invoices", object{"no": "INV-1"}) })
	}},
	{"one key stuck behind a parked message", func(w *walker, _ *world) {
		w.finds("SO-900")
		w.cause("queues behind another", "an order has a quantity")
	}, func(w *walker, o *world) {
		w.on("#timeline a.ahead", "")
		w.types("#discard-note", "the next one replaces it")
		w.on("#acts button.danger", "Discard")
		w.repair()
		until(w.t, "the next one is in the ERP", func() bool { return o.erp.has("orders", object{"number": "SO-900", "quantity": 5}) })
	}},
	{"partner file failed", func(w *walker, _ *world) {
		w.on("#flow-stock a", "")
		w.cause("1 file has failed", "stock-7.csv", "UTF-16")
	}, func(w *walker, o *world) {
		o.write("configs/waybill.yaml", strings.Replace(o.read("configs/waybill.yaml"), "{pattern: \"*.csv\",", "{pattern: \"*.csv\", encoding: utf-16,", 1)) // as the reason says
		w.on(`form[action="/console/reload"] button`, "")
		w.shows("The files are loaded.")
		w.on("#files form.retake button", "Take again")
		w.repair()
		until(w.t, "the stock is in the ERP", func() bool { return o.erp.has("stock", object{"no": "W-1"}) })
		w.sees(`!document.body.innerText.includes("1 file has failed")`)
	}},
}

// manners are how people look at the console: with a mouse, on a phone's screen, and with the keyboard alone.
var manners = []struct {
	name  string
	width int64
	keys  bool
}{{"wide", 1280, false}, {"phone", 400, false}, {"keys", 1280, true}}

// TestIncidents walks each incident from the overview to its cause and to its repair, in each manner. One counts that was walked in all of them.
func TestIncidents(t *testing.T) {
	need(t, envHub)
	walked := map[string]int{}
	for _, as := range manners {
		t.Run(as.name, func(t *testing.T) {
			o := newWorld(t)
			w := open(t, as.width, as.width < 1000)
			for _, inc := range incidents {
				t.Run(inc.name, func(t *testing.T) {
					o.t = t
					inc.walk(&walker{window: w.in(t), keys: as.keys}, o, "incident-"+strings.ReplaceAll(inc.name, " ", "-")+"-"+as.name)
					if walked[inc.name]++; walked[inc.name] == len(manners) && !t.Failed() {
						tally.Lock()
						tally.incidents++
						tally.Unlock()
					}
				})
			}
		})
	}
}

func (inc *incident) walk(w *walker, o *world, shot string) {
	w.do(chromedp.Navigate(o.at + "/?lang=en"))
	w.sees(`document.querySelector("#sentence")`)
	inc.cause(w, o)
	w.looks(shot + "-cause")
	inc.repair(w, o)
	w.looks(shot + "-repaired")
}
