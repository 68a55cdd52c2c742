package httpclient

import (
	"html"
	"regexp"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

const (
	// maxText is how much of a system's own words a failure keeps.
	maxText = 300
	// maxRead is how much of a body is looked through for them where it is no JSON.
	maxRead = 64 << 10
)

// said are the places in which JSON services put their words for people, best first: OData V2, OData and Google, OAuth, RFC 9457, JSON:API and
// GraphQL, Salesforce's lists, and plain ones.
var said = []string{
	"error.message.value", "error.message", "error_description", "detail", "errors.0.message", "errors.0.detail", "errors.0.title", "0.message",
	"message", "Message", "error", "errorMessage", "error_message", "errors.0", "errors", "fault.faultstring", "msg", "title", "reason",
}

// Text gives a system's own words, as far as an answer holds any: at most 300 characters on one line, without secrets. A short JSON body is
// told as it stands, because the field and the code beside the message help; of a long one the message. Of XML and HTML the text is told,
// without markup.
func (c *Client) Text(r *Response) string {
	return Shorten(c.Scrub(r.text()), maxText) // a secret that is cut in two would not be found any more
}

func (r *Response) text() string {
	root, err := r.JSON()
	whole := strings.ToValidUTF8(string(r.Body[:min(len(r.Body), maxRead)]), "?")
	if err != nil {
		if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(whole, "\uFEFF")), "<") {
			whole = unmarked(whole)
		}
		return oneLine(whole)
	}
	whole = oneLine(whole)
	if len([]rune(whole)) <= maxText {
		return whole
	}
	for _, path := range said {
		if text := words(root, path); text != "" {
			return oneLine(text)
		}
	}
	return whole
}

// words gives the text at a path of names and list positions, or a list or object as it stands.
func words(v jsondoc.Value, path string) string {
	for _, step := range strings.Split(path, ".") {
		if v.Kind() == jsondoc.Array && step == "0" {
			v = v.Index(0)
		} else {
			v = v.Get(step)
		}
	}
	switch v.Kind() {
	case jsondoc.String:
		return v.Str()
	case jsondoc.Array, jsondoc.Object:
		if v.Len() > 0 {
			return string(v.Raw())
		}
	}
	return ""
}

var (
	// fault strings of SOAP 1.1 and 1.2, messages of OData and others: the element's name with any prefix.
	xmlWords = regexp.MustCompile(`(?is)<(?:[\w.-]+:)?(?:faultstring|text|message|errormessage)(?:\s[^>]*)?>(.*?)</`)
	unseen   = regexp.MustCompile(`(?is)<(?:script|style)\b.*?</(?:script|style)\s*>|<!--.*?-->|<[!?][^>]*>`)
	markup   = regexp.MustCompile(`<[^>]*>`)
)

// unmarked gives the text of XML or HTML.
func unmarked(text string) string {
	if m := xmlWords.FindStringSubmatch(text); m != nil && strings.TrimSpace(m[1]) != "" {
		text = m[1]
	}
	text = strings.NewReplacer("<![CDATA[", "", "]]>", "").Replace(text)
	text = markup.ReplaceAllString(unseen.ReplaceAllString(text, " "), " ")
	return html.UnescapeString(text)
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
