package privacy

import (
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// Collect notes the personal values that a document holds.
func (m *Mask) Collect(doc []byte, into *Values) {
	if m.None() || len(doc) == 0 {
		return
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(doc, jsondoc.Limits{}) != nil {
		into.unread = true
		return
	}
	w := writer{mask: m, collect: into}
	w.value(d.Root(), m.root(), false)
}

// Document gives a document in which personal data is masked: what the mask says, and the values wherever else they stand. What cannot be read is
// masked as a whole, where the mask is about anything.
func (m *Mask) Document(doc []byte, values *Values) []byte {
	return m.document(doc, values, false)
}

// Answer is Document for what a system has answered, whose form nobody knows: fields with the names of personal ones are masked wherever they stand.
func (m *Mask) Answer(doc []byte, values *Values) []byte {
	if m.None() && (values == nil || len(values.seen) == 0) || len(doc) == 0 {
		return doc
	}
	return m.document(doc, values, true)
}

func (m *Mask) document(doc []byte, values *Values, answer bool) []byte {
	if len(doc) == 0 || m.None() && (values == nil || len(values.seen) == 0) {
		return doc
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(doc, jsondoc.Limits{Bytes: len(doc) + 1}) != nil {
		if answer {
			return []byte(values.Text(string(doc)))
		}
		return []byte(`"` + Masked + `"`)
	}
	w := writer{mask: m, values: values, answer: answer, out: make([]byte, 0, len(doc))}
	w.value(d.Root(), m.root(), false)
	return w.out
}

// writer goes through a document: it collects values, or writes the document down again.
type writer struct {
	mask    *Mask
	collect *Values
	values  *Values
	answer  bool
	out     []byte
}

func (w *writer) value(v jsondoc.Value, a at, private bool) {
	private = private || a.here() || !a.none() && !w.answer && !a.fits(v.Kind())
	switch v.Kind() {
	case jsondoc.Object:
		w.object(v, a, private)
	case jsondoc.Array:
		w.out = append(w.out, '[')
		i := 0
		for e := range v.Elements() {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			w.value(e, a.element(i), private)
			i++
		}
		w.out = append(w.out, ']')
	default:
		w.plain(v, private)
	}
}

func (w *writer) object(v jsondoc.Value, a at, private bool) {
	w.out = append(w.out, '{')
	first := true
	named := private && a.namesPrivate()
	for name, m := range v.Members() {
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		shown := name
		if named {
			shown = Masked
			if w.collect != nil {
				w.collect.add(name)
			}
		} else if w.values != nil {
			shown = w.values.Value(name)
		}
		w.out = append(jsondoc.AppendString(w.out, shown), ':')
		w.value(m, a.member(name), private || w.answer && w.mask != nil && w.mask.names[strings.ToLower(name)])
	}
	w.out = append(w.out, '}')
}

func (a at) namesPrivate() bool {
	for _, s := range a.schemas {
		if s.NamesPrivate() {
			return true
		}
	}
	return false
}

// plain writes what is neither object nor list. That a value is missing or empty is no secret, and often the fault.
func (w *writer) plain(v jsondoc.Value, private bool) {
	text, isText := "", v.Kind() == jsondoc.String
	if isText {
		text = v.Str()
	} else if v.Kind() == jsondoc.Number {
		text = string(v.Raw())
	}
	switch {
	case v.Kind() == jsondoc.Null || isText && text == "":
		w.out = append(w.out, v.Raw()...)
	case private:
		if w.collect != nil && text != "" {
			w.collect.add(text)
		}
		w.out = append(w.out, `"`+Masked+`"`...)
	case text != "" && w.values != nil:
		if t := w.values.Value(text); t != text {
			w.out = jsondoc.AppendString(w.out, t)
			return
		}
		w.out = append(w.out, v.Raw()...)
	default:
		w.out = append(w.out, v.Raw()...)
	}
}
