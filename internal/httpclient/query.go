package httpclient

import (
	"net/url"
	"slices"
	"strings"
)

// Param is one query parameter.
type Param struct{ Name, Value string }

// Query is a list of parameters in their order.
type Query []Param

// Encode writes the query with %20 for a space: not every server reads + as one.
func (q Query) Encode() string {
	var b strings.Builder
	for i, p := range q {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(Escape(p.Name))
		b.WriteByte('=')
		b.WriteString(Escape(p.Value))
	}
	return b.String()
}

// Beside gives those parameters whose names an address does not have already: one that an answer has named, as that of the next page, repeats what it was asked with,
// and services that get a parameter twice make of both what they like.
func (q Query) Beside(address string) Query {
	_, query, _ := strings.Cut(address, "?")
	had, err := url.ParseQuery(query)
	if err != nil || len(had) == 0 {
		return q
	}
	return slices.DeleteFunc(slices.Clone(q), func(p Param) bool { return had.Has(p.Name) })
}

// Escape escapes a text for a query, or for one segment of a path.
func Escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
