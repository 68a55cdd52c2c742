package format

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// EDI says what messages of x12 and edifact are.
type EDI struct {
	Tables   []string `yaml:"tables" doc:"tables that say how the segments of a message are a document: names of shipped ones such as x12-850, or files of the project, relative to the configuration file. A message without a table is refused"`
	Partners []string `yaml:"partners" doc:"files with the agreements; without, the messages of all are taken, and none is written"`
	Partner  string   `yaml:"partner" doc:"the partner that documents are written for; default: the one that edi.partner of the document names"`
	Message  string   `yaml:"message" doc:"the message that documents are written as, such as 855; default: that of the table, where there is one alone"`
	Each     string   `yaml:"each" doc:"name of a list of the documents: each of its elements becomes a document of its own, which has the list with that element alone, and all else. A stock report becomes one document for each of its lines so"`
	Answers  string   `yaml:"answers" doc:"folder below the system's path for acknowledgements of what was taken"`

	book *edi.Book
}

// isEDI: the bytes are interchanges.
func (s *Settings) isEDI() bool {
	return s.Format == string(edi.X12) || s.Format == string(edi.EDIFACT)
}

// Book holds the tables and agreements of interchanges; nil for other formats.
func (s *Settings) Book() *edi.Book { return s.EDI.book }

// Files are those that Load reads, as the settings name them.
func (s *Settings) Files() []string {
	if !s.isEDI() {
		return nil
	}
	files := slices.DeleteFunc(slices.Clone(s.EDI.Tables), func(name string) bool { return !ownTable(name) })
	return append(files, s.EDI.Partners...)
}

// ownTable: the name is that of a file, and not of a shipped table.
func ownTable(name string) bool { return strings.HasSuffix(name, ".yaml") }

// Load reads the files that the settings name, whose node is n; path resolves their names. Settings that name none need not be loaded.
func (s *Settings) Load(n strictyaml.Node, path func(string) string, p *strictyaml.Problems) {
	if !s.isEDI() {
		return
	}
	at := n.Get("edi")
	std := edi.Standard(s.Format)
	var tables []*edi.Table
	for i, name := range s.EDI.Tables {
		pos := at.Get("tables").Items()[i].Pos()
		t := ediTable(name, path, pos, p)
		switch {
		case t == nil:
		case t.Standard != std:
			p.Add(pos, "tables: %s is one of %s, and the format is %s", name, t.Standard, s.Format)
		case slices.ContainsFunc(tables, func(o *edi.Table) bool { return o.Message == t.Message }):
			p.Add(pos, "tables: two are of message %s", t.Message)
		default:
			tables = append(tables, t)
		}
	}
	var agreements []*edi.Agreement
	for i, name := range s.EDI.Partners {
		pos := at.Get("partners").Items()[i].Pos()
		data, ok := ediFile("partners", path(name), pos, p)
		if !ok {
			continue
		}
		for _, a := range edi.ReadAgreements(path(name), data, p) {
			if a.Standard == std { // one file may hold the agreements of both
				agreements = append(agreements, a)
			}
		}
	}
	s.EDI.book = edi.NewBook(std, tables, agreements, p)
	s.EDI.book.Each(s.EDI.Each)
	s.loaded(at, tables, p)
}

// loaded checks what the files and the settings say of each other.
func (s *Settings) loaded(at strictyaml.Node, tables []*edi.Table, p *strictyaml.Problems) {
	e := &s.EDI
	if e.Message == "" && len(tables) == 1 {
		e.Message = tables[0].Message
	}
	if e.Message != "" && len(tables) > 0 && !slices.Contains(e.book.Messages(), e.Message) {
		p.AddHint(at.Get("message").Pos(), strictyaml.DidYouMean(e.Message, e.book.Messages()), "message: no table is of %q", short(e.Message))
	}
	if e.Each != "" {
		for _, t := range tables {
			if lists := t.Lists(); !slices.Contains(lists, e.Each) {
				p.AddHint(at.Get("each").Pos(), strictyaml.DidYouMean(e.Each, lists), "each: the documents of %s have no list %q", t.Name, short(e.Each))
			}
		}
	}
	var names []string
	wanted := ""
	for _, a := range e.book.Agreements() {
		names = append(names, a.Name)
		if a.Acknowledge != "" {
			wanted = a.Name
		}
	}
	if e.Partner != "" && !slices.Contains(names, e.Partner) {
		p.AddHint(at.Get("partner").Pos(), strictyaml.DidYouMean(e.Partner, names), "partner: there is no agreement with %q", short(e.Partner))
	}
	if e.Answers != "" && !filepath.IsLocal(e.Answers) {
		p.AddHint(at.Get("answers").Pos(), "give a folder below it", "answers: %q is not below the system's path", short(e.Answers))
	}
	if e.Answers != "" && wanted == "" {
		p.Note(at.KeyPos("answers"), "leave it out, or write acknowledge in an agreement", "answers: no agreement wants an acknowledgement")
	}
}

func ediTable(name string, path func(string) string, pos strictyaml.Pos, p *strictyaml.Problems) *edi.Table {
	if !ownTable(name) {
		t := edi.ShippedTable(name, p)
		if t == nil {
			p.AddHint(pos, strictyaml.DidYouMean(name, edi.Shipped()), "tables: there is no shipped table %q", short(name))
		}
		return t
	}
	data, ok := ediFile("tables", path(name), pos, p)
	if !ok {
		return nil
	}
	return edi.ReadTable(path(name), data, p)
}

// ediFile reads a file of the project's own.
func ediFile(key, file string, pos strictyaml.Pos, p *strictyaml.Problems) ([]byte, bool) {
	data, err := strictyaml.ReadPath(file, strictyaml.MaxFile)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err // which names the file without its folder
		}
		p.AddHint(pos, "files are named from the configuration's directory", "%s: %s: %s", key, file, err)
	}
	return data, err == nil
}

// completeEDI checks what goes with interchanges.
func (s *Settings) completeEDI(n strictyaml.Node, p *strictyaml.Problems) {
	if !s.isEDI() {
		if n.Has("edi") {
			p.Note(n.KeyPos("edi"), "leave it out", "edi: it does not count, since the format is %s", s.Format)
		}
		return
	}
	if len(s.EDI.Tables) == 0 {
		p.AddHint(n.Pos(), "write for example edi: {tables: [x12-850]}", "edi: no table says what the messages are")
	}
	for _, key := range []string{"group-by", "lines", "rows"} {
		if n.Has(key) {
			p.Add(n.KeyPos(key), "%s: a message is a document already, with the lists that its table makes", key)
		}
	}
	if n.Has("bad-rows") {
		p.Add(n.KeyPos("bad-rows"), "bad-rows: each message is taken or answered by itself")
	}
	if s.Format == string(edi.EDIFACT) && n.Has("encoding") {
		p.Note(n.KeyPos("encoding"), "leave it out", "encoding: it does not count, since each interchange says its own")
	}
}

// ediRows gives the messages of interchanges.
type ediRows struct {
	set    *Settings
	r      *edi.Reader
	read   int
	broken *edi.Fault
	line   int // of the message that is being taken apart
	parts  *edi.Parts
}

func newEDI(s *Settings, r io.Reader) *ediRows {
	if s.Format == string(edi.X12) {
		r = decoded(r, s.Encoding)
	}
	return &ediRows{set: s, r: edi.NewReader(r, edi.Standard(s.Format))}
}

// end: an interchange that is cut off may be half an upload.
func (r *ediRows) end() ending {
	e := ending{headed: r.read > 0}
	if r.broken != nil && r.broken.Kind == edi.FaultTrailer {
		e.missing = r.broken
	}
	return e
}

func (r *ediRows) next() (Row, error) {
	for {
		if r.parts != nil {
			if doc := r.parts.Next(); doc != nil {
				return Row{Line: r.line, Doc: doc}, nil
			}
			r.parts = nil
		}
		m, err := r.r.Next()
		if err != nil {
			return Row{}, r.ends(err)
		}
		r.read++
		doc, faults, skip, refused := r.set.EDI.book.Document(m)
		switch {
		case refused != nil:
			return Row{}, r.ends(refused)
		case skip:
			continue
		case len(faults) > 0:
			return Row{Line: m.Line, Doc: doc}, &RowError{Err: faultsText(faults)}
		}
		parts, err := r.set.EDI.book.Parts(doc)
		if err != nil {
			return Row{Line: m.Line, Doc: doc}, &RowError{Err: err}
		}
		r.parts, r.line = parts, m.Line
	}
}

// ends gives what ends the reading: a fault of an envelope is the file's.
func (r *ediRows) ends(err error) error {
	var fault *edi.Fault
	if !errors.As(err, &fault) {
		return err
	}
	r.broken = fault
	return &FileError{Err: fmt.Errorf("%w; nothing of the file was taken", fault)}
}

// faultsText is what a person reads of faults: the first ones, and how many there are.
func faultsText(faults []edi.Fault) error {
	const most = 5
	var texts []string
	for i := range faults[:min(most, len(faults))] {
		texts = append(texts, faults[i].Error())
	}
	if n := len(faults) - most; n > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", n))
	}
	return errors.New(strings.Join(texts, "; "))
}

// Compose gives the message of a document, the version that it is written in, and who it is for. Its envelope needs a control number, which whoever puts the file
// has: Agreement.Write.
func (s *Settings) Compose(raw []byte) (*edi.Agreement, edi.Body, string, error) {
	none := edi.Body{}
	doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
	if err != nil {
		return nil, none, "", fmt.Errorf("the document is no JSON: %w", err)
	}
	name := s.EDI.Partner
	if name == "" {
		name = doc.Root().GetPath("edi.partner").Str()
	}
	a := s.EDI.book.Partner(name)
	switch {
	case name == "":
		return nil, none, "", errors.New("neither edi.partner of the settings nor that of the document says who it is for")
	case a == nil:
		return nil, none, "", fmt.Errorf("there is no agreement with %q", short(name))
	}
	message := s.EDI.Message
	if t := doc.Root().GetPath("edi.type").Str(); message == "" {
		message = t
	}
	body, version, err := s.EDI.book.Compose(a, message, doc.Root())
	return a, body, version, err
}
