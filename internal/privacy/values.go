package privacy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Values are personal values that documents were seen to hold. They are looked for in texts of which nobody knows the form: a system's words, an
// error's, a document's other fields.
type Values struct {
	seen  map[string]bool
	forms []string // what may stand for them, longest first; made when first asked for
	long  *regexp.Regexp
	short *regexp.Regexp
	// unread: a document that may hold some could not be read.
	unread bool
}

// shortest is how long a value is, in characters, to be looked for within words: shorter ones stand everywhere.
const shortest = 4

// mostForms bounds what is looked for in a text; beyond it the whole text is masked.
const mostForms = 4000

func (v *Values) add(text string) {
	if text = strings.TrimSpace(text); text == "" || text == Masked {
		return
	}
	if v.seen == nil {
		v.seen = map[string]bool{}
	}
	if !v.seen[text] {
		v.seen[text] = true
		v.forms, v.long, v.short = nil, nil, nil
	}
}

// prepare makes the forms in which a value may be written, and what finds them.
func (v *Values) prepare() {
	if v.forms != nil || len(v.seen) == 0 || len(v.seen) > mostForms {
		return
	}
	all := map[string]bool{}
	for text := range v.seen {
		for _, f := range formsOf(text) {
			all[f] = true
		}
	}
	for f := range all {
		v.forms = append(v.forms, f)
	}
	slices.SortFunc(v.forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var long, short []string
	for _, f := range v.forms {
		if within(f) {
			long = append(long, regexp.QuoteMeta(f))
		} else {
			short = append(short, regexp.QuoteMeta(f))
		}
	}
	v.long, v.short = finder(long), finder(short)
}

func finder(forms []string) *regexp.Regexp {
	if len(forms) == 0 {
		return nil
	}
	re, err := regexp.Compile("(?i)(?:" + strings.Join(forms, "|") + ")")
	if err != nil {
		return nil // quoted texts compile
	}
	return re
}

// within reports whether a form is looked for inside of words too. Numbers are not: 4711 is no part of 47110.
func within(form string) bool {
	return utf8.RuneCountInString(form) >= shortest && strings.ContainsFunc(form, func(r rune) bool { return !unicode.IsDigit(r) })
}

// formsOf are the ways in which systems and the hub write a text down.
func formsOf(text string) []string {
	quoted := jsondoc.AppendString(nil, text)
	b, err := json.Marshal(text) // it writes some characters differently
	if err != nil {
		b = quoted
	}
	ascii := strings.Trim(fmt.Sprintf("%+q", text), `"`)
	forms := []string{text, string(quoted[1 : len(quoted)-1]), string(b[1 : len(b)-1]), ascii, escaped(text), url.QueryEscape(text), url.PathEscape(text),
		html.EscapeString(text), strings.Join(strings.Fields(text), " ")}
	return slices.DeleteFunc(forms, func(f string) bool { return f == "" })
}

// escaped writes everything beyond ASCII as JSON's \uXXXX.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

var quotedPiece = regexp.MustCompile(`"[^"]*"?|'[^']*'?|` + "`[^`]*`?" + `|“[^”]*”?`)

var beside = regexp.MustCompile(`\*\*\*(?:\s+\*\*\*)+`)

// Value is Text for a text that is a value by itself: one that holds personal data, and blanks at most beside it, is masked as a whole.
func (v *Values) Value(text string) string {
	t := v.Text(text)
	if t != text && strings.TrimSpace(t) == Masked {
		return Masked
	}
	return t
}

// Text gives a text in which no value stands in clear.
func (v *Values) Text(text string) string {
	if v == nil || text == "" || len(v.seen) == 0 && !v.unread {
		return text
	}
	if len(v.seen) > mostForms {
		return Masked
	}
	v.prepare()
	if v.long != nil {
		text = v.long.ReplaceAllLiteralString(text, Masked)
	}
	if v.short != nil {
		text = v.wholeWords(text)
	}
	text = v.cutValues(text)
	if strings.Count(text, Masked) > 1 { // how many values stood beside one another is nobody's business
		text = beside.ReplaceAllLiteralString(text, Masked)
	}
	if v.unread { // what a reader quotes of a document that it could not read may be anything
		text = quotedPiece.ReplaceAllLiteralString(text, `"`+Masked+`"`)
	}
	return text
}

func (v *Values) wholeWords(text string) string {
	var b strings.Builder
	from := 0
	for from < len(text) {
		m := v.short.FindStringIndex(text[from:])
		if m == nil {
			break
		}
		start, end := from+m[0], from+m[1]
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, size := utf8.DecodeRuneInString(text[end:])
		if start > 0 && wordRune(before) || size > 0 && wordRune(after) {
			_, first := utf8.DecodeRuneInString(text[start:])
			b.WriteString(text[from : start+first])
			from = start + first
			continue
		}
		b.WriteString(text[from:start])
		b.WriteString(Masked)
		from = end
	}
	b.WriteString(text[from:])
	return b.String()
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

var cut = regexp.MustCompile(`\.\.\.|…|$`)

// cutValues masks the beginnings of values where a text was cut short.
func (v *Values) cutValues(text string) string {
	ends := cut.FindAllStringIndex(text, -1)
	for i := len(ends) - 1; i >= 0; i-- {
		head := text[:ends[i][0]]
		if n := v.begun(head); n > 0 {
			text = head[:len(head)-n] + Masked + text[ends[i][0]:]
		}
	}
	return text
}

// begun is how many bytes at the end of a text are the beginning of a value.
func (v *Values) begun(head string) (longest int) {
	for _, f := range v.forms {
		for n := min(len(f)-1, len(head)); n >= shortest && n > longest; n-- {
			if utf8.RuneStart(f[n]) && strings.EqualFold(head[len(head)-n:], f[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}
