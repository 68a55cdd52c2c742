package httpclient

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/fault"
)

func TestText(t *testing.T) {
	long := `,"trace":"` + strings.Repeat("at com.example.Frame ", 40) + `"`
	c := client(t, Config{URL: "http://crm.example", Auth: Auth{Bearer: secret("pa55word-of-the-hub")}})
	for body, want := range map[string]string{
		``:                                     "",
		" plain\n text ":                       "plain text",
		"{ \"message\":\n \"no\" }":            `{ "message": "no" }`,
		`{"message":"no"` + long + `}`:         "no",
		`{"error":"invalid"` + long + `}`:      "invalid",
		`{"errors":["a","b"]` + long + `}`:     "a",
		`{"errors":{"vat":["x"]}` + long + `}`: `{"vat":["x"]}`,
		`{"error":{"code":"A/1","message":{"lang":"en","value":"Odata V2"}}` + long + `}`:             "Odata V2",
		`[{"message":"locked","errorCode":"E"` + long + `}]`:                                          "locked",
		`<html><head><style>p{}</style><script>x()</script></head><p>Not &lt;you&gt;</p>`:             "Not <you>",
		`<!-- x --><a:Fault><faultstring xml:lang="en"><![CDATA[a < b]]></faultstring></a:Fault>`:     "a < b",
		`<s:Reason><s:Text>Closed</s:Text></s:Reason>`:                                                "Closed",
		`<error xmlns="m"><code>005056A509B1</code><message xml:lang="en">Not open</message></error>`: "Not open",
	} {
		if got := c.Text(&Response{Body: []byte(body)}); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", body, got, want)
		}
	}
	for n := range 40 { // wherever the end of the text cuts the secret
		got := c.Text(&Response{Body: []byte(strings.Repeat("x", maxText-30+n) + "pa55word-of-the-hub" + strings.Repeat("y", 50))})
		if strings.Contains(got, "pa55") || len([]rune(got)) > maxText {
			t.Errorf("%d: %s", n, got[maxText-40:])
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{`{"a":1}`, "<a>", "<![CDATA[", "\xff\xfe", `{"errors":[]}`, "<script><script>"} {
		f.Add([]byte(s))
	}
	c := &Client{}
	f.Fuzz(func(t *testing.T, body []byte) {
		if got := c.Text(&Response{Body: body}); len([]rune(got)) > maxText || strings.ContainsAny(got, "\n\r") {
			t.Errorf("%q gives %q", body, got)
		}
	})
}

// An answer that says in its body that the token is no good is a 401 all the same: the token is fetched anew, once.
func TestJudgedLogin(t *testing.T) {
	tokens, calls := 0, 0
	srv, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens++
			io.WriteString(w, `{"access_token":"t`+string(rune('0'+tokens))+`","expires_in":3600}`)
			return
		}
		calls++
		io.WriteString(w, r.Header.Get("Authorization"))
	})
	c := client(t, Config{URL: srv.cfg.URL, Auth: Auth{ClientCredentials: &ClientCredentials{TokenURL: srv.cfg.URL + "/token", ID: "hub", Secret: secret("s3cr3t-of-it")}}})
	judge := func(good string) func(*Response, *fault.Error) *fault.Error {
		return func(r *Response, failed *fault.Error) *fault.Error {
			if failed != nil || strings.HasSuffix(string(r.Body), good) {
				return failed
			}
			return &fault.Error{Kind: fault.Auth, Err: errors.New("unknown token " + string(r.Body) + " s3cr3t-of-it")}
		}
	}
	if _, err := c.Do(t.Context(), Request{Method: "POST", Path: "x", Judge: judge("t2")}); err != nil || tokens != 2 || calls != 2 {
		t.Errorf("%v after %d tokens and %d calls", err, tokens, calls)
	}
	_, err := c.Do(t.Context(), Request{Method: "POST", Path: "x", Op: "try", Judge: judge("none")})
	if f, ok := fault.As(err); !ok || f.Kind != fault.Auth || f.Code != "200" || f.Op != "try" || f.System != "crm" || calls != 4 || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%v after %d calls", err, calls)
	}
}
