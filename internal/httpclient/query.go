package httpclient

import (
	"net/url"
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

// Escape escapes a text for a query, or for one segment of a path.
func Escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
