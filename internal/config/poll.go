package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

func (l *loader) poll(f *Flow, raw pollFile, n strictyaml.Node, s *System) *Poll {
	p := &Poll{
		Object: l.object(s, n, raw.Object, f.Entity), Every: raw.Every, Schedule: raw.Schedule, Timezone: raw.Timezone,
		Overlap: raw.Overlap, Limit: raw.Limit,
	}
	l.able(s, n, "cannot be polled", func(a abilities) bool { return a.Poll })
	if l.only(n, "poll", "every", "schedule") {
		l.everySecond(n, raw.Every)
	}
	if n.Has("timezone") && !n.Has("schedule") && !n.Get("deletes").Has("sweep") {
		l.p.AddHint(n.KeyPos("timezone"), "remove it", "timezone means nothing without a schedule")
	}
	l.cron(n.Get("schedule"), n.Get("timezone"))
	if raw.Limit < 0 {
		l.p.Add(n.Get("limit").Pos(), "limit: %d is no number of records", raw.Limit)
	}
	l.overlap(p, n, s)
	if raw.Deletes != nil {
		p.Deletes = l.deletes(*raw.Deletes, n.Get("deletes"), n.Get("timezone"), s)
	}
	return p
}

// everySecond holds every to be a time, and notes where it is shorter than the timetable's shortest: a second.
func (l *loader) everySecond(n strictyaml.Node, every time.Duration) {
	l.positive(n, "every")
	if every > 0 && every < time.Second {
		l.p.Note(n.Get("every").Pos(), "write 1s", "every: %s is carried out once a second: nothing is looked at more often", strictyaml.FormatDuration(every))
	}
}

func (l *loader) deletes(raw deletesFile, n, zone strictyaml.Node, s *System) *Deletes {
	l.able(s, n, "cannot list everything it holds", func(a abilities) bool { return a.List })
	l.cron(n.Get("sweep"), zone)
	return &Deletes{Sweep: raw.Sweep, AtMost: l.atMost(raw.AtMost, n.Get("at-most"))}
}

// overlap notes what can hide a change from the poll: a change that commits late is behind what was read already.
func (l *loader) overlap(p *Poll, n strictyaml.Node, s *System) {
	order := l.ordering(s, p.Object)
	const hint = "give the time of the longest transaction that changes the object, "
	switch order.By {
	case connector.ByStamp:
		switch {
		case !n.Has("overlap"):
			l.p.Note(n.Pos(), hint+"for example overlap: 10m", "poll: the system %q does not prove that it shows changes in the order of their stamps, so every poll looks back %s: overlap does not say how long a change may take to commit", s.Name, strictyaml.FormatDuration(p.Overlap))
		case p.Overlap == 0:
			l.p.Note(n.Get("overlap").Pos(), hint+"or remove the key to look back 10m",
				"overlap: a change that commits after a later one was read is missed, because the system %q does not prove that it shows changes in the order of their stamps", s.Name)
		}
	case connector.ByNumber:
		if order.Back == 0 {
			l.p.Note(n.Pos(), fmt.Sprintf("set %s of the object in the system's settings to how many numbers may be open at a time, for example %s: 1000", order.Setting, order.Setting),
				"poll: the object %q of the system %q goes by numbers, and %s is 0: a change whose number was handed out earlier and that commits after a later one was read is missed", p.Object, s.Name, order.Setting)
		}
	}
}

// ordering is what the system's kind says of the object's order; a kind that says nothing is taken to go by stamps.
func (l *loader) ordering(s *System, object string) connector.Ordering {
	if s == nil || object == "" {
		return connector.Ordering{}
	}
	k, known := l.o.Kinds[s.Kind]
	if !known || !k.Spec().Can.Poll {
		return connector.Ordering{}
	}
	if o, ok := k.(connector.Orderer); ok {
		return o.Ordering(s.Settings, object)
	}
	return connector.Ordering{By: connector.ByStamp}
}

// atMost reads a share or a number.
func (l *loader) atMost(text string, at strictyaml.Node) AtMost {
	a, err := ParseAtMost(text)
	if err != nil {
		l.p.AddHint(at.Pos(), "write a share or a number: 5% or 100", "at-most: %s", err)
	}
	return a
}

// ParseAtMost reads a share in percent, or a number.
func ParseAtMost(text string) (AtMost, error) {
	share, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(share)
	if share != strings.TrimLeft(share, "+-") || err != nil || percent && n > 100 {
		return AtMost{}, fmt.Errorf("%q is neither", shorten(text))
	}
	return AtMost{N: n, Percent: percent}, nil
}

// Of is how many of all that is. A share above 0 is one object at least: a small table may lose a row, too.
func (a AtMost) Of(all int) int {
	if !a.Percent {
		return a.N
	}
	if a.N == 0 {
		return 0
	}
	return max(1, all/100*a.N+all%100*a.N/100)
}

func (a AtMost) String() string {
	if a.Percent {
		return strconv.Itoa(a.N) + "%"
	}
	return strconv.Itoa(a.N)
}
