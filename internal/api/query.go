package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// query reads a request's parameters, each of which stands there once and says something. A misspelt one is refused: without it, everything
// would be selected.
func query(w http.ResponseWriter, r *http.Request, known ...string) (url.Values, bool) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		problem(w, http.StatusBadRequest, "the query cannot be read: "+err.Error())
		return nil, false
	}
	for name, values := range q {
		wrong := ""
		switch {
		case !slices.Contains(known, name):
			wrong = fmt.Sprintf("there is no parameter %q; there are %s", name, strings.Join(known, ", "))
		case len(values) > 1:
			wrong = fmt.Sprintf("the parameter %s stands there %d times", name, len(values))
		case values[0] == "":
			wrong = fmt.Sprintf("the parameter %s is empty: leave it out", name)
		case !plainText(values[0]):
			wrong = fmt.Sprintf("the parameter %s is no text in UTF-8, or holds a character of the code 0", name)
		}
		if wrong != "" {
			problem(w, http.StatusBadRequest, wrong)
			return nil, false
		}
	}
	return q, true
}

// plainText is what both stores can compare.
func plainText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// yes reads true or false; false where the query has neither.
func yes(w http.ResponseWriter, q url.Values, name string) (value, ok bool) {
	switch q.Get(name) {
	case "", "false":
		return false, true
	case "true":
		return true, true
	}
	problem(w, http.StatusBadRequest, name+" is true or false")
	return false, false
}
