package format

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// EDI says what messages of x12 and edifact are.
type EDI struct {
	Tables []string `yaml:"tables" doc:"tables that say how the segments of a message are a document: names of shipped ones such as x12-850, or files of the project, relative to the configuration file. A message without a table is refused"`

	tables map[string]*edi.Table // by message
}

// isEDI: the bytes are interchanges.
func (s *Settings) isEDI() bool {
	return s.Format == string(edi.X12) || s.Format == string(edi.EDIFACT)
}

// Load reads the files that the settings name, whose node is n; path resolves their names. Settings that name none need not be loaded.
func (s *Settings) Load(n strictyaml.Node, path func(string) string, p *strictyaml.Problems) {
	if !s.isEDI() {
		return
	}
	at := n.Get("edi").Get("tables")
	s.EDI.tables = map[string]*edi.Table{}
	for i, name := range s.EDI.Tables {
		pos := at.Items()[i].Pos()
		t := ediTable(name, path, pos, p)
		switch {
		case t == nil:
		case string(t.Standard) != s.Format:
			p.Add(pos, "tables: %s is one of %s, and the format is %s", name, t.Standard, s.Format)
		case s.EDI.tables[t.Message] != nil:
			p.Add(pos, "tables: two are of message %s", t.Message)
		default:
			s.EDI.tables[t.Message] = t
		}
	}
}

func ediTable(name string, path func(string) string, pos strictyaml.Pos, p *strictyaml.Problems) *edi.Table {
	if !strings.HasSuffix(name, ".yaml") {
		t := edi.ShippedTable(name, p)
		if t == nil {
			p.AddHint(pos, strictyaml.DidYouMean(name, edi.Shipped()), "tables: there is no shipped table %q", short(name))
		}
		return t
	}
	data, err := strictyaml.ReadPath(path(name), strictyaml.MaxFile)
	if err != nil {
		p.Add(pos, "tables: %s: %s", name, err)
		return nil
	}
	return edi.ReadTable(path(name), data, p)
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
		e.cut = r.broken
	}
	return e
}

func (r *ediRows) next() (Row, error) {
	m, err := r.r.Next()
	var fault *edi.Fault
	if errors.As(err, &fault) {
		r.broken = fault
		return Row{}, &FileError{Err: fmt.Errorf("%w; nothing of the file was taken", fault)}
	}
	if err != nil {
		return Row{}, err
	}
	r.read++
	row := Row{Line: m.Line}
	t := r.set.EDI.tables[m.Type]
	if t == nil {
		return row, &RowError{Err: fmt.Errorf("a message %s, and edi.tables has %s", short(m.Type), list(slices.Sorted(maps.Keys(r.set.EDI.tables))))}
	}
	doc, faults := t.Document(m, "")
	row.Doc = doc
	if len(faults) > 0 {
		return row, &RowError{Err: faultsText(faults)}
	}
	return row, nil
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
