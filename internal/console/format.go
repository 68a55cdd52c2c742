package console

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// functions are what templates use beside the page's own methods.
var functions = template.FuncMap{"num": number, "short": firstLine, "at": At, "tone": tone, "sign": sign, "list": list, "value": func(v json.RawMessage) string { return strings.TrimSpace(pretty(v, string(v))) }, "add": func(a, b int64) int64 { return a + b }}

// firstLine is the beginning of a text, for a row of a table.
func firstLine(text string) string {
	line, _, more := strings.Cut(text, "\n")
	if r := []rune(line); len(r) > 80 {
		line, more = string(r[:80]), true
	}
	if more {
		line += " …"
	}
	if line == "" {
		return "–"
	}
	return line
}

// number writes a whole number with its thousands apart, as both languages do.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(text, "-")
	var out []byte
	for i := range len(digits) {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out = append(out, ',')
		}
		out = append(out, digits[i])
	}
	return text[:len(text)-len(digits)] + string(out)
}

// tone is how a state looks: good, warn, bad or quiet. It is never all that tells a state: its word stands there, too.
func tone(state string) string {
	switch state {
	case "running", "up", "agreed", "delivered", "ok", "repaired", "submitted":
		return "good"
	case "attention", "paused", "silent", "parked", "waiting", "held", "interrupted", "cancelled":
		return "warn"
	case "never-run", "skipped", "discarded", "wanted", "left":
		return "quiet"
	}
	return "bad"
}

// sign is the shape that stands before a state, for whoever cannot tell its colour.
func sign(state string) string {
	return map[string]string{"good": "●", "warn": "▲", "bad": "■", "quiet": "○"}[tone(state)]
}

func list(names []string) string { return strings.Join(names, ", ") }

// State is the word for a state.
func (p *page) State(state string) string {
	if texts["state."+state] == nil {
		return state
	}
	return p.T("state." + state)
}

// Age writes how long something takes or is ago, in two digits or so; "" for nothing.
func (p *page) Age(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	for _, unit := range []struct {
		key     string
		seconds float64
		most    float64 // from here on the next unit is better
	}{{"age.s", 1, 120}, {"age.m", 60, 7200}, {"age.h", 3600, 2 * 86400}} {
		if seconds < unit.most {
			return p.T(unit.key, int64(max(1, math.Round(seconds/unit.seconds))))
		}
	}
	return p.T("age.d", int64(math.Round(seconds/86400)))
}

// Took writes how long a call took.
func (p *page) Took(seconds float64) string {
	switch {
	case seconds <= 0:
		return ""
	case seconds < 1:
		return fmt.Sprintf("%d ms", int64(max(1, math.Round(seconds*1000))))
	}
	return fmt.Sprintf("%.1f s", seconds)
}

// Ago is a moment as its distance from now, with the moment itself for machines and for whoever points at it.
func (p *page) Ago(t *time.Time) template.HTML {
	if t == nil || t.IsZero() {
		return ""
	}
	text := p.T("age.now")
	if d := p.Now.Sub(*t); d >= time.Second {
		text = p.T("age.ago", p.Age(d.Seconds()))
	} else if d <= -time.Second {
		text = p.T("age.in", p.Age(-d.Seconds()))
	}
	return moment(*t, text, "ago")
}

// Moment is a moment as a date and time of UTC; the console's script writes it in the reader's own zone.
func (p *page) Moment(t *time.Time) template.HTML {
	if t == nil || t.IsZero() {
		return ""
	}
	return moment(*t, t.UTC().Format("2006-01-02 15:04:05 UTC"), "at")
}

// Tick is Moment for a time that is no pointer.
func (p *page) Tick(t time.Time) template.HTML { return p.Moment(&t) }

// Since is Ago for a time that is no pointer.
func (p *page) Since(t time.Time) template.HTML { return p.Ago(&t) }

func moment(t time.Time, text, class string) template.HTML {
	iso := t.UTC().Format(time.RFC3339)
	return template.HTML(fmt.Sprintf(`<time class="%s" datetime="%s" title="%s">%s</time>`, class, iso, iso, template.HTMLEscapeString(text)))
}

// Share is a part of deliveries in percent, rounded down: 100 is all.
func (p *page) Share(share *float64) string {
	if share == nil {
		return "–"
	}
	return strconv.FormatFloat(math.Floor(*share*1000)/10, 'f', -1, 64) + "%"
}

// Bars draws counts as a row of bars; those of marked are within them, in another tone. label says the same in words.
func Bars(values, marked []int64, label string) template.HTML {
	const width, height, step = 4, 24, 5
	most := int64(1)
	for _, v := range values {
		most = max(most, v)
	}
	path := func(values []int64) string {
		var b strings.Builder
		for i, v := range values {
			if v <= 0 {
				continue
			}
			h := max(1, math.Round(float64(v)/float64(most)*height*10)/10)
			fmt.Fprintf(&b, "M%d %dh%dv%sh-%dz", i*step, height, width, strconv.FormatFloat(-h, 'f', -1, 64), width)
		}
		return b.String()
	}
	return template.HTML(fmt.Sprintf(`<svg class="bars" viewBox="0 0 %d %d" width="%d" height="%d" preserveAspectRatio="none" role="img" aria-label="%s"><path class="base" d="M0 %d.5H%d"/><path class="all" d="%s"/><path class="marked" d="%s"/></svg>`,
		len(values)*step-1, height+1, len(values)*step-1, height+1, template.HTMLEscapeString(label), height, len(values)*step-1, path(values), path(marked)))
}
