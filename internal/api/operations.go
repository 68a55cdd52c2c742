package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/waybill-hub/waybill/internal/access"
)

// operation is what the description says of a route, beside who may ask it. Its parameters are also what the server takes: one place says both.
type operation struct {
	says, about string
	query       params
	match       match
	body        *content
	answers     answers
}

// match is what If-Match is to a route.
type match int

const (
	matchNone match = iota
	matchMay
	matchNeeded
)

// content is a body that a route takes.
type content struct {
	of     any    // a value of its type
	name   string // of its schema, where that is not the type's
	drop   string // a member of the type that this route does not take
	more   string // JSON: what the type alone cannot say of it
	always bool   // there must be one
}

func takes(of any) *content                  { return &content{of: of} }
func (c *content) needed() *content          { c.always = true; return c }
func (c *content) named(n string) *content   { c.name = n; return c }
func (c *content) without(m string) *content { c.drop = m; return c }
func (c *content) rules(j string) *content   { c.more = j; return c }

// answers are what a route answers by status, apart from what every route of its kind does.
type answers map[int]reply

// reply is an answer; one without forms is a problem.
type reply struct {
	says  string
	forms []form
}

// form is one way in which an answer is written: of a value of the type of, or of a text about which a prose says more.
type form struct {
	media string
	of    any
}

type prose string

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
	mediaBook    = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

func gives(says string, of any) reply { return reply{says, []form{{mediaJSON, of}}} }
func no(says string) reply            { return reply{says: says} }

var (
	notUnderstood  = no("what is asked for is not understood")
	wrongParameter = no("a parameter is wrong")
	noNumber       = no("the id is no number, or a parameter is wrong")
	storeOrDisk    = no("the store does not answer, the disk of the copies is full, or the hub is stopping")
)

// operations are what is said of every route that is not a page.
func operations() map[string]operation {
	all := hubOperations()
	maps.Copy(all, messageOperations())
	maps.Copy(all, comparisonOperations())
	return all
}

// param is one parameter of a query: a text, a whole number within bounds, true or false, or one of some words.
type param struct {
	name, says       string
	kind             string // of JSON Schema: string, integer or boolean
	must             bool
	def, least, most int64
	words            []string
	pattern, example string
}

type params []param

func text(name, says string) param  { return param{name: name, says: says, kind: "string"} }
func truth(name, says string) param { return param{name: name, says: says, kind: "boolean"} }
func oneOf(name, says string, words ...string) param {
	return param{name: name, says: says, kind: "string", words: words}
}
func number(name, says string, def, least, most int64) param {
	return param{name: name, says: says, kind: "integer", def: def, least: least, most: most}
}
func (p param) needed() param         { p.must = true; return p }
func (p param) like(ex string) param  { p.example = ex; return p }
func (p param) form(pat string) param { p.pattern = pat; return p }

// lastPlace is the largest id by which a list goes on.
const lastPlace = 1 << 62

func before() param {
	return number("before", "go on below this id: next of the last page", 0, 0, lastPlace)
}
func after() param {
	return number("after", "go on behind this id: next of the last page", 0, 0, lastPlace)
}
func limit(def, most int64) param { return number("limit", "at most so many", def, 1, most) }

// wrong says what is wrong with a value, which is a plain text and not empty.
func (p *param) wrong(v string) string {
	switch {
	case p.kind == "integer":
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < p.least || n > p.most || v[0] == '+' {
			return fmt.Sprintf("%s must be a number from %d to %d", p.name, p.least, p.most)
		}
	case p.kind == "boolean" && v != "true" && v != "false":
		return p.name + " is true or false"
	case p.words != nil && !slices.Contains(p.words, v):
		return fmt.Sprintf("%s is one of %s", p.name, strings.Join(p.words, ", "))
	}
	return ""
}

// read gives what a query says; wrong is what is wrong with it. Each parameter stands there once and says something. A misspelt one is refused:
// without it, everything would be selected.
func (ps params) read(raw string) (given asked, wrong string) {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, "the query cannot be read: " + err.Error()
	}
	names := make([]string, len(ps))
	given = asked{}
	for i := range ps {
		names[i] = ps[i].name
		if ps[i].kind == "integer" {
			given[ps[i].name] = strconv.FormatInt(ps[i].def, 10)
		}
	}
	for name, values := range q {
		at := slices.Index(names, name)
		switch {
		case at < 0 && len(ps) == 0:
			return nil, fmt.Sprintf("there is no parameter %q; there are none here", name)
		case at < 0:
			return nil, fmt.Sprintf("there is no parameter %q; there are %s", name, strings.Join(names, ", "))
		case len(values) > 1:
			return nil, fmt.Sprintf("the parameter %s stands there %d times", name, len(values))
		case values[0] == "":
			return nil, fmt.Sprintf("the parameter %s is empty: leave it out", name)
		case !plainText(values[0]):
			return nil, fmt.Sprintf("the parameter %s is no text in UTF-8, or holds a character of the code 0", name)
		}
		if wrong := ps[at].wrong(values[0]); wrong != "" {
			return nil, wrong
		}
		given[name] = values[0]
	}
	for i := range ps {
		if ps[i].must && given[ps[i].name] == "" {
			return nil, "give ?" + ps[i].name + "=: " + ps[i].says
		}
	}
	return given, ""
}

// asked is what a request's query says, which was looked at: numbers that are not there have their default.
type asked map[string]string

func (a asked) text(name string) string { return a[name] }
func (a asked) flag(name string) bool   { return a[name] == "true" }
func (a asked) number(name string) int64 {
	n, _ := strconv.ParseInt(a[name], 10, 64) // read has looked at it
	return n
}

type askedKey struct{}

// of gives what a request's query says.
func of(r *http.Request) asked {
	a, _ := r.Context().Value(askedKey{}).(asked)
	return a
}

// reading has a request's query be what the operation says.
func (o *operation) reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, wrong := o.query.read(r.URL.RawQuery)
		if wrong != "" {
			problem(w, http.StatusBadRequest, wrong)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), askedKey{}, a)))
	})
}

// Nothing is the body of an act that there is nothing to say to.
type Nothing struct{}

// Health says that the hub lives, or is ready.
type Health struct {
	Status string `json:"status" enum:"ok,ready"`
}

// needsText says in a sentence who may ask.
func needsText(n access.Need) string {
	text := "It needs the role " + n.Role.String()
	if n.Scope != "" {
		text += " and, of a token with scopes, the scope " + string(n.Scope)
	}
	return text + "."
}
