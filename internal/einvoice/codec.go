package einvoice

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/xmldoc"
)

// codec writes an invoice as elements, or reads it from them: the same calls describe both. at is the element that is written or read now.
type codec struct {
	writing bool
	syntax  Syntax
	inv     *invoice
	at      *xmldoc.Element
	top     *xmldoc.Element
	// taken are the elements and attributes that were read; problems are what could not be.
	taken    map[*xmldoc.Element][]string
	problems Problems
	// lost are the paths of what was read and has no place beside another one of its kind.
	lost []string
}

var namespaces = map[string]string{
	"cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
	"cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
	"inv": "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2",
	"cn":  "urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2",
	"rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
	"ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
	"udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
	"qdt": "urn:un:unece:uncefact:data:standard:QualifiedDataType:100",
}

func nameOf(name string) xml.Name {
	prefix, local, _ := strings.Cut(name, ":")
	return xml.Name{Space: namespaces[prefix], Local: local}
}

func newWriter(s Syntax, inv *invoice) *codec {
	root := "inv:Invoice"
	switch {
	case s == CII:
		root = "rsm:CrossIndustryInvoice"
	case codes["credits"][inv.code]:
		root = "cn:CreditNote"
	}
	e := &xmldoc.Element{Name: nameOf(root)}
	return &codec{writing: true, syntax: s, inv: inv, at: e, top: e}
}

func newReader(s Syntax, root *xmldoc.Element) *codec {
	return &codec{syntax: s, inv: &invoice{}, at: root, top: root, taken: map[*xmldoc.Element][]string{}}
}

// known: the root is one of the syntax.
func (c *codec) known() bool {
	if c.syntax == CII {
		return c.top.Name == nameOf("rsm:CrossIndustryInvoice")
	}
	return c.top.Name == nameOf("inv:Invoice") || c.top.Name == nameOf("cn:CreditNote")
}

func (c *codec) root() {
	if c.syntax == CII {
		c.cii(c.inv)
	} else {
		c.ubl(c.inv)
	}
	if !c.writing {
		c.direction()
	}
}

// direction: whether an invoice claims or gives back must not be guessed.
func (c *codec) direction() {
	code := c.inv.code
	credit := c.top.Name == nameOf("cn:CreditNote")
	switch {
	case c.syntax == CII && code == "":
		c.problems.add("BR-04", "TypeCode", "it is missing: whether the invoice claims or gives back is not known")
	case c.syntax == CII:
	case code == "" && credit:
		c.inv.code = typeCodes["credit_note"]
	case code != "" && credit != codes["credits"][code]:
		c.problems.add("BR-CL-01", c.top.Name.Local, "%q is no type of it: whether it claims or gives back is not known", short(code))
	}
}

// in describes what is in an element. One that would be empty is not written.
func (c *codec) in(name string, f func()) { c.where(name, nil, f) }

// where is in for the first element that is like it should be.
func (c *codec) where(name string, like func(*xmldoc.Element) bool, f func()) {
	if c.writing {
		c.add(name, f)
		return
	}
	for _, e := range c.children(name) {
		if like == nil || like(e) {
			c.inside(e, f)
			return
		}
	}
}

func (c *codec) add(name string, f func()) {
	e := &xmldoc.Element{Name: nameOf(name)}
	c.inside(e, f)
	if len(e.Children) > 0 || len(e.Text) > 0 {
		c.at.Children = append(c.at.Children, e)
	}
}

func (c *codec) inside(e *xmldoc.Element, f func()) {
	up := c.at
	c.at = e
	f()
	c.at = up
}

func (c *codec) children(name string) []*xmldoc.Element {
	var out []*xmldoc.Element
	for _, e := range c.at.Children {
		if e.Name == nameOf(name) {
			out = append(out, e)
		}
	}
	return out
}

// each describes the elements of a list.
func each[T any](c *codec, name string, list *[]T, f func(*T)) { eachLike(c, name, nil, list, f) }

// eachLike is each for those elements that are like they should be.
func eachLike[T any](c *codec, name string, like func(*xmldoc.Element) bool, list *[]T, f func(*T)) {
	if c.writing {
		for i := range *list {
			c.add(name, func() { f(&(*list)[i]) })
		}
		return
	}
	for _, e := range c.children(name) {
		if like != nil && !like(e) {
			continue
		}
		var one T
		c.inside(e, func() { f(&one) })
		*list = append(*list, one)
	}
}

// attr is an attribute of an element: a text of the invoice, or one that is always the same.
type attr struct {
	name  string
	at    *string
	fixed string
}

// text describes an element that holds a text.
func (c *codec) text(name string, v *string, attrs ...attr) {
	if c.writing {
		if *v != "" {
			c.put(name, *v, attrs)
		}
		return
	}
	if e := c.at.Child(nameOf(name).Space, nameOf(name).Local); e != nil {
		c.inside(e, func() { c.content(v, attrs) })
	}
}

// content describes what is in the current element.
func (c *codec) content(v *string, attrs []attr) {
	if c.writing {
		c.at.Text = []byte(*v)
		for _, a := range attrs {
			if a.at != nil {
				a.fixed = *a.at
			}
			if a.fixed != "" {
				c.at.Attrs = append(c.at.Attrs, xml.Attr{Name: xml.Name{Local: a.name}, Value: a.fixed})
			}
		}
		return
	}
	*v = c.at.Content()
	names := []string{""}
	for _, a := range attrs {
		names = append(names, a.name)
		if a.at != nil {
			*a.at = strings.TrimSpace(c.at.Attr("", a.name))
		}
	}
	c.taken[c.at] = names
}

func (c *codec) put(name, text string, attrs []attr) {
	c.add(name, func() { c.content(&text, attrs) })
}

// fixed describes an element whose text says nothing of the invoice.
func (c *codec) fixed(name, text string) {
	c.text(name, &text)
}

// number describes an element that holds a decimal, written as it stands.
func (c *codec) number(name string, v *number, attrs ...attr) { c.decimal(name, v, 0, attrs) }

// amount describes an element that holds money in the invoice's currency, written with its digits.
func (c *codec) amount(name string, v *number) {
	c.money(name, v, c.inv.currency, digitsOf(c.inv.currency), c.syntax == UBL)
}

// price describes one that holds money with as many digits as there are.
func (c *codec) price(name string, v *number) { c.money(name, v, c.inv.currency, 0, c.syntax == UBL) }

// money describes an amount of a currency, which it says or not. One that says another cannot be taken for it.
func (c *codec) money(name string, v *number, currency string, digits int, says bool) {
	said := ""
	if says {
		said = currency
	}
	c.decimal(name, v, digits, []attr{{name: "currencyID", at: &said}})
	c.sameCurrency(name, said, currency)
}

func (c *codec) sameCurrency(name, said, currency string) {
	if !c.writing && said != "" && said != currency {
		c.problems.add("PEPPOL-EN16931-R051", local(name), "it is in %s, and the invoice in %s", short(said), short(currency))
	}
}

func (c *codec) decimal(name string, v *number, digits int, attrs []attr) {
	text := ""
	if c.writing && *v != nil {
		text = atLeast(**v, digits).String()
	}
	c.text(name, &text, attrs...)
	if !c.writing && text != "" {
		c.parse(name, text, v)
	}
}

func (c *codec) parse(name, text string, v *number) {
	d, err := jsondoc.ParseDecimal(text)
	if err != nil || strings.ContainsAny(text, "eE") {
		c.problems.add("", local(name), "%q is no decimal", short(text))
		return
	}
	*v = &d
}

// atLeast writes a number with so many digits behind the point, or those that it needs.
func atLeast(d jsondoc.Decimal, digits int) jsondoc.Decimal {
	t := d.Trim()
	return t.Fixed(max(digits, t.Scale()), jsondoc.HalfUp)
}

// day describes an element that holds a day. UBL's may carry an offset, which says where it is that day.
func (c *codec) day(name string, v *string) {
	c.text(name, v)
	if c.writing || *v == "" {
		return
	}
	if len(*v) > len(time.DateOnly) {
		if _, err := time.Parse("2006-01-02Z07:00", *v); err == nil {
			*v = (*v)[:len(time.DateOnly)]
		}
	}
	c.realDay(name, *v)
}

// basicDay describes an element that holds an element with a day of format 102.
func (c *codec) basicDay(outer, inner string, v *string) {
	basic := strings.ReplaceAll(*v, "-", "")
	form := "102"
	c.in(outer, func() { c.text(inner, &basic, attr{name: "format", at: &form}) })
	if c.writing || basic == "" {
		return
	}
	*v = basic
	if form != "102" {
		c.problems.add("CII-DT-097", local(outer), "the format of the day is %q, and 102 is taken", short(form))
		return
	}
	if t, err := time.Parse("20060102", basic); err == nil {
		*v = t.Format(time.DateOnly)
	}
	c.realDay(outer, *v)
}

func (c *codec) realDay(name, day string) {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		c.problems.add("", local(name), "%q is no day", short(day))
	}
}

func local(name string) string { _, l, _ := strings.Cut(name, ":"); return l }

func short(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:77]) + "..."
	}
	return s
}

// childIs is for where: a descendant says this.
func childIs(text string, names ...string) func(*xmldoc.Element) bool {
	return func(e *xmldoc.Element) bool {
		for _, n := range names {
			e = e.Child(nameOf(n).Space, nameOf(n).Local)
		}
		return strings.EqualFold(e.Content(), text)
	}
}

// mostUnread bounds what is named of elements that were not taken over.
const mostUnread = 20

// unread names the elements with a content that was not taken over, and attributes that say something.
func (c *codec) unread() string {
	var names []string
	seen := map[string]bool{}
	add := func(n string) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	var walk func(e *xmldoc.Element, path string)
	walk = func(e *xmldoc.Element, path string) {
		taken, ok := c.taken[e]
		if !ok && e.Content() != "" {
			add(path)
		}
		if ok {
			for _, a := range e.Attrs {
				if a.Name.Space == "" && !slices.Contains(taken, a.Name.Local) && a.Value != "" {
					add(path + "/@" + a.Name.Local)
				}
			}
		}
		for _, k := range e.Children {
			walk(k, strings.TrimPrefix(path+"/"+k.Name.Local, "/"))
		}
	}
	walk(c.top, "")
	for _, path := range c.lost {
		add(path)
	}
	if n := len(names) - mostUnread; n > 0 {
		names = append(names[:mostUnread], fmt.Sprintf("and %d more", n))
	}
	return strings.Join(names, " ")
}

// bytes gives what was written.
func (c *codec) bytes() ([]byte, error) {
	prefixes := map[string]string{}
	for p, space := range namespaces {
		if p != "inv" && p != "cn" { // the root's is the default
			prefixes[space] = p
		}
	}
	w := &serializer{prefixes: prefixes, out: []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")}
	declared := []string{"cac", "cbc"}
	if c.syntax == CII {
		declared = []string{"rsm", "ram", "udt", "qdt"}
	} else {
		c.top.Attrs = append(c.top.Attrs, xml.Attr{Name: xml.Name{Local: "xmlns"}, Value: c.top.Name.Space})
	}
	for _, p := range declared {
		c.top.Attrs = append(c.top.Attrs, xml.Attr{Name: xml.Name{Local: "xmlns:" + p}, Value: namespaces[p]})
	}
	w.element(c.top, 0)
	return w.out, w.err
}

type serializer struct {
	prefixes map[string]string
	out      []byte
	err      error
}

func (w *serializer) element(e *xmldoc.Element, depth int) {
	name := e.Name.Local
	if p := w.prefixes[e.Name.Space]; p != "" {
		name = p + ":" + name
	}
	w.out = fmt.Appendf(w.out, "%*s<%s", 2*depth, "", name)
	for _, a := range e.Attrs {
		w.out = fmt.Appendf(w.out, ` %s="`, a.Name.Local)
		w.text(a.Value)
		w.out = append(w.out, '"')
	}
	w.out = append(w.out, '>')
	w.text(string(e.Text))
	for i, k := range e.Children {
		if i == 0 {
			w.out = append(w.out, '\n')
		}
		w.element(k, depth+1)
	}
	if len(e.Children) > 0 {
		w.out = fmt.Appendf(w.out, "%*s", 2*depth, "")
	}
	w.out = fmt.Appendf(w.out, "</%s>\n", name)
}

func (w *serializer) text(s string) {
	out, err := xmldoc.AppendText(w.out, s)
	if err != nil {
		if w.err == nil {
			w.err = Problems{{Text: err.Error()}}
		}
		return
	}
	w.out = out
}
