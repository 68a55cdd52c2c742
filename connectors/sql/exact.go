package sql

import (
	"fmt"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// exact compares the decimals that were sent with those that were stored. A column of too small a scale rounds without a
// word, and a column of SQLite with numeric affinity turns many digits into a float: such a change is refused. A value
// that a trigger computed anew differs by more than rounding does, and is the database's own business.
func exact(columns map[string]string, prefix string, sent, stored jsondoc.Value) error {
	for name, v := range sent.Members() {
		if columns[name] != "decimal" || !v.Exists() {
			continue
		}
		want, err := decimalOf(v)
		if err != nil {
			return fmt.Errorf("%s%s: %w", prefix, name, err)
		}
		got, err := decimalOf(stored.Get(name))
		if err != nil || want.Cmp(got) == 0 {
			continue
		}
		if rounded(want, got) {
			return fmt.Errorf("%s%s: the column cannot hold %s exactly, the database made it %s: round it in the mapping, or widen the column",
				prefix, name, short(want.String()), short(got.String()))
		}
	}
	return nil
}

func decimalOf(v jsondoc.Value) (jsondoc.Decimal, error) {
	if v.Kind() == jsondoc.String {
		return jsondoc.ParseDecimal(v.Str())
	}
	return v.Decimal()
}

// rounded: the difference is at most one unit of the stored scale, or beyond the digits of a float.
func rounded(want, got jsondoc.Decimal) bool {
	diff := want.Sub(got).Abs()
	for places := range got.Scale() + 1 {
		if want.Round(places, jsondoc.HalfUp).Cmp(got) == 0 || want.Round(places, jsondoc.Down).Cmp(got) == 0 {
			return true
		}
	}
	return diff.Mul(jsondoc.FromInt(1e14)).Cmp(want.Abs()) <= 0
}
