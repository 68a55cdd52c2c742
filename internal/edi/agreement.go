package edi

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
	"github.com/waybill-hub/waybill/internal/zones"
)

// Agreement is what was agreed with a partner.
type Agreement struct {
	Name       string
	Standard   Standard
	Own, Their Party
	// Acknowledge is the message that answers what comes: 997, 999 or CONTRL; empty: nothing does.
	Acknowledge string
	// Within is how long an acknowledgement of what is sent is waited for; 0: none is awaited.
	Within time.Duration
	// From is the first control number.
	From int64

	ownGroup, theirGroup string
	version              string
	versions             []string
	test                 bool
	syntax               Syntax
	zone                 *time.Location
	lists                map[string]lists
	tables               map[string]*Table
	pos, listsPos        strictyaml.Pos
}

// SendPair and ReceivePair name the two directions between the parties, for control numbers.
func (a *Agreement) SendPair() string    { return fmt.Sprintf("%s %s>%s", a.Standard, a.Own, a.Their) }
func (a *Agreement) ReceivePair() string { return fmt.Sprintf("%s %s>%s", a.Standard, a.Their, a.Own) }

type agreementFile struct {
	Partner     string           `yaml:"partner,required"`
	Standard    string           `yaml:"standard,required"`
	Own         endFile          `yaml:"own,required"`
	Their       endFile          `yaml:"their,required"`
	Version     string           `yaml:"version"`
	Versions    []string         `yaml:"versions"`
	Test        bool             `yaml:"test"`
	Separators  separators       `yaml:"separators"`
	Level       string           `yaml:"character-set"`
	Syntax      string           `yaml:"syntax"`
	Acknowledge string           `yaml:"acknowledge"`
	Within      time.Duration    `yaml:"acknowledged-within"`
	From        int64            `yaml:"number-from"`
	Zone        string           `yaml:"time-zone"`
	Lists       map[string]lists `yaml:"code-lists"`
}

type endFile struct {
	Qualifier string `yaml:"qualifier"`
	ID        string `yaml:"id,required"`
	Group     string `yaml:"group"`
}

type separators struct {
	Element    string `yaml:"element"`
	Component  string `yaml:"component"`
	Terminator string `yaml:"terminator"`
	Repetition string `yaml:"repetition"`
	Release    string `yaml:"release"`
	Decimal    string `yaml:"decimal"`
	LineEnd    string `yaml:"line-end"`
}

// ReadAgreements reads a file of agreements, a document each.
func ReadAgreements(file string, data []byte, p *strictyaml.Problems) []*Agreement {
	var out []*Agreement
	for _, n := range strictyaml.Parse(file, data, p) {
		before := p.Len()
		f := agreementFile{From: 1}
		n.Decode(&f, p)
		a := &Agreement{Name: f.Partner, Standard: Standard(f.Standard), Own: Party{f.Own.Qualifier, f.Own.ID}, Their: Party{f.Their.Qualifier, f.Their.ID}, Within: f.Within, From: f.From,
			ownGroup: f.Own.Group, theirGroup: f.Their.Group, version: f.Version, versions: f.Versions, test: f.Test, lists: f.Lists, tables: map[string]*Table{}, pos: n.Pos(), listsPos: n.KeyPos("code-lists")}
		a.complete(n, &f, p)
		if p.Len() == before {
			out = append(out, a)
		}
	}
	return out
}

func (a *Agreement) complete(n strictyaml.Node, f *agreementFile, p *strictyaml.Problems) {
	var err error
	if a.zone, err = zones.Load(f.Zone); err != nil { // empty: UTC
		p.AddHint(n.Get("time-zone").Pos(), "write for example Europe/Berlin", "time-zone: %q is none", short(f.Zone))
	}
	if f.From < 1 || f.From > maxControl {
		p.Add(n.Get("number-from").Pos(), "number-from: a control number has one to nine digits")
	}
	if f.Within < 0 {
		p.Add(n.Get("acknowledged-within").Pos(), "acknowledged-within: it must be above 0")
	}
	can := map[Standard][]string{X12: {"997", "999"}, EDIFACT: {"contrl"}}[a.Standard]
	switch a.Standard {
	case X12:
		for _, e := range []Party{a.Own, a.Their} {
			if len(e.Qualifier) != 2 || len(e.ID) > 15 {
				p.AddHint(n.Pos(), "write for example {qualifier: ZZ, id: ACME}", "own and their: %q is no id of X12, which has a qualifier of two characters and 15 characters", e)
			}
		}
		a.syntax = Syntax{Standard: X12, Element: '*', Component: '>', Terminator: '~', Decimal: '.', After: "\n"}
		if f.Version != "" && len(f.Version) < 6 {
			p.AddHint(n.Get("version").Pos(), `write for example "004010"`, "version: %q is none of X12", short(f.Version))
		}
	case EDIFACT:
		a.syntax = Syntax{Standard: EDIFACT, Element: '+', Component: ':', Terminator: '\'', Release: '?', Decimal: '.', After: "\n", UNA: true, Level: "UNOC", Version: '3'}
		if f.Level != "" {
			a.syntax.Level = f.Level
		}
		if _, known := levels[a.syntax.Level]; !known {
			p.Add(n.Get("character-set").Pos(), "character-set: %q is not known here: UNOA to UNOL, UNOW and UNOY are", short(f.Level))
		}
		if f.Syntax != "" && (len(f.Syntax) != 1 || f.Syntax < "1" || f.Syntax > "4") {
			p.Add(n.Get("syntax").Pos(), "syntax: %q is no version: 1 to 4 are", short(f.Syntax))
		} else if f.Syntax != "" {
			a.syntax.Version = f.Syntax[0]
		}
		if a.syntax.Version == '4' {
			a.syntax.Repetition = '*'
		}
	default:
		p.AddHint(n.Get("standard").Pos(), "write x12 or edifact", "standard: %q is none", f.Standard)
	}
	switch {
	case f.Acknowledge == "" || f.Acknowledge == "none":
	case slices.Contains(can, f.Acknowledge):
		a.Acknowledge = strings.ToUpper(f.Acknowledge)
	default:
		p.AddHint(n.Get("acknowledge").Pos(), "write "+strings.Join(append(can, "none"), " or "), "acknowledge: %q is none of %s", short(f.Acknowledge), f.Standard)
	}
	a.marks(n.Get("separators"), f.Separators, p)
}

func (a *Agreement) marks(n strictyaml.Node, f separators, p *strictyaml.Problems) {
	for _, m := range []struct {
		key, text string
		to        *byte
		none      bool
	}{{"element", f.Element, &a.syntax.Element, false}, {"component", f.Component, &a.syntax.Component, false}, {"terminator", f.Terminator, &a.syntax.Terminator, false},
		{"repetition", f.Repetition, &a.syntax.Repetition, true}, {"release", f.Release, &a.syntax.Release, true}, {"decimal", f.Decimal, &a.syntax.Decimal, false}} {
		switch {
		case m.text == "":
		case m.text == "none" && m.none:
			*m.to = 0
		case m.text == "lf" && m.key == "terminator":
			*m.to = '\n'
		case len(m.text) == 1:
			*m.to = m.text[0]
		default:
			p.AddHint(n.Get(m.key).Pos(), "write one character", "%s: %q is no separator", m.key, short(m.text))
		}
	}
	if a.Standard == X12 && f.Repetition == "" && bytes.IndexByte(a.syntax.marks(), '^') < 0 { // from 00402 on, which answers may be of though nothing else is
		a.syntax.Repetition = '^'
	}
	if a.Standard == X12 && a.syntax.Release != 0 {
		p.Add(n.Get("release").Pos(), "release: X12 has no release character")
	}
	if a.syntax.Decimal != '.' && a.syntax.Decimal != ',' {
		p.Add(n.Get("decimal").Pos(), "decimal: it is . or a comma")
	}
	switch f.LineEnd {
	case "", "lf":
	case "none":
		a.syntax.After = ""
	case "crlf":
		a.syntax.After = "\r\n"
	default:
		p.AddHint(n.Get("line-end").Pos(), "write none, lf or crlf", "line-end: %q is none", short(f.LineEnd))
	}
	if a.syntax.Terminator == '\n' {
		a.syntax.After = ""
	}
	if a.Standard != "" {
		if err := a.syntax.fit(); err != nil {
			p.Add(n.Pos(), "separators: %s", err)
		}
	}
}

// Book holds what the messages of a drop are: tables, and agreements with partners. Without agreements the messages of all are taken.
type Book struct {
	standard   Standard
	tables     map[string]*Table // by message
	agreements []*Agreement
	each       string // the list that documents are taken apart by; empty: none
}

// NewBook makes a book of tables and agreements of one standard.
func NewBook(std Standard, tables []*Table, agreements []*Agreement, p *strictyaml.Problems) *Book {
	b := &Book{standard: std, tables: map[string]*Table{}, agreements: agreements}
	for _, t := range tables {
		b.tables[t.Message] = t
	}
	names := map[string]bool{}
	for i, a := range agreements {
		if names[a.Name] {
			p.Add(a.pos, "partner: %s has two agreements", a.Name)
		}
		names[a.Name] = true
		if slices.ContainsFunc(agreements[:i], func(o *Agreement) bool { return o.Own == a.Own && o.Their == a.Their }) {
			p.Add(a.pos, "own and their: %s and %s have two agreements", a.Own, a.Their)
		}
		for name := range a.lists {
			if !slices.ContainsFunc(tables, func(t *Table) bool { return t.listed[name] }) {
				p.Note(a.listsPos, "", "code-lists: no table here has a list %q; it counts where one has", name)
			}
		}
		for _, t := range tables {
			if len(a.lists) == 0 {
				a.tables[t.Message] = t
			} else if own := t.with(a.lists, p); own != nil {
				a.tables[t.Message] = own
			}
		}
	}
	return b
}

// Standard is the book's.
func (b *Book) Standard() Standard { return b.standard }

// Agreements are those of the book.
func (b *Book) Agreements() []*Agreement { return b.agreements }

// Messages lists the types that have a table.
func (b *Book) Messages() []string { return slices.Sorted(keys(b.tables)) }

// Partner is the agreement of a name; nil: there is none.
func (b *Book) Partner(name string) *Agreement {
	for _, a := range b.agreements {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// agreed gives the agreement that an interchange came under, nil where the book has none at all.
func (b *Book) agreed(in *Interchange) (*Agreement, *Fault) {
	if len(b.agreements) == 0 {
		return nil, nil
	}
	header, sender, recipient := "ISA", 6, 8
	if b.standard == EDIFACT {
		header, sender, recipient = "UNB", 2, 3
	}
	from := false
	for _, a := range b.agreements {
		if a.Their != in.Sender {
			continue
		}
		from = true
		if a.Own != in.Receiver {
			continue
		}
		if a.test != in.Test {
			kind := map[bool]string{true: "of tests", false: "of production"}
			return nil, &Fault{Kind: FaultUnsupported, Segment: header, Line: in.Line, Text: fmt.Sprintf("the interchange is one %s, and the agreement with %s is %s", kind[in.Test], a.Name, kind[a.test])}
		}
		return a, nil
	}
	if from {
		return nil, &Fault{Kind: FaultUnknownRecipient, Segment: header, Element: recipient, Line: in.Line, Text: fmt.Sprintf("it is for %s, and no agreement with %s has that id", short(in.Receiver.String()), short(in.Sender.String()))}
	}
	return nil, &Fault{Kind: FaultUnknownSender, Segment: header, Element: sender, Line: in.Line, Text: fmt.Sprintf("it is from %s, and there is no agreement with that id", short(in.Sender.String()))}
}

// acknowledges: the message says what became of another one.
func acknowledges(message string) bool {
	return message == "997" || message == "999" || message == "CONTRL" || message == TA1
}

// Document gives a message as a document. A fault of its interchange, which nobody agreed to, is err; skip: the message is an acknowledgement, and no
// table makes a document of those.
func (b *Book) Document(m *Message) (doc []byte, faults []Fault, skip bool, err *Fault) {
	a, err := b.agreed(m.Group.Interchange)
	if err != nil {
		return nil, nil, false, err
	}
	name, tables := "", b.tables
	if a != nil {
		name, tables = a.Name, a.tables
	}
	t := tables[m.Type]
	if t == nil && acknowledges(m.Type) && (a != nil || m.Type == TA1) {
		return nil, nil, true, nil
	}
	if f := b.unsupported(m, a, t); f != nil {
		return nil, append([]Fault{*f}, m.Faults...), false, nil
	}
	doc, faults = t.Document(m, name)
	return doc, faults, false, nil
}

// Each has documents taken apart: each element of the list becomes a document of its own, which has the list with that element alone, and all else.
func (b *Book) Each(list string) { b.each = list }

// What is taken apart has at most so many values and names, and bytes.
const (
	mostPartNodes = 8_000_000
	mostPartBytes = 128 << 20
)

// Parts are the documents that one of a message is taken as.
type Parts struct {
	whole         []byte
	before, after []byte
	list          jsondoc.Cursor
	left          int
}

// Parts gives the documents that the one of a message is taken as: itself, where nothing is taken apart, or there is nothing in the list.
func (b *Book) Parts(doc []byte) (*Parts, error) {
	if b.each == "" {
		return &Parts{whole: doc, left: 1}, nil
	}
	d, err := jsondoc.Parse(doc, jsondoc.Limits{Bytes: mostPartBytes, Nodes: mostPartNodes})
	if err != nil {
		return nil, fmt.Errorf("it cannot be taken apart by %s: %w", b.each, err)
	}
	list := d.Root().Get(b.each)
	if list.Kind() != jsondoc.Array || list.Len() == 0 {
		return &Parts{whole: doc, left: 1}, nil
	}
	from := list.Offset()
	return &Parts{before: doc[:from], after: doc[from+len(list.Raw()):], list: list.Cursor(), left: list.Len()}, nil
}

// Len is how many are left.
func (p *Parts) Len() int { return p.left }

// Next gives the next one; nil: there is none left.
func (p *Parts) Next() []byte {
	if p.left == 0 {
		return nil
	}
	p.left--
	if p.whole != nil {
		return p.whole
	}
	p.list.Next()
	element := p.list.Value().Raw()
	part := make([]byte, 0, len(p.before)+len(element)+len(p.after)+2)
	part = append(append(append(part, p.before...), '['), element...)
	return append(append(part, ']'), p.after...)
}

// unsupported: there is no table for a message, or its version was not agreed upon.
func (b *Book) unsupported(m *Message, a *Agreement, t *Table) *Fault {
	header := &Segment{Tag: "ST", Number: 1, Line: m.Line}
	if b.standard == EDIFACT {
		header.Tag = "UNH"
	}
	text := ""
	switch {
	case t == nil:
		text = fmt.Sprintf("a message %s, and there are tables for %s", short(m.Type), strings.Join(b.Messages(), ", "))
	case a != nil && len(a.versions) > 0 && !slices.Contains(a.versions, m.Version):
		text = fmt.Sprintf("the version %s, and the agreement with %s has %s", short(m.Version), a.Name, strings.Join(a.versions, ", "))
	default:
		return nil
	}
	return &Fault{Kind: FaultUnsupported, Segment: header.Tag, Position: 1, Line: m.Line, Text: text}
}
