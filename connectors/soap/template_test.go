package soap

import (
	"crypto/sha1" //nolint:gosec // as the profile of WS-Security says
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// made fills a template of YAML.
func made(t testing.TB, yaml, doc string, params map[string]string) (string, error) {
	t.Helper()
	var p strictyaml.Problems
	n := strictyaml.Parse("t.yaml", []byte(yaml), &p)[0]
	c := &compiler{spaces: map[string]string{"o": "urn:o", "q": "urn:q"}, p: &p}
	all := c.content(n)
	if err := p.Err(); err != nil {
		return "", err
	}
	f := &filler{params: params}
	if doc != "" {
		d, err := jsondoc.Parse([]byte(doc), jsondoc.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		f.root = d.Root()
	}
	out, err := f.content(nil, all, f.root)
	return string(out), err
}

func TestTemplate(t *testing.T) {
	for name, c := range map[string]struct{ yaml, doc, want string }{
		"values as they are":                {`o:a: {o:b: "{b}", o:c: "{c}", o:d: "{d}"}`, `{"b":12.50,"c":"00123","d":true}`, `<o:a><o:b>12.50</o:b><o:c>00123</o:c><o:d>true</o:d></o:a>`},
		"absent, null and empty are three":  {`o:a: {o:b: "{b}", o:c: "{c}", o:d: "{d}"}`, `{"c":null,"d":""}`, `<o:a><o:c xsi:nil="true"/><o:d></o:d></o:a>`},
		"signs are escaped":                 {`o:a: {"@n": "{n}", "#text": "{x}"}`, `{"n":"\"<&\n","x":"]]> & <b>"}`, `<o:a n="&#34;&lt;&amp;&#10;">]]&gt; &amp; &lt;b&gt;</o:a>`},
		"a list":                            {`o:a: {o:l: {$each: lines, "@no": "{no}", o:s: "{sku}", o:cur: "{/currency}"}}`, `{"currency":"EUR","lines":[{"no":1,"sku":"A"},{"no":2}]}`, `<o:a><o:l no="1"><o:s>A</o:s><o:cur>EUR</o:cur></o:l><o:l no="2"><o:cur>EUR</o:cur></o:l></o:a>`},
		"a list of texts":                   {`o:a: {o:t: {$each: tags, "#text": "{.}"}}`, `{"tags":["x","y"]}`, `<o:a><o:t>x</o:t><o:t>y</o:t></o:a>`},
		"a list that is empty, and one not": {`{o:a: {o:ls: {o:l: {$each: lines, o:s: "{s}"}}, o:ms: {o:m: {$each: more, o:s: "{s}"}}, o:f: fixed}}`, `{"lines":[]}`, `<o:a><o:ls></o:ls><o:f>fixed</o:f></o:a>`},
		"an element of absent ones is left": {`o:a: {o:b: {o:c: "{c}", "@d": "{d}"}, o:e: "{e}"}`, `{"e":1}`, `<o:a><o:e>1</o:e></o:a>`},
		"fixed content stands":              {`o:a: {o:b: x, o:c: 1.10, o:d: true, o:e: "007", o:f: }`, `{}`, `<o:a><o:b>x</o:b><o:c>1.10</o:c><o:d>true</o:d><o:e>007</o:e><o:f></o:f></o:a>`},
		"a text of parts":                   {`o:a: {o:b: "{x}-{y}", o:c: "{x}-{z}", o:d: "{{{x}}}"}`, `{"x":"1","y":2,"z":null}`, `<o:a><o:b>1-2</o:b><o:d>{1}</o:d></o:a>`},
		"parts of which one is absent":      {`o:a: {o:b: {o:c: "{x}-{z}"}, o:d: "{x}"}`, `{"x":"1"}`, `<o:a><o:d>1</o:d></o:a>`},
		"a copy":                            {`o:a: {$copy: address, $prefix: q}`, `{"address":{"city":"Köln","@kind":"home","line":["1","2"],"zip":null}}`, ``},
		"a copy of the document":            {`o:a: {$copy: ., $prefix: q, o:z: last}`, `{"b":{"@n":1,"c":"x"},"d":["1","2"],"e":null}`, `<o:a><o:z>last</o:z><q:b n="1"><q:c>x</q:c></q:b><q:d>1</q:d><q:d>2</q:d><q:e xsi:nil="true"/></o:a>`},
		"several of a name":                 {`o:a: {o:b: [{"@k": "1", "#text": "{x}"}, {"@k": "2", "#text": "{y}"}, last], o:c: x}`, `{"x":"1"}`, `<o:a><o:b k="1">1</o:b><o:b>last</o:b><o:c>x</o:c></o:a>`},
		"values of the call":                {`o:a: {o:since: "{$since}", o:page: "{$page}", o:id: "{$id}"}`, ``, `<o:a><o:page>2</o:page><o:id>a&amp;b</o:id></o:a>`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := made(t, c.yaml, c.doc, map[string]string{"page": "2", "id": "a&b"})
			if c.want == "" {
				if err == nil {
					t.Errorf("it gives %s, and an attribute has no place there", got)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got  %s %v\nwant %s", got, err, c.want)
			}
		})
	}
	for name, c := range map[string]struct{ yaml, doc, want string }{
		"a list where a text belongs":  {`o:a: {o:b: "{b}"}`, `{"b":[1]}`, "a text is needed"},
		"a text where a list belongs":  {`o:a: {o:b: {$each: b}}`, `{"b":1}`, "is no list"},
		"an element of a list":         {`o:a: {o:b: {$each: b, o:c: "{c}"}}`, `{"b":[{"c":1},{"c":{}}]}`, "b, element 1"},
		"a sign that is none":          {`o:a: {o:b: "{b}"}`, `{"b":"\u0001"}`, "no sign that XML can hold"},
		"a copy of a text":             {`o:a: {$copy: b, $prefix: o}`, `{"b":1}`, "is no object"},
		"an unknown prefix":            {`x:a: {}`, ``, `the prefix "x" is not one of namespaces`},
		"a name that is none":          {`"o:1a": x`, ``, "is no name of an element"},
		"a brace":                      {`o:a: "{b"`, ``, "a brace is not closed"},
		"a brace too many":             {`o:a: "b}"`, ``, "was not opened"},
		"a place for nothing":          {`o:a: "{}"`, ``, "names nothing"},
		"a value of the call, unnamed": {`o:a: "{$}"`, `{"b":1}`, "{$} names nothing"},
		"a list of nothing":            {`o:a: []`, ``, "an empty list"},
		"a list in a list":             {`o:a: [x, [y]]`, ``, "a list itself"},
		"a sign of ours":               {`o:a: {$loop: b}`, ``, "$loop is not known"},
		"a text at the top":            {`"#text": x`, ``, "only elements stand here"},
		"a prefix of a copy":           {`o:a: {$copy: b, $prefix: x}`, `{"b":{}}`, "not one of namespaces"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := made(t, c.yaml, c.doc, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestUsernameToken: the digest is that of the profile, with a nonce of its own every time; the plain form holds the password once.
func TestUsernameToken(t *testing.T) {
	u := &usernameToken{User: "h&b", Password: strictyaml.NewSecret("pass<word"), Digest: true}
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.FixedZone("", 3600))
	read := func() (user, password, nonce, created string) {
		t.Helper()
		b, err := u.append(nil, at)
		if err != nil {
			t.Fatal(err)
		}
		root, err := xmldoc.Parse([]byte(`<e xmlns:soap="` + ns11 + `">` + string(b) + `</e>`))
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		token := root.Child(nsWSSE, "Security").Child(nsWSSE, "UsernameToken")
		return token.Child(nsWSSE, "Username").Content(), token.Child(nsWSSE, "Password").Content(), token.Child(nsWSSE, "Nonce").Content(), token.Child(nsWSU, "Created").Content()
	}
	user, digest, nonce, created := read()
	raw, err := base64.StdEncoding.DecodeString(nonce)
	sum := sha1.Sum([]byte(string(raw) + created + "pass<word")) //nolint:gosec // see above
	if user != "h&b" || err != nil || len(raw) != 16 || created != "2026-11-30T11:00:00.000Z" || digest != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("%q %q %q %q %v", user, digest, nonce, created, err)
	}
	if _, _, again, _ := read(); again == nonce {
		t.Error("a nonce came twice")
	}
	u.Digest = false
	if _, password, nonce, _ := read(); password != "pass<word" || nonce != "" {
		t.Errorf("%q %q", password, nonce)
	}
}
