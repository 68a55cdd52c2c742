package search

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/state"
)

const (
	// mostHidden is how many hashes are kept of one document.
	mostHidden = 40
	// leastHidden is how many characters a word has by which a masked value is found: shorter ones say nothing. leastDense is that where each is a
	// syllable or a word: most Chinese names have two or three.
	leastHidden = 3
	leastDense  = 2
	// hiddenMark begins every hash. It is in no folded text, so that nobody finds a hash by writing one.
	hiddenMark = "\x7f"
)

// Hider makes hashes of personal values: whoever knows a value finds it, and nobody reads it from the index. The zero value makes none.
type Hider struct{ Secret []byte }

// Hash is that of a text as it is folded; empty for a text that is too short.
func (h Hider) Hash(text string) string {
	text = fold.Cut(fold.Text(text))
	least := leastHidden
	if !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
	}) {
		least = leastDense
	}
	if len(h.Secret) == 0 || utf8.RuneCountInString(text) < least {
		return ""
	}
	m := hmac.New(sha256.New, h.Secret)
	m.Write([]byte(text)) // a hash never fails
	return hiddenMark + hex.EncodeToString(m.Sum(nil)[:16])
}

// of are the hashes of a value: of the whole, of each of its words as it stands between blanks (O'Brien, Jean-Luc), and of each of their parts.
func (h Hider) of(value string) (out []string) {
	mark := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }
	text := fold.Text(value)
	words := strings.Fields(text)
	for i := range words {
		words[i] = strings.TrimFunc(words[i], mark)
	}
	for _, text := range slices.Concat([]string{value}, words, strings.FieldsFunc(text, mark)) {
		if hash := h.Hash(text); hash != "" && !slices.Contains(out, hash) {
			out = append(out, hash)
		}
	}
	return out
}

// Hidden gives hashes of those values of a flow's search fields that are masked in the documents that are kept.
func (p *Plan) Hidden(h Hider, flow string, source, mapped []byte, kept *state.Documents) (out []state.Term) {
	f, ok := p.Flows[flow]
	if !ok || len(f.Fields) == 0 || len(h.Secret) == 0 {
		return nil
	}
	clear, masked := source, kept.Source
	if f.Mapped {
		clear, masked = mapped, kept.Mapped
	}
	values, shown := fieldsOf(f.Fields, clear), fieldsOf(f.Fields, masked)
	for _, field := range f.Fields {
		for _, value := range values[field] {
			if slices.Contains(shown[field], value) {
				continue
			}
			for _, hash := range h.of(value) {
				if len(out) == mostHidden {
					return out
				}
				out = append(out, state.Term{Field: field, Text: hash})
			}
		}
	}
	return out
}

// fieldsOf are the values of some fields of a document; of what is no document there are none.
func fieldsOf(fields []string, doc []byte) map[string][]string {
	out := map[string][]string{}
	if len(doc) == 0 {
		return out
	}
	d := jsondoc.Get()
	defer jsondoc.Put(d)
	if d.Reset(doc, jsondoc.Limits{Bytes: len(doc) + 1}) != nil {
		return out
	}
	for _, field := range fields {
		valuesAt(d.Root(), field, func(text string) bool {
			out[field] = append(out[field], text)
			return len(out[field]) < mostValues
		})
	}
	return out
}
