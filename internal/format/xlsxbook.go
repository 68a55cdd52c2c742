package format

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// workbook is what is needed of one to read a sheet.
type workbook struct {
	files   map[string]*zip.File
	main    string // the part that names the others
	rels    relations
	strings []string
	styles  []cellStyle
	days    time.Time // day 0
	odd     bool      // days before the 60th are off by one
}

// limited is a part of a workbook, of which too much is an error.
type limited struct {
	io.ReadCloser
	left int64
	name string
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.ReadCloser.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return n, fmt.Errorf("%s is too large once it is unpacked", l.name)
	}
	return n, err
}

func (b *workbook) part(name string, most int64) (io.ReadCloser, error) {
	f := b.files[name]
	if f == nil {
		return nil, fmt.Errorf("there is no %s in it", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	return &limited{r, most, name}, nil
}

// decode reads a whole part.
func (b *workbook) decode(name string, into any) error {
	r, err := b.part(name, 16<<20)
	if err != nil {
		return err
	}
	defer r.Close()
	return newShallow(r).Decode(into)
}

// shallow gives the tokens of XML in which no more than mostDeep elements stand in each other: a decoder remembers all that are open, and a few packed bytes would be millions of them.
type shallow struct {
	raw  *xml.Decoder
	deep int
}

func newShallow(r io.Reader) *xml.Decoder {
	return xml.NewTokenDecoder(&shallow{raw: xml.NewDecoder(r)})
}

// Token gives the next one as it stands: whether elements end as they began is for the decoder that asks.
func (s *shallow) Token() (xml.Token, error) {
	t, err := s.raw.RawToken()
	switch t.(type) {
	case xml.StartElement:
		if s.deep++; s.deep > mostDeep {
			return nil, fmt.Errorf("more than %d elements stand in each other", mostDeep)
		}
	case xml.EndElement:
		s.deep--
	}
	return t, err
}

type relations struct {
	All []struct {
		ID     string `xml:"Id,attr"`
		Type   string `xml:"Type,attr"`
		Target string `xml:"Target,attr"`
	} `xml:"Relationship"`
}

// find gives the part of a sheet by its name; by none, that of the first.
func (b *workbook) find(name string) (string, error) {
	var root relations
	if err := b.decode("_rels/.rels", &root); err != nil {
		return "", err
	}
	for _, r := range root.All {
		if strings.HasSuffix(r.Type, "/officeDocument") {
			b.main = strings.TrimPrefix(r.Target, "/")
		}
	}
	var book struct {
		Properties struct {
			From1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name string     `xml:"name,attr"`
			IDs  []xml.Attr `xml:",any,attr"`
		} `xml:"sheets>sheet"`
	}
	if err := b.decode(b.main, &book); err != nil {
		return "", err
	}
	b.days, b.odd = dayZero, true
	if book.Properties.From1904 == "1" || book.Properties.From1904 == "true" {
		b.days, b.odd = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC), false
	}
	if err := b.decode(path.Join(path.Dir(b.main), "_rels", path.Base(b.main)+".rels"), &b.rels); err != nil {
		return "", err
	}
	var names []string
	for _, s := range book.Sheets {
		names = append(names, s.Name)
		if name != "" && s.Name != name {
			continue
		}
		for _, r := range b.rels.All {
			if slices.ContainsFunc(s.IDs, func(a xml.Attr) bool { return a.Name.Local == "id" && a.Value == r.ID }) {
				return b.at(r.Target), nil
			}
		}
	}
	return "", fmt.Errorf("there is no sheet %q in it; there are: %s", name, short(list(names)))
}

// at is where a part lies, as the main one names it.
func (b *workbook) at(target string) string {
	if strings.HasPrefix(target, "/") {
		return target[1:]
	}
	return path.Join(path.Dir(b.main), target)
}

// other gives the part that the main one names by a kind; empty: none.
func (b *workbook) other(kind string) string {
	for _, r := range b.rels.All {
		if strings.HasSuffix(r.Type, "/"+kind) {
			return b.at(r.Target)
		}
	}
	return ""
}

func (b *workbook) readStrings() error {
	name := b.other("sharedStrings")
	if name == "" {
		return nil
	}
	r, err := b.part(name, maxStrings)
	if err != nil {
		return err
	}
	defer r.Close()
	dec := newShallow(r)
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := t.(xml.StartElement); ok && s.Name.Local == "si" {
			text, err := textRuns(dec)
			if err != nil {
				return err
			}
			b.strings = append(b.strings, text)
		}
	}
}

// textRuns gives the text of the element that has begun, without how it is pronounced.
func textRuns(dec *xml.Decoder) (string, error) {
	var out strings.Builder
	in := []string{""}
	for len(in) > 0 {
		t, err := dec.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			in = append(in, t.Name.Local)
		case xml.EndElement:
			in = in[:len(in)-1]
		case xml.CharData:
			if in[len(in)-1] == "t" && !slices.Contains(in, "rPh") {
				out.Write(t)
			}
		}
	}
	return unescapeX(out.String()), nil
}

// unescapeX gives the characters that workbooks write as _x000D_.
func unescapeX(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escapedX.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[2:6], 16, 32) // four hexadecimal digits
		return string(rune(n))
	})
}

// cellStyle is what a style says of a number.
type cellStyle struct {
	date, time bool
	zeros      int // digits that are shown at least
}

func (b *workbook) readStyles() error {
	name := b.other("styles")
	if name == "" {
		return nil
	}
	var styles struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Cells []struct {
			ID int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if err := b.decode(name, &styles); err != nil {
		return err
	}
	codes := map[int]string{}
	for _, f := range styles.Formats {
		codes[f.ID] = f.Code
	}
	for _, c := range styles.Cells {
		style := builtIn(c.ID)
		if code, ok := codes[c.ID]; ok {
			style = styleOf(code)
		}
		b.styles = append(b.styles, style)
	}
	return nil
}

// builtIn are the formats that have a number and no code: 14 to 22, 45 and 47, and those of East Asian languages, are dates and times.
func builtIn(id int) cellStyle {
	switch {
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 54, id == 57, id == 58:
		return cellStyle{date: true}
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id == 45, id == 47, id == 55, id == 56:
		return cellStyle{time: true}
	case id == 22:
		return cellStyle{date: true, time: true}
	}
	return cellStyle{}
}

// styleOf reads a format's code.
func styleOf(code string) cellStyle {
	code, _, _ = strings.Cut(notShown.ReplaceAllString(code, ""), ";")
	code = strings.ToLower(code)
	if code == "general" || code == "@" || elapsed.MatchString(code) {
		return cellStyle{} // what is counted in days is a number
	}
	if strings.Trim(code, "0") == "" && len(code) > 1 {
		return cellStyle{zeros: len(code)}
	}
	if strings.ContainsAny(code, "#?") {
		return cellStyle{}
	}
	s := cellStyle{date: strings.ContainsAny(code, "ydge年月日"), time: strings.ContainsAny(code, "hs時分秒")}
	if strings.Contains(code, "e+") || strings.Contains(code, "e-") {
		return cellStyle{} // powers of ten
	}
	if strings.Contains(code, "m") && !s.time {
		s.date = true
	}
	return s
}
