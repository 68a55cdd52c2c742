package scaffold

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/waybill-hub/waybill/internal/schema"
)

// Suggestion is a rule for one field of the target.
type Suggestion struct {
	Target string // dotted
	Source string // an expression
	// Sure: the names say the same and the types fit. What is not sure is a TODO.
	Sure     bool
	Optional bool
	Why      string
	field    *Field
}

// synonyms are words that may mean the same in business documents; may, so that they make a suggestion and no rule.
var synonyms = [][]string{
	{"number", "no", "num", "nr", "code", "ref", "reference"}, {"id", "key", "uuid", "guid"}, {"customer", "client", "account", "buyer", "kunde"},
	{"product", "item", "article", "sku", "material"}, {"quantity", "qty", "count", "amount"}, {"price", "rate", "unit_price"}, {"total", "amount", "sum", "gross"},
	{"placed_at", "created_at", "order_date", "date", "created"}, {"status", "state", "stage"}, {"note", "comment", "remark", "description", "memo"},
	{"email", "mail", "e_mail"}, {"phone", "telephone", "tel", "mobile"}, {"currency", "currency_code", "curr"}, {"name", "title", "label"}, {"lines", "items", "positions", "line_items"},
	{"tax_number", "vat_id", "vat", "tax_id"}, {"postal_code", "zip", "zip_code", "postcode"}, {"on_hand", "stock", "quantity"}, {"warehouse", "location", "site"},
}

var (
	camel     = regexp.MustCompile(`([a-z0-9])([A-Z])`)
	notLetter = regexp.MustCompile(`[^\pL\pN]+`)
	plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Normal is a name in small letters with underscores: OrderNumber, order-number and "Order number" are one.
func Normal(name string) string {
	return strings.ToLower(strings.Trim(notLetter.ReplaceAllString(camel.ReplaceAllString(name, "${1}_${2}"), "_"), "_"))
}

// bare leaves out the entity's own name before a word, and the plural.
func bare(name, entity string) string {
	if rest, ok := strings.CutPrefix(name, entity+"_"); ok {
		name = rest
	}
	return singular(name)
}

func singular(name string) string {
	switch {
	case strings.HasSuffix(name, "ies"):
		return strings.TrimSuffix(name, "ies") + "y"
	case strings.HasSuffix(name, "ss"), strings.HasSuffix(name, "us"):
		return name
	}
	return strings.TrimSuffix(name, "s")
}

// Path is how an expression reads a field.
func Path(base, name string) string {
	if plainName.MatchString(name) {
		return base + "." + name
	}
	return base + "[" + quoteText(name) + "]"
}

func quoteText(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// writable reports whether a name can stand in an expression inside a line of YAML.
func writable(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || !unicode.IsPrint(r) }) && !strings.ContainsAny(name, "#:`\\\"'{}$?.")
}

// Suggest compares the names of a sample's fields with those of the target, and gives a suggestion for each field of the target that has one, in the
// target's order.
func Suggest(root *Field, target schema.Shape, entity string) []Suggestion {
	all := suggestAll(root, target, entity)
	// A field that has its place is no candidate for another.
	return slices.DeleteFunc(all, func(s Suggestion) bool {
		return !s.Sure && slices.ContainsFunc(all, func(o Suggestion) bool { return o.Sure && o.Source == s.Source })
	})
}

func suggestAll(root *Field, target schema.Shape, entity string) []Suggestion {
	var out []Suggestion
	for _, name := range target.Fields() {
		shape, _ := target.Field(name)
		if slices.Equal(kinds(shape.Types()), []string{"object"}) {
			if nested := root.named(name, entity); nested != nil && len(nested.Fields) > 0 && writable(nested.Name) {
				for _, s := range suggestAll(nested, shape, singular(name)) {
					s.Target, s.Source = name+"."+s.Target, strings.Replace(s.Source, "source", Path("source", nested.Name), 1)
					s.Optional = s.Optional || !nested.Required
					out = append(out, s)
				}
			}
			continue
		}
		if s, ok := suggestOne(root, name, shape, entity); ok {
			out = append(out, s)
		}
	}
	return out
}

func (f *Field) named(name, entity string) *Field {
	for _, c := range f.Fields {
		if bare(Normal(c.Name), entity) == bare(name, entity) {
			return c
		}
	}
	return nil
}

func suggestOne(root *Field, name string, shape schema.Shape, entity string) (Suggestion, bool) {
	if f := root.named(name, entity); f != nil && writable(f.Name) {
		s := Suggestion{Target: name, Source: Path("source", f.Name), Optional: !f.Required || slices.Contains(f.Types, "null"), field: f}
		switch {
		case !fits(f, shape):
			s.Why = "the types differ: " + strings.Join(f.Types, " or ") + ", and " + strings.Join(shape.Types(), " or ") + " is wanted"
			if slices.Equal(f.Types, shape.Types()) { // no value of these is taken over as it is
				s.Why = "what is in them may differ: write a rule for each of their fields"
			}
		case len(shape.Enum()) > 0 && !f.codes(shape.Enum()):
			s.Why = "only these codes are taken, and a value map translates: " + listed(shape.Enum())
		case shape.Format() != "" && shape.Format() != f.Format:
			s.Why = "the sample's texts are no " + shape.Format()
		default:
			s.Sure = true
		}
		return s, true
	}
	for _, f := range root.Fields {
		if alike(bare(Normal(f.Name), entity), name) && writable(f.Name) {
			return Suggestion{Target: name, Source: Path("source", f.Name), Optional: true, Why: "the names may mean the same", field: f}, true
		}
	}
	return Suggestion{}, false
}

// codes reports whether every text that was seen is one of the codes.
func (f *Field) codes(enum []string) bool {
	for v := range f.values {
		if !slices.Contains(enum, v) {
			return false
		}
	}
	return len(f.values) > 0 && len(f.values) <= mostValues
}

func listed(words []string) string {
	const most = 8
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", …"
	}
	return strings.Join(words, ", ")
}

func alike(a, b string) bool {
	return slices.ContainsFunc(synonyms, func(set []string) bool {
		return slices.ContainsFunc(set, func(w string) bool { return singular(w) == singular(a) }) && slices.ContainsFunc(set, func(w string) bool { return singular(w) == singular(b) })
	})
}

func kinds(types []string) []string {
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t == "null" })
}

// fits reports whether every value that was seen is of a type that the target takes. Lists and objects are never sure: what is inside has rules of
// its own.
func fits(f *Field, shape schema.Shape) bool {
	want := shape.Types()
	if len(want) == 0 {
		return f.Scalar()
	}
	return len(kinds(f.Types)) > 0 && !slices.ContainsFunc(kinds(f.Types), func(t string) bool {
		return t == "object" || t == "array" || !slices.Contains(want, t) && !(t == "integer" && slices.Contains(want, "number"))
	})
}

// keyWords are the ends of names that say which object a document is, the best first.
var keyWords = []string{"number", "no", "nr", "id", "code", "sku", "key", "ref", "reference"}

// At finds a field that can be the key: a text or number that every document has, by its name or by the names that lead to it, with dots (order.id). The
// field's own name is tried first, because names may hold dots. It is given with the expression that reads it; nil: there is none.
func (f *Field) At(path string) (*Field, string) {
	for _, k := range f.Keys() {
		if k.Name == path {
			return k.Field, k.Expr
		}
	}
	return nil, ""
}

// Named is a field with its dotted name and the expression that reads it.
type Named struct {
	Name, Expr string
	Field      *Field
}

// Keys are the fields that can be the key, those at the top first.
func (f *Field) Keys() []Named { return f.keys("", "source") }

func (f *Field) keys(name, expr string) (out []Named) {
	for _, c := range f.Fields {
		if c.Required && c.Scalar() {
			out = append(out, Named{name + c.Name, Path(expr, c.Name), c})
		}
	}
	for _, c := range f.Fields {
		if c.Required && slices.Equal(c.Types, []string{"object"}) {
			out = append(out, c.keys(name+c.Name+".", Path(expr, c.Name))...)
		}
	}
	return out
}

// Key gives the field that most likely names the business object: a text or number that every document has; nil where none looks so.
func Key(root *Field, entity string) *Field {
	for _, word := range keyWords {
		for _, f := range root.Fields {
			if f.Required && f.Scalar() && writable(f.Name) && bare(Normal(f.Name), entity) == word {
				return f
			}
		}
	}
	return nil
}
