package format

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// text gives a cell's value as the readers of tables take it.
func (x *xlsxReader) text(c cell, column int) (string, error) {
	if !c.has {
		if c.formula {
			return "", errors.New("the cell holds a formula whose result is not stored: have the workbook computed and saved")
		}
		return "", nil
	}
	switch c.typ {
	case "s":
		n, err := strconv.Atoi(c.value)
		if err != nil || n < 0 || n >= len(x.book.strings) {
			return "", fmt.Errorf("the cell names a text that is not there (%s)", short(c.value))
		}
		return x.book.strings[n], nil
	case "str", "inlineStr":
		if c.typ == "str" {
			return unescapeX(c.value), nil
		}
		return c.value, nil
	case "b":
		switch c.value {
		case "1", "true":
			return "true", nil
		case "0", "false":
			return "false", nil
		}
		return c.value, fmt.Errorf("the cell is a truth value, and %q is none", short(c.value))
	case "e":
		return c.value, fmt.Errorf("the cell holds the error %s", short(c.value))
	case "d":
		return c.value, nil
	}
	if strings.TrimSpace(c.value) == "" {
		return "", nil
	}
	var style cellStyle
	if c.style >= 0 && c.style < len(x.book.styles) {
		style = x.book.styles[c.style]
	}
	typ := "text"
	if column <= len(x.table.columns) {
		typ = x.table.columns[column-1].Type
	}
	if style.date || style.time {
		return x.moment(c.value, style, typ)
	}
	return number(c.value, style, typ)
}

// number gives a number that is stored: its digits as people write them, of which workbooks keep 15.
func number(value string, style cellStyle, typ string) (string, error) {
	d, err := jsondoc.ParseDecimal(strings.TrimSpace(value))
	if err != nil {
		return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
	}
	f, _, err := big.ParseFloat(d.String(), 10, 53, big.ToNearestEven)
	if err != nil {
		return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
	}
	whole := d.IsInt()
	if n := significant(d.String()); n > sureDigits {
		if whole {
			if exact, _ := f.Int(nil); exact.CmpAbs(big.NewInt(1<<53)) >= 0 {
				return value, fmt.Errorf("the number %s has more digits than a workbook keeps: write it as a text", short(value))
			}
		} else if d, err = jsondoc.ParseDecimal(f.Text('g', sureDigits)); err != nil {
			return value, fmt.Errorf("the cell holds %q, which is no number", short(value))
		}
	}
	out := plainDecimal(d)
	if typ == "text" && style.zeros > len(out) && whole && !strings.HasPrefix(out, "-") {
		out = strings.Repeat("0", style.zeros-len(out)) + out
	}
	return out, nil
}

// significant counts the digits of a decimal without those zeros around them that say nothing.
func significant(s string) int {
	digits, _, _ := strings.Cut(strings.ToLower(s), "e")
	digits = strings.Replace(strings.TrimPrefix(digits, "-"), ".", "", 1)
	return len(strings.Trim(digits, "0"))
}

// plainDecimal gives a number without a power of ten and without zeros at the end of its decimals.
func plainDecimal(d jsondoc.Decimal) string {
	return d.Trim().String()
}

// moment gives a day, a time of day or both.
func (x *xlsxReader) moment(value string, style cellStyle, typ string) (string, error) {
	d, err := jsondoc.ParseDecimal(strings.TrimSpace(value)) // a big.Rat takes powers of ten that take long
	serial, ok := new(big.Rat).SetString(d.String())
	if err != nil || !ok || serial.Sign() < 0 || serial.Cmp(big.NewRat(2958466, 1)) >= 0 {
		return value, fmt.Errorf("the cell is a date, and %q is no day that a workbook knows", short(value))
	}
	ms := new(big.Rat).Mul(serial, big.NewRat(86_400_000, 1))
	ms.Add(ms, big.NewRat(1, 2))
	n := new(big.Int).Quo(ms.Num(), ms.Denom()).Int64() // rounded: a float is a little beside it
	days, rest := n/86_400_000, time.Duration(n%86_400_000)*time.Millisecond
	if days == 0 && style.time && !style.date {
		return timeOfDay(rest), nil
	}
	from := x.book.days
	if x.book.odd && days < 61 {
		if days == 60 {
			return value, errors.New("the cell is the 29th of February 1900, which never was")
		}
		from = from.AddDate(0, 0, 1)
	}
	day := from.AddDate(0, 0, int(days))
	switch {
	case rest != 0:
		return day.Format(time.DateOnly) + "T" + timeOfDay(rest), nil
	case typ == "date":
		return day.Format(x.table.set.DateLayout), nil
	case style.time && style.date:
		return day.Format(time.DateOnly) + "T00:00:00", nil
	}
	return day.Format(time.DateOnly), nil
}

func timeOfDay(d time.Duration) string {
	return time.Time{}.Add(d).Format("15:04:05.999")
}
