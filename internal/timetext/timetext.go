// Package timetext reads dates and points in time in the forms in which systems write them. A text is read as what it says, or refused
// with the reason; nothing is cut, and no day is moved because it does not exist.
package timetext

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrForm says that a text has none of the forms of a date or time. Every other error means that it has one, and says why its value
// cannot be taken. The texts of all errors go on from the value: "2026-02-30" + " names a day that does not exist".
var ErrForm = errors.New("is no date or time")

var (
	errDay     = errors.New("names a day that does not exist")
	errNoDay   = errors.New("names a day that does not exist (systems write zeros for none)")
	errClock   = errors.New("names a time of day that does not exist")
	errOpenEnd = errors.New("is infinity: an open end, and no point in time")
)

// Value is what a text says.
type Value struct {
	// Wall is the reading of calendar and clock, as if it were in UTC; midnight where only a day is named. Its year may be 0, which is 1 BC,
	// negative, or beyond 9999: see CheckYear.
	Wall time.Time
	// Clock says that a time of day is named.
	Clock bool
	// Zone is the zone that the text itself names, as its distance to UTC; nil where it names none.
	Zone *time.Location
}

// In gives the point in time. Without a zone of its own, the reading is one of zone's clocks.
func (v Value) In(zone *time.Location) time.Time {
	if v.Zone != nil {
		zone = v.Zone
	}
	w := v.Wall
	return time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), zone)
}

// CheckYear refuses what RFC 3339 and ISO 8601 cannot write in four digits, as it stands and in UTC.
func CheckYear(t time.Time) error {
	for _, y := range []int{t.Year(), t.UTC().Year()} {
		switch {
		case y > 9999:
			return fmt.Errorf("is after the year 9999 (%d), which a document cannot write", y)
		case y < 0:
			return fmt.Errorf("is before the year 0 (%d BC), which a document cannot write", 1-y)
		}
	}
	return nil
}

// Parse reads ISO 8601 and RFC 3339, with T, t or a blank before the time: extended and basic form, hours alone, hours and minutes, 24:00 as
// the next day's 00:00, a point or a comma before the fraction, offsets as Z, +01, +0100 and +01:00; days by month, by week and by number;
// dates with a zone, as XML has them; PostgreSQL's years of more than four digits and its BC; a zone's name in brackets behind an offset
// (RFC 9557); and /Date(ms)/ of OData V2.
func Parse(s string) (Value, error) {
	if t, err := Milliseconds(s); !errors.Is(err, ErrForm) {
		return Value{Wall: t, Clock: true, Zone: time.UTC}, err
	}
	if openEnd(s) {
		return Value{}, errOpenEnd
	}
	p := &scanner{rest: s}
	if cut, bc := strings.CutSuffix(s, " BC"); bc {
		p.rest, p.bc = cut, true
	}
	var v Value
	if err := p.date(&v); err != nil {
		return Value{}, err
	}
	if p.one("Tt ") {
		if err := p.clock(&v); err != nil {
			return Value{}, err
		}
	}
	if err := p.zone(&v); err != nil {
		return Value{}, err
	}
	if v.Zone != nil && v.Clock {
		p.annotation()
	}
	if p.rest != "" {
		return Value{}, ErrForm
	}
	return v, nil
}

func openEnd(s string) bool {
	switch strings.ToLower(strings.TrimLeft(s, "+-")) {
	case "infinity", "inf":
		return true
	}
	return false
}

// scanner takes a text off from its front.
type scanner struct {
	rest string
	bc   bool
}

// one takes one character if it is one of these.
func (p *scanner) one(of string) bool {
	if p.rest == "" || strings.IndexByte(of, p.rest[0]) < 0 {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// digits counts the digits at the front.
func (p *scanner) digits() int {
	n := 0
	for n < len(p.rest) && p.rest[n]-'0' <= 9 {
		n++
	}
	return n
}

// number takes n digits, of which there must be so many.
func (p *scanner) number(n int) int {
	out := 0
	for _, c := range []byte(p.rest[:n]) {
		out = out*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	return out
}

// take takes exactly n digits, no fewer and no more.
func (p *scanner) take(n int) (int, bool) {
	if p.digits() != n {
		return 0, false
	}
	return p.number(n), true
}

// longestYear bounds the digits of a year: PostgreSQL knows the year 294276.
const longestYear = 6

func (p *scanner) date(v *Value) error {
	sign, from := 1, p.rest
	if p.one("-") {
		sign = -1
	} else {
		p.one("+")
	}
	n := p.digits()
	if n == 8 && p.rest == from { // 20261128
		year, month, day := p.number(4), p.number(2), p.number(2)
		return p.day(v, year, month, day)
	}
	if n < 4 || n > longestYear {
		return ErrForm
	}
	year := sign * p.number(n)
	if p.one("W") {
		return p.week(v, year, false)
	}
	if !p.one("-") {
		return ErrForm
	}
	if p.one("W") {
		return p.week(v, year, true)
	}
	if n, ok := p.take(3); ok { // 2026-332
		return p.dayOfYear(v, year, n)
	}
	month, ok := p.take(2)
	if !ok {
		return ErrForm
	}
	if p.rest == "" {
		return errors.New("names a month and no day")
	}
	if !p.one("-") {
		return ErrForm
	}
	day, ok := p.take(2)
	if !ok {
		return ErrForm
	}
	return p.day(v, year, month, day)
}

func (p *scanner) day(v *Value, year, month, day int) error {
	if year == 0 && month == 0 && day == 0 {
		return errNoDay
	}
	if p.bc {
		if year < 1 {
			return errors.New("names a year that does not exist")
		}
		year = 1 - year
	}
	v.Wall = time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if month < 1 || month > 12 || v.Wall.Day() != day || v.Wall.Month() != time.Month(month) {
		return errDay
	}
	return nil
}

// week reads the number of the week and of the day in it, from 1 on Monday. The first week of a year is the one that holds 4 January.
func (p *scanner) week(v *Value, year int, hyphen bool) error {
	n, ok := 0, p.digits() >= 2
	if !ok {
		return ErrForm
	}
	n = p.number(2)
	if p.rest == "" {
		return errors.New("names a week and no day")
	}
	if hyphen && !p.one("-") {
		return ErrForm
	}
	day, ok := p.take(1)
	if !ok {
		return ErrForm
	}
	fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC)
	monday := fourth.AddDate(0, 0, -(int(fourth.Weekday())+6)%7)
	v.Wall = monday.AddDate(0, 0, (n-1)*7+day-1)
	if y, w := v.Wall.ISOWeek(); day < 1 || day > 7 || y != year || w != n {
		return errDay
	}
	return nil
}

func (p *scanner) dayOfYear(v *Value, year, n int) error {
	v.Wall = time.Date(year, 1, n, 0, 0, 0, 0, time.UTC)
	if n < 1 || v.Wall.Year() != year {
		return errDay
	}
	return nil
}
