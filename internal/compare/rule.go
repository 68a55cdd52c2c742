// Package compare says when two documents are the same: a rule for each field, and totals over many documents. It knows no system and no hub.
package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// How says in which way a rule compares two values. What a rule cannot read is compared exactly.
type How string

const (
	// Exact: the same value. Numbers are compared by value (1.0 is 1.00), texts by their characters, lists in order, objects by member. A number
	// is not its text; null, an empty text and a field that is absent are three things. The zero How means it too.
	Exact How = "exact"
	// Ignore: not compared.
	Ignore How = "ignore"
	// Fold, UUID and Number are the connectors' rules for texts. Under Number a number is the same as its text.
	Fold   = How(connector.Fold)
	UUID   = How(connector.UUID)
	Number = How(connector.Number)
	// Within: numbers that differ by no more than Rule.Within. Texts that are numbers count as such beside another text.
	Within How = "within"
	// Folded: texts that are the same after Rule.Folds.
	Folded How = "folded"
	// Time: times that are the same, cut to Rule.Unit in Rule.Zone.
	Time How = "time"
	// Set: lists whose order does not count; see Rule.Set.
	Set How = "set"
)

// Folding is a difference of texts that does not count.
type Folding string

// The foldings, in the order in which files show them.
const (
	FoldCase    Folding = "case"    // capital and small letters, by Unicode's full case folding: ß is ss
	FoldWidth   Folding = "width"   // full and half width, with the voiced marks of half-width katakana
	FoldSpace   Folding = "space"   // runs of white space are one blank, and there is none at the ends
	FoldAccents Folding = "accents" // combining marks; not those that make another letter in Japanese
	FoldForm    Folding = "form"    // Unicode forms: NFC
)

// Foldings are all of them.
func Foldings() []string {
	return []string{string(FoldCase), string(FoldWidth), string(FoldSpace), string(FoldAccents), string(FoldForm)}
}

// Unit is the precision of a time.
type Unit string

// The precisions of times, and the periods of totals.
const (
	Millisecond Unit = "millisecond"
	Second      Unit = "second"
	Minute      Unit = "minute"
	Hour        Unit = "hour"
	Day         Unit = "day"
	Month       Unit = "month"
	Year        Unit = "year"
)

// TimeUnits are those in which times are compared.
func TimeUnits() []string {
	return []string{string(Millisecond), string(Second), string(Minute), string(Hour), string(Day)}
}

// Side is one of two.
type Side string

// The sides; the empty one is neither.
const (
	Left  Side = "left"
	Right Side = "right"
)

// Empties says which ways of having no value are the same.
type Empties string

const (
	// EmptyDiffer: null, an empty text and a field that is absent are three things.
	EmptyDiffer Empties = ""
	// EmptySame: they are one; under Set an empty list too.
	EmptySame Empties = "empty"
	// EmptyAbsent: null and absent are one; an empty text is a value.
	EmptyAbsent Empties = "absent"
)

// Others is the path of the rule for all fields that have none of their own.
const Others = "*"

// Rule is the rule of one field.
type Rule struct {
	// Path is the field: names with dots between them, or Others. Within a set it begins at the element.
	Path string
	How  How
	// Within is for the How of that name, and so on.
	Within Tolerance
	Folds  []Folding
	Unit   Unit
	Zone   *time.Location // nil: UTC
	Set    *Elements
	// Empty is what counts as no value, in everything that the field holds.
	Empty Empties
	// Owner is the side to which the field belongs: where that side has no value, nothing is compared.
	Owner Side
}

// Tolerance says how far two amounts may be apart.
type Tolerance struct {
	// Bound is for amounts of all currencies, or of those that ByCurrency does not name; nil: those are compared exactly.
	Bound *Bound
	// ByCurrency are the bounds by the code at the path Currency: in the element of a set, else in the document.
	ByCurrency map[string]Bound
	Currency   string
}

// Bound is an amount, or a share of the larger of the two in percent.
type Bound struct {
	Amount  jsondoc.Decimal
	Percent bool
}

func (b Bound) String() string {
	if b.Percent {
		return b.Amount.String() + "%"
	}
	return b.Amount.String()
}

// Elements says how the elements of a list are told apart.
type Elements struct {
	// Key are the paths, within an element, that say which one it is; none: the whole element does.
	Key []string
	// Rules compare the elements of one key; nil: every field of theirs, exactly. A field of the key that has a rule for texts or times there is
	// the same where that says so.
	Rules *Rules
	// Each is the rule for texts or times of elements that are told apart as a whole; nil: exactly.
	Each *Rule
}

// String is the rule as files write it.
func (r Rule) String() string {
	var parts []string
	add := func(key, value string) { parts = append(parts, key+": "+value) }
	switch r.How {
	case Within:
		add("within", r.Within.text())
		if r.Within.Currency != "" {
			add("currency", r.Within.Currency)
		}
	case Folded:
		var names []string
		for _, f := range r.Folds {
			names = append(names, string(f))
		}
		add("fold", "["+strings.Join(names, ", ")+"]")
	case Time:
		add("time", string(r.Unit))
		if r.Zone != nil {
			add("zone", r.Zone.String())
		}
	case Set:
		add("set", r.Set.text())
		if r.Set.Each != nil {
			each := *r.Set.Each
			if each.Empty = EmptyDiffer; each.how() != Exact {
				add("compare", each.String())
			}
		}
	default:
		how := string(r.how())
		if r.Empty == EmptyDiffer && r.Owner == "" {
			return how
		}
		if r.How != Exact && r.How != "" {
			add("rule", how)
		}
	}
	if r.Empty != EmptyDiffer {
		add("null", string(r.Empty))
	}
	if r.Owner != "" {
		add("owner", string(r.Owner))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (r Rule) how() How {
	if r.How == "" {
		return Exact
	}
	return r.How
}

func (t Tolerance) text() string {
	if t.Currency == "" && t.Bound != nil {
		return t.Bound.String()
	}
	var parts []string
	for code, b := range t.ByCurrency {
		parts = append(parts, code+": "+b.String())
	}
	slices.Sort(parts)
	if t.Bound != nil {
		parts = append(parts, "default: "+t.Bound.String())
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func (e *Elements) text() string {
	switch len(e.Key) {
	case 0:
		return "true"
	case 1:
		return e.Key[0]
	}
	return "[" + strings.Join(e.Key, ", ") + "]"
}

// check says what is wrong with a rule that no file can have written.
func (r Rule) check() error {
	switch {
	case r.How == Set && r.Set == nil, r.How == Time && r.Unit == "", r.How == Folded && len(r.Folds) == 0,
		r.How == Within && r.Within.Bound == nil && r.Within.ByCurrency == nil:
		return fmt.Errorf("the rule of %q is incomplete", r.Path)
	case r.Path != Others && slices.Contains(strings.Split(r.Path, "."), ""):
		return fmt.Errorf("%q is no path", r.Path)
	}
	return nil
}
