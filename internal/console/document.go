package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
)

// docLine is a line of a document, with what is wrong there.
type docLine struct {
	N        int
	Text     string
	Problems []string
	// Changed: another document, beside which it is shown, has not this line.
	Changed bool
}

// lines writes a JSON document in lines, its members as they come, with the places where something is wrong; nil for what is no JSON.
func lines(doc json.RawMessage, places []api.Place) []docLine {
	if len(doc) == 0 || !json.Valid(doc) {
		return nil
	}
	w := &lineWriter{d: json.NewDecoder(bytes.NewReader(doc))}
	w.d.UseNumber()
	w.value("", "", "")
	for _, p := range places {
		best, length := 0, -1
		for i, path := range w.paths {
			if within(p.Path, path) && len(path) > length { // the value itself, or what it is missing in
				best, length = i, len(path)
			}
		}
		w.out[best].Problems = append(w.out[best].Problems, strings.TrimPrefix(p.Path+": "+p.Message, ": "))
	}
	return w.out
}

// within reports whether a path leads to a value or to something in it.
func within(path, value string) bool {
	rest, ok := strings.CutPrefix(path, value)
	return ok && (rest == "" || value == "" || rest[0] == '.' || rest[0] == '[')
}

// lineWriter writes values in lines and remembers the path of each, as a schema's problems have it: lines[2].sku.
type lineWriter struct {
	d     *json.Decoder
	out   []docLine
	paths []string
}

func (w *lineWriter) line(path, text string) {
	w.out = append(w.out, docLine{N: len(w.out) + 1, Text: text})
	w.paths = append(w.paths, path)
}

// value writes the next value behind what stands before it on its line.
func (w *lineWriter) value(path, indent, before string) {
	token, err := w.d.Token()
	if err != nil {
		return // it was valid
	}
	open, is := token.(json.Delim)
	if !is {
		w.line(path, indent+before+plain(token))
		return
	}
	closing := map[json.Delim]string{'{': "}", '[': "]"}[open]
	if !w.d.More() {
		_, _ = w.d.Token() // its end: it was valid
		w.line(path, indent+before+open.String()+closing)
		return
	}
	w.line(path, indent+before+open.String())
	for i := 0; w.d.More(); i++ {
		if open == '{' {
			name, _ := w.d.Token() // it was valid
			w.value(strings.TrimPrefix(fmt.Sprintf("%s.%s", path, name), "."), indent+"  ", plain(name)+": ")
		} else {
			w.value(fmt.Sprintf("%s[%d]", path, i), indent+"  ", "")
		}
		if w.d.More() {
			w.out[len(w.out)-1].Text += ","
		}
	}
	_, _ = w.d.Token()
	w.line(path+"\x00", indent+closing) // nothing is wrong at an end
}

// plain writes a token as JSON without hiding its letters.
func plain(token any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(token); err != nil {
		return fmt.Sprint(token)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// pretty is a document as a person edits it.
func pretty(doc json.RawMessage, text string) string {
	all := lines(doc, nil)
	if all == nil {
		return text
	}
	var b strings.Builder
	for i := range all {
		b.WriteString(all[i].Text + "\n")
	}
	return b.String()
}
