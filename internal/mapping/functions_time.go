package mapping

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/timetext"
	"github.com/waybill-hub/waybill/internal/zones"
)

var timeType = typ{k: kText, time: true}

func timeFunctions() []*function {
	return []*function{
		{
			name: "time", params: []param{p("x", kText), {name: "layout", k: kText, literal: true}, {name: "zone", k: kText, literal: true}}, required: 1, result: passing(timeType),
			prepare: prepareTime(1, 2),
			run: func(_ *frame, s *site, args []any) (any, error) {
				t, err := pointInTime(args[0].(string), s.layout, s.zone)
				if err != nil {
					return nil, err
				}
				return t.Format(time.RFC3339Nano), nil
			},
			direct: func(_ *compiler, call *callInfo) op {
				return &timeOp{a: call.args[0].op, site: call.site, at: call.offset}
			},
		},
		{
			name: "date", params: []param{p("x", kText), {name: "layout", k: kText, literal: true}, {name: "zone", k: kText, literal: true}}, required: 1, result: passing(textType),
			prepare: prepareTime(1, 2),
			run: func(_ *frame, s *site, args []any) (any, error) {
				return dateOf(args[0].(string), s.layout, s.zone)
			},
		},
		{
			name: "format_time", params: []param{p("t", kText), {name: "layout", k: kText, literal: true}, {name: "zone", k: kText, literal: true}}, required: 2, result: passing(textType),
			prepare: prepareTime(1, 2),
			run: func(_ *frame, s *site, args []any) (any, error) {
				t, err := parseTime(args[0].(string), "", s.zone)
				if err != nil {
					return nil, err
				}
				if s.zone != nil {
					t = t.In(s.zone)
				}
				if t, err = checkYear(args[0].(string), t); err != nil {
					return nil, err
				}
				return t.Format(s.layout), nil
			},
		},
		{
			name: "in_zone", params: []param{p("t", kText), {name: "zone", k: kText, literal: true}}, required: 2, result: passing(timeType),
			prepare: prepareTime(-1, 1),
			run: func(_ *frame, s *site, args []any) (any, error) {
				t, err := parseTime(args[0].(string), "", nil)
				if err != nil {
					return nil, err
				}
				if t, err = checkYear(args[0].(string), t.In(s.zone)); err != nil {
					return nil, err
				}
				return t.Format(time.RFC3339Nano), nil
			},
		},
		{
			name: "unix", params: []param{p("seconds", kNumber)}, required: 1, result: passing(timeType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				return fromEpoch("unix", args[0].(jsondoc.Decimal), 9)
			},
		},
		{
			name: "unix_ms", params: []param{p("milliseconds", kNumber)}, required: 1, result: passing(timeType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				return fromEpoch("unix_ms", args[0].(jsondoc.Decimal), 6)
			},
		},
		{
			name: "epoch", params: []param{p("t", kText)}, required: 1, result: passing(numberType),
			run: func(_ *frame, _ *site, args []any) (any, error) {
				t, err := pointInTime(args[0].(string), "", nil)
				if err != nil {
					return nil, err
				}
				seconds := jsondoc.FromInt(t.Unix())
				if t.Nanosecond() == 0 {
					return seconds, nil
				}
				nanos, err := jsondoc.FromInt(int64(t.Nanosecond())).Div(jsondoc.FromInt(1_000_000_000), 9, jsondoc.Down)
				return seconds.Add(nanos.Trim()), err
			},
		},
		{
			name: "add_days", params: []param{p("date", kText), p("days", kNumber)}, required: 2, result: passing(textType),
			run: addDays,
		},
	}
}

// prepareTime resolves a literal layout and zone at these arguments (-1: none).
func prepareTime(layout, zone int) func(c *compiler, call *callInfo) *site {
	return func(c *compiler, call *callInfo) *site {
		s := &site{}
		if text, ok := call.literal(layout); ok && text != "" {
			s.layout = text
			if why := badLayout(text); why != "" {
				c.problem(call.at(layout), `a layout shows the moment Mon Jan 2 15:04:05 2006 as the system writes it: "2006-01-02", "02.01.2006 15:04", "20060102150405"`, "%s: the layout %q %s", call.fn.name, text, why)
			}
		}
		if name, ok := call.literal(zone); ok {
			z, err := loadZone(name)
			if err != nil {
				c.problem(call.at(zone), `zones are named as in "Europe/Berlin", "Asia/Shanghai", "UTC"`, "%s: unknown zone %q", call.fn.name, name)
				z = time.UTC
			} else if doubt := zones.Doubt(name); doubt != "" {
				c.p.Note(c.place(call.at(zone)), zones.DoubtHint, "%s: %s", call.fn.name, doubt)
			}
			s.zone = z
		}
		return s
	}
}

func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("unknown zone %q", name) // no zone is no zone; Local is the machine's
	}
	return zones.Load(name)
}

// badLayout says what is wrong with a layout: formats of other languages, or nothing that stands for a part of a time.
func badLayout(layout string) string {
	for _, foreign := range []string{"YYYY", "yyyy", "%Y", "%d", "DD", "HH", "hh:mm", "MM-"} {
		if strings.Contains(layout, foreign) {
			return fmt.Sprintf("has %q, which is another language's", foreign)
		}
	}
	a := time.Date(1987, 11, 23, 17, 38, 49, 123456789, time.UTC)
	b := time.Date(1995, 6, 8, 4, 21, 10, 987654321, time.UTC)
	if a.Format(layout) == b.Format(layout) {
		return "has no part that stands for a part of a time"
	}
	return ""
}

// mailForms are the forms of times, beside those of timetext, that are read without a layout.
var mailForms = []string{time.RFC1123Z, time.RFC1123}

// parseTime reads a time. What names no zone is in zone; without a zone it is in UTC where a layout is given, and an
// error otherwise.
func parseTime(s, layout string, zone *time.Location) (time.Time, error) {
	if layout != "" {
		z := zone
		if z == nil {
			z = time.UTC
		}
		t, err := timetext.ParseLayout(layout, s, z)
		switch {
		case errors.Is(err, timetext.ErrForm):
			return t, fmt.Errorf("time: %s does not have the form %q", show(s), layout)
		case err != nil:
			return t, fmt.Errorf("time: %s %w", show(s), err)
		}
		return checkZone(s, t)
	}
	v, err := timetext.Parse(s)
	switch {
	case errors.Is(err, timetext.ErrForm):
		return parseMailTime(s)
	case err != nil:
		return v.Wall, fmt.Errorf("time: %s %w", show(s), err)
	case v.Zone == nil && zone == nil:
		return v.Wall, fmt.Errorf(`time: %s names no zone: say which, as in time(x, "", "Europe/Berlin")`, show(s))
	}
	return v.In(zone), nil
}

func parseMailTime(s string) (time.Time, error) {
	for _, l := range mailForms {
		t, err := timetext.ParseLayout(l, s, time.UTC)
		switch {
		case err == nil:
			return checkZone(s, t)
		case !errors.Is(err, timetext.ErrForm):
			return t, fmt.Errorf("time: %s %w", show(s), err)
		}
	}
	return time.Time{}, fmt.Errorf("time: %s is not a time; if the form is the system's own, give its layout", show(s))
}

// checkZone guards against zone abbreviations: Go takes any three letters that it does not know for a zone at UTC.
func checkZone(s string, t time.Time) (time.Time, error) {
	name, offset := t.Zone()
	if offset == 0 && name != "UTC" && name != "GMT" && name != "" && t.Location().String() == name {
		return t, fmt.Errorf("time: %s names the zone %s, which does not say how far it is from UTC", show(s), name)
	}
	return t, nil
}

// checkYear refuses what RFC 3339 cannot write.
func checkYear(s string, t time.Time) (time.Time, error) {
	if err := timetext.CheckYear(t); err != nil {
		return t, fmt.Errorf("time: %s %w", show(s), err)
	}
	return t, nil
}

// pointInTime reads a time that the result shows with its zone.
func pointInTime(s, layout string, zone *time.Location) (time.Time, error) {
	t, err := parseTime(s, layout, zone)
	if err != nil {
		return t, err
	}
	return checkYear(s, t)
}

// dateOf reads a day. A date with a zone and no time of day is that day, whatever zone is asked for: only a point in time is on different
// days in different zones.
func dateOf(s, layout string, zone *time.Location) (string, error) {
	if layout == "" {
		if v, err := timetext.Parse(s); err == nil && !v.Clock {
			day, err := checkYear(s, v.Wall)
			return day.Format(time.DateOnly), err
		}
	}
	t, err := parseTime(s, layout, zone)
	if err != nil {
		return "", err
	}
	if zone != nil {
		t = t.In(zone)
	}
	y, m, d := t.Date()
	day, err := checkYear(s, time.Date(y, m, d, 0, 0, 0, 0, time.UTC))
	return day.Format(time.DateOnly), err
}

// fromEpoch gives the time that lies d × 10^-digits nanoseconds after 1970.
func fromEpoch(fn string, d jsondoc.Decimal, digits int) (any, error) {
	scale, _ := jsondoc.ParseDecimal("1e" + strconv.Itoa(digits))
	nanos := d.Mul(scale).Round(0, jsondoc.Down)
	n, ok := new(big.Int).SetString(nanos.Trim().String(), 10)
	if nanos.Err() != nil || !ok {
		return nil, fmt.Errorf("%s: %s is out of range", fn, shorten(d.String()))
	}
	sec, rest := new(big.Int).DivMod(n, big.NewInt(1_000_000_000), new(big.Int))
	if !sec.IsInt64() || sec.Int64() < -62_135_596_800 || sec.Int64() > 253_402_300_799 {
		return nil, fmt.Errorf("%s: %s is out of range", fn, shorten(d.String()))
	}
	return time.Unix(sec.Int64(), rest.Int64()).UTC().Format(time.RFC3339Nano), nil
}

// addDays counts calendar days: a time keeps its clock reading and its offset.
func addDays(_ *frame, _ *site, args []any) (any, error) {
	s := args[0].(string)
	n, err := whole("add_days", "days", args[1], -100_000, 100_000)
	if err != nil {
		return nil, err
	}
	layout := time.DateOnly
	t, err := time.Parse(layout, s)
	if err != nil {
		layout = time.RFC3339Nano
		if t, err = time.Parse(layout, s); err != nil {
			if _, why := timetext.Parse(s); why != nil && !errors.Is(why, timetext.ErrForm) {
				return nil, fmt.Errorf("add_days: %s %w", show(s), why)
			}
			return nil, fmt.Errorf("add_days wants a date or a time as date() and time() give them, not %s", show(s))
		}
	}
	t, err = checkYear(s, t.AddDate(0, 0, n))
	if err != nil {
		return nil, err
	}
	return t.Format(layout), nil
}

// timeOp is the direct form of time.
type timeOp struct {
	a    op
	site *site
	at   int
}

func (o *timeOp) eval(f *frame, v *val) error {
	if err := o.a.eval(f, v); err != nil || v.k == vAbsent {
		return err
	}
	s, _, ok := v.text(f)
	if !ok {
		x, err := v.any(f)
		if err == nil {
			err = fmt.Errorf("time wants text, not %s", describe(x))
		}
		return at(o.at, err)
	}
	t, err := pointInTime(string(s), o.site.layout, o.site.zone)
	if err != nil {
		return at(o.at, err)
	}
	from := len(f.arena)
	f.arena = t.AppendFormat(f.arena, time.RFC3339Nano)
	v.setText(f.arena[from:len(f.arena):len(f.arena)], true)
	return nil
}
