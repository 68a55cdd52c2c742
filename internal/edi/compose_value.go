package edi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// fullYears is the first release of X12 whose dates have them.
const fullYears = 4010

// countWord is what a document holds in place of a number that is counted.
const countWord = "count"

// value gives the text of a value, and the format of a date.
func (w *composing) value(v *value, doc jsondoc.Value, parent, number int, below *level) (text, form string, err error) {
	switch {
	case v.auto == "hl-id":
		return strconv.Itoa(number), "", nil
	case v.auto == "hl-parent":
		if parent == 0 {
			return "", "", nil
		}
		return strconv.Itoa(parent), "", nil
	case v.auto == "hl-child":
		for i := range below.items[1:] {
			it := &below.items[i+1]
			if it.loop != nil && it.loop.items[0].hierarchical() && doc.Get(it.list).Len() > 0 {
				return "1", "", nil
			}
		}
		return "0", "", nil
	case v.name == "":
		return v.fixed, "", nil
	}
	given := doc.Get(v.name)
	switch {
	case v.count != "" && (!given.Exists() || given.Str() == countWord):
		return strconv.Itoa(w.written(v.count)), "", nil
	case given.Exists():
	case v.fixed != "":
		return v.fixed, "", nil
	case v.required:
		return "", "", fmt.Errorf("%s: it must be there", v.name)
	default:
		return "", "", nil
	}
	if text, form, err = w.text(v, given); err != nil {
		return "", "", fmt.Errorf("%s: %w", v.name, err)
	}
	if n := strconv.Itoa(w.written(v.count)); v.count != "" && n != text {
		return "", "", fmt.Errorf("%s: it says %s, and there are %s segments %s", v.name, short(text), n, v.count)
	}
	return text, form, nil
}

func (w *composing) written(tag string) int {
	n := 0
	for i := range w.out {
		if w.out[i].Tag == tag {
			n++
		}
	}
	return n
}

// text writes one value.
func (w *composing) text(v *value, given jsondoc.Value) (text, form string, err error) {
	switch given.Kind() {
	case jsondoc.String:
		text = given.Str()
	case jsondoc.Number:
		text = string(given.Raw())
	default:
		return "", "", fmt.Errorf("%s has no form in a segment", given.Kind())
	}
	n := 0
	switch v.kind {
	case asDecimal, asInteger, asImplied:
		if text, err = w.number(v, text); err != nil {
			return "", "", err
		}
		n = digits(text)
	case asDate:
		if text, form, err = writeDate(v, text); err != nil {
			return "", "", err
		}
		if w.t.Standard == X12 && w.rel > 0 && w.rel < fullYears && len(text) == 8 {
			text = text[2:]
		}
	case asTime:
		plain := strings.ReplaceAll(strings.ReplaceAll(text, ":", ""), ".", "")
		if again, ok := clock(plain); !ok || again != text {
			return "", "", fmt.Errorf("%q is no time such as 14:30 or 14:30:00", short(text))
		}
		text = plain
	}
	if v.back != nil {
		code, ok := v.back[text]
		switch {
		case ok:
			text = code
		case !v.open:
			return "", "", fmt.Errorf("%q is not in its list of codes", short(text))
		}
	}
	if n == 0 {
		n = length(text)
	}
	if v.max > 0 && n > v.max || n < v.min && n > 0 {
		return "", "", fmt.Errorf("it has %d characters, and %d to %d may stand there", n, v.min, v.max)
	}
	if v.required && text == "" {
		return "", "", errors.New("it is empty, and must be there")
	}
	return text, form, nil
}

func (w *composing) number(v *value, text string) (string, error) {
	d, err := jsondoc.ParseDecimal(text)
	if err != nil {
		return "", err
	}
	switch v.kind {
	case asInteger:
		if !d.IsInt() {
			return "", fmt.Errorf("%s is no whole number", short(text))
		}
		return d.Trim().String(), nil
	case asImplied:
		if d = d.Trim(); d.Scale() > v.implied {
			return "", fmt.Errorf("%s has more than %d decimals", short(text), v.implied)
		}
		all := d.Fixed(v.implied, jsondoc.Down).String()
		sign := ""
		if strings.HasPrefix(all, "-") {
			sign, all = "-", all[1:]
		}
		all = strings.TrimLeft(strings.Replace(all, ".", "", 1), "0")
		if all == "" {
			all = "0"
		}
		return sign + all, nil
	}
	out := d.String()
	if w.mark == ',' {
		out = strings.Replace(out, ".", ",", 1)
	}
	return out, nil
}

// writeDate gives a date as it stands in a segment, and EDIFACT's format of it.
func writeDate(v *value, text string) (string, string, error) {
	if form, raw, other := strings.Cut(text, ":"); other && len(form) == 3 && v.dated > 0 {
		return raw, form, nil
	}
	if from, to, span := strings.Cut(text, "/"); span {
		a, _, err1 := writeDate(&value{kind: asDate}, from)
		b, _, err2 := writeDate(&value{kind: asDate}, to)
		if len(a) != 8 || len(b) != 8 || v.dated == 0 {
			return "", "", fmt.Errorf("%q is no span of days: %w", short(text), errors.Join(err1, err2))
		}
		return a + b, "718", nil
	}
	for _, form := range []string{"102", "203", "204", "205", "303", "304", "610", "602"} {
		layouts := dates[form]
		t, err := time.Parse(layouts[1], text)
		if err != nil || len(text) != len(layouts[1]) {
			continue
		}
		if v.dated == 0 && form != "102" {
			break
		}
		if v.dated == 0 && v.max == 6 {
			return t.Format("060102"), "", nil
		}
		return t.Format(layouts[0]), form, nil
	}
	if v.dated > 0 {
		return "", "", fmt.Errorf("%q is no date such as 2026-01-15, and no time such as 2026-01-15T10:00", short(text))
	}
	return "", "", fmt.Errorf("%q is no date such as 2026-01-15", short(text))
}
