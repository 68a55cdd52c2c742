// Package einvoice turns canonical invoices into e-invoices of EN 16931 and back: UBL 2.1 (Invoice and CreditNote) and UN/CEFACT's Cross Industry Invoice (CII, D16B).
// Between a document and its XML stands the standard's semantic model, whose terms are called by their numbers (BT-1, BG-25); each syntax is described once, for both
// directions. What the standard's rules forbid is told by the rule's name before anything is written.
package einvoice

import (
	"fmt"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// Syntax is how an e-invoice is written.
type Syntax string

// The syntaxes of EN 16931.
const (
	UBL Syntax = "ubl"
	CII Syntax = "cii"
)

// Profile says whose rules hold beside those of EN 16931.
type Profile string

// Profiles.
const (
	// Core is EN 16931 alone.
	Core Profile = "en16931"
	// Peppol is Peppol BIS Billing 3.
	Peppol Profile = "peppol"
)

// specification is BT-24 of a profile.
var specification = map[Profile]string{
	Core:   "urn:cen.eu:en16931:2017",
	Peppol: "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
}

const peppolProcess = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"

// Options say how a document is written.
type Options struct {
	Syntax  Syntax
	Profile Profile
	// LeaveOut are paths of fields that may be lost, such as lines.cost_center: the standard has no place for them.
	LeaveOut []string
}

// Problem is what keeps a document from being an e-invoice.
type Problem struct {
	// Rule is the name of the rule that is broken, such as BR-CO-15; empty: it is none of the standard's.
	Rule string
	// Path is where in the document.
	Path string
	Text string
}

func (p Problem) String() string {
	s := p.Text
	if p.Path != "" {
		s = p.Path + ": " + s
	}
	if p.Rule != "" {
		s = p.Rule + ": " + s
	}
	return s
}

// Problems are all that was found, as an error.
type Problems []Problem

func (all Problems) Error() string {
	const most = 10
	var texts []string
	for _, p := range all[:min(most, len(all))] {
		texts = append(texts, p.String())
	}
	if n := len(all) - most; n > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", n))
	}
	return "this is no e-invoice of EN 16931: " + strings.Join(texts, "; ")
}

// mostProblems bounds what is found of one document.
const mostProblems = 1000

func (all *Problems) add(rule, path, format string, args ...any) {
	if len(*all) >= mostProblems {
		return
	}
	p := Problem{rule, path, fmt.Sprintf(format, args...)}
	if !slices.Contains(*all, p) {
		*all = append(*all, p)
	}
}

// Write gives a canonical invoice as an e-invoice. Amounts that follow from others are filled in where they are missing; what is there must add up. Its error is
// Problems: all of them, and then nothing is written.
func Write(doc jsondoc.Value, o Options) ([]byte, error) {
	inv, problems := fromDocument(doc, o.LeaveOut)
	if len(problems) == 0 { // what could not be read would only make others
		inv.specification = specification[o.Profile]
		if o.Profile == Peppol {
			inv.process = peppolProcess
		}
		inv.derive()
		problems = inv.check(o.Profile)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	c := newWriter(o.Syntax, inv)
	c.root()
	return c.bytes()
}

// mostElements bounds an e-invoice that is read: one of 10,000 lines, which is all that canonical invoices have, has about 250,000.
const mostElements = 400_000

// Read gives an e-invoice as a canonical invoice. What the document has no place for is named in its attribute "unread". Whether the invoice keeps the rules is not asked:
// it is there, and somebody has to answer it.
func Read(body []byte, syntax Syntax) ([]byte, error) {
	root, err := xmldoc.ParseLarge(body, mostElements)
	if err != nil {
		return nil, &SyntaxError{err}
	}
	c := newReader(syntax, root)
	if !c.known() {
		return nil, &SyntaxError{fmt.Errorf("the root is <%.100s> of the namespace %q, and not %s", root.Name.Local, root.Name.Space, rootNames[syntax])}
	}
	c.root()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return c.inv.document(c.unread())
}

var rootNames = map[Syntax]string{UBL: "an Invoice or a CreditNote of UBL 2", CII: "a CrossIndustryInvoice"}

// SyntaxError says that bytes are no e-invoice of the syntax at all.
type SyntaxError struct{ Err error }

func (e *SyntaxError) Error() string { return e.Err.Error() }

func (e *SyntaxError) Unwrap() error { return e.Err }

// Cut reports whether bytes may be the beginning of an e-invoice: they end within its elements.
func Cut(err error) bool {
	return strings.Contains(err.Error(), "ends within") || strings.Contains(err.Error(), "unexpected EOF")
}
