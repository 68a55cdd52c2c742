package edi

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// one reads one value; raw is empty where there is none.
func (r *reading) one(it *item, v *value, e, c int, raw, form []byte, n *node) {
	if len(raw) == 0 || v.kind != asText && raw[0] == ' ' && len(bytes.TrimLeft(raw, " ")) == 0 { // blanks fill what is no text
		if v.required || v.auto == "hl-id" {
			r.fault(FaultMissingElement, e, c, "it must be there")
		}
		return
	}
	switch {
	case v.auto != "":
		r.auto(v, e, raw)
		return
	case v.fixed != "" && string(raw) == v.fixed:
		return
	case v.name == "" && v.format != "": // the date beside it has been read by it
		return
	case v.name == "":
		r.moreText(it, n, e, c, raw)
		return
	}
	from := len(r.buf)
	r.buf = r.appendValue(r.buf, v, e, c, raw, form)
	if len(r.buf) == from {
		return
	}
	n.members = append(n.members, member{name: v.name, key: v.key, raw: r.buf[from:len(r.buf):len(r.buf)]})
	if v.count != "" {
		if want, err := strconv.Atoi(string(raw)); err == nil {
			r.counts = append(r.counts, counted{v.count, want, r.seg, e})
		}
	}
}

// auto checks the numbers of hierarchical levels: a level stands in the one that it names.
func (r *reading) auto(v *value, e int, raw []byte) {
	f := &r.frames[len(r.frames)-1]
	switch v.auto {
	case "hl-id":
		f.hl = string(raw)
		if _, twice := r.levels[f.hl]; twice {
			r.faultAt(r.seg, FaultCode, e, 0, 0, f.hl, fmt.Sprintf("another level has the number %q", short(f.hl)))
			return
		}
		if r.levels == nil {
			r.levels = map[string]opened{}
		}
		l := opened{item: f.item, node: f.node}
		if n := len(r.frames); n > 1 {
			l.parent = r.frames[n-2].hl
		}
		r.levels[f.hl] = l
	case "hl-parent":
		for i := len(r.frames) - 2; i >= 0; i-- {
			if up := r.frames[i].hl; up != "" {
				if up != string(raw) {
					r.faultAt(r.seg, FaultCode, e, 0, 0, string(raw), fmt.Sprintf("it belongs to level %q, and stands in level %q", short(string(raw)), short(up)))
				}
				return
			}
		}
		r.faultAt(r.seg, FaultCode, e, 0, 0, string(raw), "it belongs to a level, and stands in none")
	}
}

// appendValue appends a value as JSON; nothing where it has a fault.
func (r *reading) appendValue(dst []byte, v *value, e, c int, raw, form []byte) []byte {
	bad := func(k Kind, text string) []byte {
		shown := ""
		if t, err := r.m.syntax.text(raw); err == nil {
			shown = t
		}
		r.faultAt(r.seg, k, e, c, 0, shown, text)
		return dst
	}
	if v.kind == asText && v.codes == nil && r.m.syntax.plain(raw) && len(raw) >= v.min && (v.max == 0 || len(raw) <= v.max) { // most are
		return append(append(append(dst, '"'), raw...), '"')
	}
	text, err := r.m.syntax.text(raw)
	if err != nil {
		r.fault(FaultCharacter, e, c, err.Error())
		return dst
	}
	n := length(text)
	if v.kind != asText && v.kind != asDate && v.kind != asTime { // sign, mark and exponent do not count
		number, _, _ := cutExponent(v, text)
		n = digits(number)
	}
	switch {
	case v.max > 0 && n > v.max:
		return bad(FaultTooLong, fmt.Sprintf("it has %d characters, and at most %d may be", n, v.max))
	case n < v.min:
		return bad(FaultTooShort, fmt.Sprintf("it has %d characters, and at least %d must be", n, v.min))
	}
	if v.codes != nil {
		code, ok := v.codes[text]
		if !ok && !v.open {
			return bad(FaultCode, fmt.Sprintf("%q is not in its list of codes", short(text)))
		}
		if ok {
			text = code
		}
	}
	switch v.kind {
	case asDecimal, asInteger, asImplied:
		out, ok := appendNumber(dst, v, text, r.m.syntax)
		if !ok {
			return bad(FaultNumber, fmt.Sprintf("%q is no %s", short(text), v.kind))
		}
		return out
	case asDate:
		if len(form) == 0 && v.dated > 0 { // a time of a day without its format
			form = map[int][]byte{12: []byte("203"), 14: []byte("204")}[len(text)]
		}
		out, ok := date(text, string(form))
		if !ok {
			return bad(FaultDate, fmt.Sprintf("%q is no date%s", short(text), formText(string(form))))
		}
		return jsondoc.AppendString(dst, out)
	case asTime:
		out, ok := clock(text)
		if !ok {
			return bad(FaultTime, fmt.Sprintf("%q is no time of the day", short(text)))
		}
		return jsondoc.AppendString(dst, out)
	}
	return jsondoc.AppendString(dst, text)
}

func length(s string) int {
	n := 0
	for range s {
		n++
	}
	return n
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

func (k valueKind) String() string {
	return [...]string{"text", "decimal number", "whole number", "number with implied decimals", "date", "time"}[k]
}

// date reads a date; form is EDIFACT's format of it, empty where it follows from the length.
func date(text, form string) (string, bool) {
	if len(text) == 8 && (form == "" || form == "102") && day(text) { // most are
		return text[:4] + "-" + text[4:6] + "-" + text[6:], true
	}
	layouts, ok := dates[form]
	switch {
	case ok:
	case form == "718" && len(text) == 16: // from … to
		from, ok1 := date(text[:8], "102")
		to, ok2 := date(text[8:], "102")
		return from + "/" + to, ok1 && ok2
	case form != "":
		return form + ":" + text, len(form) == 3 // a week, a span of time: as it stands, with its format
	case len(text) == 8:
		layouts = dates["102"]
	case len(text) == 6:
		layouts = dates["101"]
	default:
		return "", false
	}
	if zone, ok := strings.CutSuffix(text, "GMT"); ok && (form == "303" || form == "304") {
		text = zone + "UTC"
	}
	if (form == "303" || form == "304") && !strings.HasSuffix(text, "UTC") {
		return form + ":" + text, true // zones of which a name does not say how far they are from it
	}
	t, err := time.Parse(layouts[0], text)
	if err != nil || len(text) != len(layouts[0]) {
		return "", false
	}
	return t.Format(layouts[1]), true
}

// day: it is one of a month that has so many. The last days of months are left to who knows them.
func day(text string) bool {
	return digits(text) == 8 && text[4:6] >= "01" && text[4:6] <= "12" && text[6:] >= "01" && text[6:] <= "28"
}

func formText(form string) string {
	if form == "" {
		return ""
	}
	return fmt.Sprintf(" of format %q", short(form))
}

// clock reads HHMM, HHMMSS and further digits of a second.
func clock(text string) (string, bool) {
	if len(text) < 4 || len(text) > 8 || len(text) == 5 || digits(text) != len(text) {
		return "", false
	}
	out := text[:2] + ":" + text[2:4]
	if text[:2] > "23" || text[2:4] > "59" {
		return "", false
	}
	if len(text) > 4 {
		if out += ":" + text[4:6]; text[4:6] > "59" {
			return "", false
		}
	}
	if len(text) > 6 {
		out += "." + text[6:]
	}
	return out, true
}

// appendNumber appends a number as JSON has it; its digits stay.
func appendNumber(dst []byte, v *value, text string, s *Syntax) ([]byte, bool) {
	if s.Standard == EDIFACT {
		for i := range len(text) {
			if text[i] == ',' { // as good as the point, whatever the advice says
				text = text[:i] + "." + text[i+1:]
				break
			}
		}
	}
	text, exponent, ok := cutExponent(v, text)
	if !ok {
		return dst, false
	}
	sign, body := "", text
	if len(body) > 0 && (body[0] == '-' || body[0] == '+') {
		if body[0] == '-' {
			sign = "-"
		}
		body = body[1:]
	}
	point := -1
	for i := range len(body) {
		switch c := body[i]; {
		case c == '.' && point < 0:
			point = i
		case c < '0' || c > '9':
			return dst, false
		}
	}
	if digits(body) == 0 || point >= 0 && v.kind != asDecimal || len(body) > 60 {
		return dst, false
	}
	whole, part := body, ""
	if point >= 0 {
		whole, part = body[:point], body[point+1:]
	}
	whole, part = shift(whole, part, exponent)
	if v.kind == asImplied && v.implied > 0 {
		for len(whole) <= v.implied {
			whole = "0" + whole
		}
		whole, part = whole[:len(whole)-v.implied], whole[len(whole)-v.implied:]
	}
	for len(whole) > 1 && whole[0] == '0' {
		whole = whole[1:]
	}
	if whole == "" {
		whole = "0"
	}
	dst = append(append(dst, sign...), whole...)
	if part != "" {
		dst = append(append(dst, '.'), part...)
	}
	return dst, true
}

// maxExponent bounds the exponent of a number, whose zeros are written out.
const maxExponent = 60

// cutExponent takes the exponent off a decimal, such as the 3 of 1.5E3.
func cutExponent(v *value, text string) (number string, exponent int, ok bool) {
	i := strings.IndexAny(text, "Ee")
	if i < 0 || v.kind != asDecimal {
		return text, 0, true
	}
	digits := strings.TrimPrefix(text[i+1:], "-")
	n, err := strconv.Atoi(text[i+1:])
	return text[:i], n, err == nil && digits != "" && digits[0] != '+' && n >= -maxExponent && n <= maxExponent
}

// shift moves the decimal mark between two rows of digits to the right; to the left where by is below 0.
func shift(whole, part string, by int) (string, string) {
	switch {
	case by > 0:
		part += strings.Repeat("0", max(0, by-len(part)))
		return whole + part[:by], part[by:]
	case by < 0:
		whole = strings.Repeat("0", max(0, 1-by-len(whole))) + whole
		return whole[:len(whole)+by], whole[len(whole)+by:] + part
	}
	return whole, part
}
