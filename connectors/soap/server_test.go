package soap

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The double of internal/test/systems/soap, which runs the same suite where npm is: the same operations and faults, over 1.1 or 1.2, with prefixes of its own.

type xmlItem struct {
	XMLName    xml.Name `xml:"item"`
	ID         string   `xml:"id,omitempty"`
	Code       string   `xml:"code,omitempty"`
	Name       *string  `xml:"name"`
	Price      string   `xml:"price,omitempty"`
	Rev        string   `xml:"rev,omitempty"`
	Tags       []string `xml:"tags>tag"`
	ExternalID string   `xml:"externalId,omitempty"`
	Lock       string   `xml:"lock,omitempty"`
	Changed    string   `xml:"changed,omitempty"`
}

type xmlEnvelope struct {
	XMLName xml.Name
	Header  struct {
		Username string `xml:"Security>UsernameToken>Username"`
		Password string `xml:"Security>UsernameToken>Password"`
	}
	Body struct {
		Call struct {
			XMLName    xml.Name
			ID         string  `xml:"id"`
			Item       xmlItem `xml:"item"`
			Since      string  `xml:"since"`
			Code       string  `xml:"code"`
			ExternalID string  `xml:"externalId"`
			Page       int     `xml:"page"`
			Size       int     `xml:"size"`
		} `xml:",any"`
	}
}

const (
	user     = "hub"
	password = "pass-word-of-tests"
	nsItems  = "urn:example:items"
)

type double struct {
	url string

	mu     sync.Mutex
	items  map[string]*xmlItem
	last   int
	refuse func(w http.ResponseWriter, r *http.Request, body string) bool
	sent   struct{ action, media, body string }
}

func newDouble(t testing.TB) *double {
	d := &double{items: map[string]*xmlItem{}}
	srv := httptest.NewServer(d)
	t.Cleanup(srv.Close)
	d.url = srv.URL + "/items"
	return d
}

func envelope(space, body string) string {
	return xml.Header + `<e:Envelope xmlns:e="` + space + `" xmlns="` + nsItems + `"><e:Body>` + body + `</e:Body></e:Envelope>`
}

func faultOf(space, code, text, detail string) string {
	if space == ns12 {
		code = map[string]string{"Client": "Sender", "Server": "Receiver"}[code]
		return envelope(space, `<e:Fault><e:Code><e:Value>e:`+code+`</e:Value></e:Code><e:Reason><e:Text xml:lang="en">`+text+`</e:Text></e:Reason><e:Detail>`+detail+`</e:Detail></e:Fault>`)
	}
	return envelope(space, `<e:Fault><faultcode xmlns="">e:`+code+`</faultcode><faultstring xmlns="">`+text+`</faultstring><detail xmlns="">`+detail+`</detail></e:Fault>`)
}

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	d.sent.action, d.sent.media, d.sent.body = r.Header.Get("SOAPAction"), r.Header.Get("Content-Type"), string(b)
	d.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	if d.refuse != nil && d.refuse(w, r, string(b)) {
		return
	}
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	var in xmlEnvelope
	if err := xml.Unmarshal(b, &in); err != nil {
		w.WriteHeader(500)
		fmt.Fprint(w, faultOf(ns11, "Client", "no envelope", ""))
		return
	}
	space := in.XMLName.Space
	fault := func(status int, code, text, detail string) {
		w.WriteHeader(status)
		fmt.Fprint(w, faultOf(space, code, text, detail))
	}
	if in.Header.Username != user || in.Header.Password != password {
		fault(401, "Client", "who is "+in.Header.Username+"?", "")
		return
	}
	call := &in.Body.Call
	if call.XMLName.Space != nsItems {
		fault(500, "Client", "no operation "+call.XMLName.Local, "")
		return
	}
	d.mu.Lock()
	answer, refusal := d.operate(&in)
	d.mu.Unlock()
	if refusal != nil {
		fault(500, "Client", refusal[1], "<ItemFault><code>"+refusal[0]+"</code><field>"+refusal[2]+"</field></ItemFault>")
		return
	}
	fmt.Fprint(w, envelope(space, "<"+call.XMLName.Local+"Response>"+answer+"</"+call.XMLName.Local+"Response>"))
}

func (d *double) operate(in *xmlEnvelope) (answer string, refusal []string) {
	call := &in.Body.Call
	shown := func(it *xmlItem) string {
		b, err := xml.Marshal(it)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	it := d.items[call.ID]
	switch call.XMLName.Local {
	case "CreateItem":
		made := call.Item
		for _, other := range d.items {
			if other.Code == made.Code || made.ExternalID != "" && other.ExternalID == made.ExternalID {
				return "", []string{"EXISTS", "an item " + made.Code + " is there already", ""}
			}
		}
		if made.Code == "" {
			return "", []string{"MISSING", "an item needs a code", "code"}
		}
		d.last++
		made.ID, made.Lock, made.Changed = strconv.Itoa(d.last), "1", stampText(time.Now())
		d.items[made.ID] = &made
		return shown(&made), nil
	case "UpdateItem":
		if it == nil {
			return "", []string{"GONE", "there is no item " + call.ID, ""}
		}
		if l := call.Item.Lock; l != "" && l != it.Lock {
			return "", []string{"STALE", "it was changed meanwhile", ""}
		}
		next := *it
		if call.Item.Name != nil {
			next.Name = call.Item.Name
		}
		if call.Item.Price != "" {
			next.Price = call.Item.Price
		}
		n, _ := strconv.Atoi(it.Lock)
		next.Lock, next.Changed = strconv.Itoa(n+1), stampText(time.Now())
		d.items[call.ID] = &next
		return shown(&next), nil
	case "GetItem":
		if it == nil {
			return "", nil
		}
		return shown(it), nil
	case "DeleteItem":
		if it == nil {
			return "", []string{"GONE", "there is no item " + call.ID, ""}
		}
		delete(d.items, call.ID)
		return "", nil
	case "ListItems":
		var found []*xmlItem
		for _, it := range d.items {
			if (call.Since == "" || it.Changed != "" && it.Changed >= call.Since) && (call.Code == "" || it.Code == call.Code) && (call.ExternalID == "" || it.ExternalID == call.ExternalID) {
				found = append(found, it)
			}
		}
		slices.SortFunc(found, func(a, b *xmlItem) int {
			if c := strings.Compare(a.Changed, b.Changed); c != 0 {
				return c
			}
			return strings.Compare(a.ID, b.ID)
		})
		from := min((max(1, call.Page)-1)*call.Size, len(found))
		to := min(from+call.Size, len(found))
		for _, it := range found[from:to] {
			answer += shown(it)
		}
		return answer + fmt.Sprintf("<last>%t</last>", to == len(found)), nil
	}
	return "", []string{"WHAT", "no operation " + call.XMLName.Local, ""}
}

func stampText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// outside makes or changes an item without SOAP.
func (d *double) outside(it *xmlItem) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.items[it.ID] = it
}
