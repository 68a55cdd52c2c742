package format

import (
	"errors"
	"fmt"
	"io"

	"github.com/waybill-hub/waybill/internal/einvoice"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// EInvoice says how canonical invoices are written as ubl and cii.
type EInvoice struct {
	Profile  string   `yaml:"profile" default:"en16931" enum:"en16931,peppol" doc:"whose rules hold, and what the invoice says that it follows: EN 16931 alone, or Peppol BIS Billing 3 as well, which goes with ubl"`
	LeaveOut []string `yaml:"leave-out" doc:"fields that may be lost where EN 16931 has no place for them, such as bill_to or lines.cost_center; others are refused"`
}

// Whole reports whether a file is one document, with which no other can be.
func (s *Settings) Whole() bool {
	return s.Format == string(einvoice.UBL) || s.Format == string(einvoice.CII)
}

// completeEInvoice checks what goes with e-invoices.
func (s *Settings) completeEInvoice(n strictyaml.Node, p *strictyaml.Problems) {
	if !s.Whole() {
		if n.Has("einvoice") {
			p.Note(n.KeyPos("einvoice"), "leave it out", "einvoice: it does not count, since the format is %s", s.Format)
		}
		return
	}
	for _, key := range []string{"group-by", "lines", "rows"} {
		if n.Has(key) {
			p.Add(n.KeyPos(key), "%s: an e-invoice is a document already", key)
		}
	}
	if n.Has("bad-rows") {
		p.Add(n.KeyPos("bad-rows"), "bad-rows: a file is one invoice")
	}
	if s.Encoding != "utf-8" {
		p.AddHint(n.Get("encoding").Pos(), "leave it out", "encoding: e-invoices are in UTF-8")
	}
	if s.Format == string(einvoice.CII) && s.EInvoice.Profile == string(einvoice.Peppol) {
		p.AddHint(n.Get("einvoice").Get("profile").Pos(), "write format: ubl", "profile: Peppol BIS Billing is written as UBL")
	}
}

// invoice gives a document as an e-invoice.
func (s *Settings) invoice(doc *jsondoc.Doc) ([]byte, error) {
	return einvoice.Write(doc.Root(), einvoice.Options{Syntax: einvoice.Syntax(s.Format), Profile: einvoice.Profile(s.EInvoice.Profile), LeaveOut: s.EInvoice.LeaveOut})
}

// invoiceRows gives the one document of a file.
type invoiceRows struct {
	set   *Settings
	in    io.Reader
	read  bool
	ended ending
}

func (r *invoiceRows) end() ending { return r.ended }

func (r *invoiceRows) next() (Row, error) {
	if r.read {
		return Row{}, io.EOF
	}
	r.read = true
	body, err := io.ReadAll(io.LimitReader(r.in, int64(r.set.MaxRow)+1))
	if err != nil {
		return Row{}, err
	}
	if len(body) == 0 {
		return Row{}, io.EOF
	}
	if len(body) > int(r.set.MaxRow) {
		if _, err := io.Copy(io.Discard, r.in); err != nil {
			return Row{}, err
		}
		return Row{Line: 1}, &RowError{Err: fmt.Errorf("the invoice is too long: it has more than %s, which max-row is", r.set.MaxRow)}
	}
	doc, err := einvoice.Read(body, einvoice.Syntax(r.set.Format))
	var syntax *einvoice.SyntaxError
	switch {
	case errors.As(err, &syntax):
		if einvoice.Cut(syntax) {
			r.ended.missing = fmt.Errorf("the file ends within its elements: %w", syntax)
		}
		return Row{}, &FileError{Err: syntax}
	case err != nil:
		return Row{Line: 1}, &RowError{Err: err}
	}
	return Row{Line: 1, Doc: doc}, nil
}

// invoiceFile gives the file of one record.
func invoiceFile(records [][]byte) ([]byte, error) {
	if len(records) != 1 {
		return nil, fmt.Errorf("an e-invoice is a file of its own, and there are %d documents", len(records))
	}
	return records[0], nil
}
