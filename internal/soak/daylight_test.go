package soak

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/zones"
)

// The polled system is read by three cron lines: each minute, in the night that a change of the clocks makes shorter or longer, and in a
// zone without changes.
const daylightFlows = `---
flow: %P%products
entity: product
from: {system: people, poll: {schedule: "* * * * *", timezone: Europe/Berlin}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.product}
---
flow: %P%shipments
entity: shipment
from: {system: people, poll: {schedule: "30 2 * * *", timezone: Europe/Berlin}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.shipment}
---
flow: %P%invoices
entity: invoice
from: {system: people, poll: {schedule: "30 8,9 * * *", timezone: Asia/Shanghai}}
accept: soak/thing.v1
key: source.no
map: soak-customer
to: {topic: %P%canonical.invoice}
`

const daylightTo = `---
flow: %P%@s-to-alpha
entity: @
from: {topic: %P%canonical.@}
map: soak-customer
to: {system: parts}
retry: {for: %FOR%, backoff: 50ms..2s}
`

// daylight is a night in which the clocks change, or the one after, as the hub lives it. Its clock is set from one interesting minute to
// the next; dues says, apart from the hub, when each entity is to be read.
type daylight struct {
	*world
	b     *budget
	h     *hub
	clock *wallClock
	dues  map[string][]time.Time
	shows []stretch
	made  int
}

// stretch is a time, by the hub's clock, that a hub was there for.
type stretch struct{ from, to time.Time }

// bothDaylightDays: cron lines keep to what the documents say of the days on which the clocks change. Each minute is read straight
// through both changes; 02:30 once on each day, at 03:00 where it does not exist and the first time where it comes twice; a zone without
// changes knows nothing of it. A hub that is killed and started again in the hour that comes twice does not read 02:30 again, and one
// that was down at the first 02:30 makes up for it once.
func bothDaylightDays(b *budget) {
	for n := 0; b.more(2); n++ {
		b.happened(b.night(n%3 == 0, n%3 == 2))
	}
}

// night lives the next night in which the clocks go forward (spring) or back; down: without a hub at the first 02:30. Months lie between
// two of them, so each has a world of its own.
func (b *budget) night(spring, down bool) time.Duration {
	berlin, err := zones.Load("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	change := nextChange(berlin, spring)
	d := &daylight{b: b, dues: map[string][]time.Time{}}
	d.world = newWorld(b.T, b.setup, func(p *project) {
		p.Extra += daylightFlows
		for _, entity := range daylightEntities {
			p.Extra += strings.ReplaceAll(daylightTo, "@", entity)
		}
		p.Env = append(p.Env, "TZ=Europe/Berlin")
		d.clock = newClock(b.T, p)
	})
	d.h = d.hub()
	d.systems()

	// 02:30 exists in the night of the spring change only as the end of the jump. In autumn the first one is meant, half an hour before the
	// clocks go back.
	begin := change.Add(-40 * time.Minute)
	nightly := change
	if !spring {
		nightly = change.Add(-30 * time.Minute)
	}
	y, m, day := change.In(berlin).Date()
	next := time.Date(y, m, day+1, 2, 30, 0, 0, berlin)
	for at := begin; !at.After(next.Add(time.Minute)); at = at.Add(time.Minute) {
		d.dues["product"] = append(d.dues["product"], at)
		if utc := at.UTC(); at.Equal(begin) || utc.Minute() == 30 && (utc.Hour() == 0 || utc.Hour() == 1) { // 08:30 and 09:30 in Shanghai
			d.dues["invoice"] = append(d.dues["invoice"], at)
		}
	}
	d.dues["shipment"] = []time.Time{begin, nightly, next} // what was never read is read at once

	for _, entity := range daylightEntities {
		d.person(entity)
	}
	d.clock.set(begin)
	d.h.start()
	d.shown()
	for _, entity := range daylightEntities {
		d.asked(entity, begin)
	}
	many := d.background(load{Rate: 50, Keys: 20})
	orders := d.background(load{Entity: "order", Rate: 20, Keys: 20, Customer: customerOf})
	took := time.Duration(0)
	stop := func(offsets ...int) {
		for _, minutes := range offsets {
			d.minute(change.Add(time.Duration(minutes) * time.Minute))
		}
	}
	switch {
	case spring:
		stop(-30, -1, 0, 1, 30)
	case !down:
		stop(-31, -30, -29, -1, 0)
		took = d.without(change.Add(10 * time.Minute))
		stop(29, 30, 31, 60)
	default:
		stop(-31)
		took = d.without(change.Add(10 * time.Minute))
		stop(29, 30, 31, 60)
	}
	d.minute(next)
	many()
	orders()
	d.quiet(time.Minute)
	d.close()
	for _, entity := range daylightEntities {
		d.check(entity)
	}
	// A clock that is set back by an hour makes what is due each minute not rest for an hour.
	d.clock.set(next.Add(-time.Hour - 3*time.Second))
	no := d.person("product")
	d.h.await("a product, made behind a step back, at its target", time.Minute, func() bool { return d.targets["alpha"].newest("product")[no] > 0 })
	d.quiet(time.Minute)
	b.judge(d.world, rules{Targets: map[string][]string{"alpha": append([]string{"customer", "order"}, daylightEntities...), "beta": {"customer"}}})
	b.notPoisoned(d.world, d.h)
	if code := d.h.stop(); code != 0 {
		b.Errorf("an orderly stop exits %d", code)
	}
	return took
}

var daylightEntities = []string{"product", "shipment", "invoice"}

// nextChange is the next instant from which the zone's clocks go forward, or back.
func nextChange(zone *time.Location, forward bool) time.Time {
	for at := time.Now().In(zone); ; {
		_, end := at.ZoneBounds()
		_, before := end.Add(-time.Second).Zone()
		if _, after := end.Zone(); after != before && (after > before) == forward { // a stretch may end with the year
			return end
		}
		at = end
	}
}

// systems adds the system that is read and the one that is written.
func (d *daylight) systems() {
	text, err := os.ReadFile(d.h.file)
	if err != nil {
		d.b.Fatal(err)
	}
	s := string(text) // it ends with the systems
	for _, sys := range [][2]string{{"people", "beta"}, {"parts", "alpha"}} {
		s += fmt.Sprintf(wideRest, sys[0], d.targets[sys[1]].url())
		for _, entity := range daylightEntities {
			s += fmt.Sprintf(wideObject, entity)
		}
	}
	if err := os.WriteFile(d.h.file, []byte(s), 0o644); err != nil {
		d.b.Fatal(err)
	}
}

// set sets the clock; a hub that is there sees no more of the old time, and some of the new one.
func (d *daylight) set(to time.Time) {
	d.b.Helper()
	d.close()
	d.clock.set(to)
	d.shown()
}

// shown begins a stretch, with what the hub's clock shows now; close ends it.
func (d *daylight) shown() {
	d.shows = append(d.shows, stretch{from: d.clock.shown(time.Now())})
}

func (d *daylight) close() {
	if n := len(d.shows); n > 0 && d.shows[n-1].to.IsZero() {
		d.shows[n-1].to = d.clock.shown(time.Now())
	}
}

// minute lets the hub live the turn to a minute. What people have made before arrives where it is due then.
func (d *daylight) minute(at time.Time) {
	d.b.Helper()
	due := map[string]string{}
	for _, entity := range daylightEntities {
		if slices.ContainsFunc(d.dues[entity], at.Equal) {
			due[entity] = d.person(entity)
		}
	}
	// What is jumped over is made up for first.
	last, before := d.clock.shown(time.Now()), at.Add(-20*time.Second)
	if last.Before(before) {
		d.set(before)
		d.madeUp(last, before)
	}
	d.set(at.Add(-time.Second))
	for entity, no := range due {
		d.asked(entity, at)
		d.h.await(fmt.Sprintf("%s, made before %s, at its target", no, at), time.Minute, func() bool {
			return d.targets["alpha"].newest(entity)[no] > 0
		})
	}
}

// person makes an object in the system that is read, and gives its number.
func (d *daylight) person(entity string) string {
	d.b.Helper()
	d.made++
	n := thing{No: fmt.Sprintf("%s%d", strings.ToUpper(entity[:1]), d.made), Seq: 1, Text: "made by a person"}
	d.ledger.try(entity, []thing{n})
	if _, err := d.targets["beta"].person(d.b.Context(), entity, "", map[string]any{"no": n.No, "seq": n.Seq, "text": n.Text}); err != nil {
		d.b.Fatal(err)
	}
	d.ledger.promise(entity, []thing{n})
	return n.No
}

// without kills the hub and starts it when its clock shows a later time; it gives the time that the start took.
func (d *daylight) without(until time.Time) time.Duration {
	d.b.Helper()
	d.delivered(10, time.Minute)
	d.close()
	last := d.clock.shown(time.Now())
	d.h.kill()
	d.bury()
	d.clock.set(until)
	took := d.h.start()
	d.shown()
	d.madeUp(last, until)
	return took
}

// madeUp waits until what was due after a time, and before now, has been read since now.
func (d *daylight) madeUp(after, now time.Time) {
	d.b.Helper()
	for _, entity := range daylightEntities {
		if slices.ContainsFunc(d.dues[entity], func(due time.Time) bool { return due.After(after) && !due.After(now) }) {
			d.asked(entity, now)
		}
	}
}

// asked waits until an entity has been read at a time of the hub's clock or later.
func (d *daylight) asked(entity string, since time.Time) {
	d.b.Helper()
	d.h.await(fmt.Sprintf("the system is asked for each %s at %s", entity, since), time.Minute, func() bool { return d.read(entity, since) })
	time.Sleep(overSoon)
}

// read tells whether an entity has been read at a time of the hub's clock or later, and that the hub has committed it.
func (d *daylight) read(entity string, since time.Time) bool {
	all := d.reads(entity)
	return len(all) > 0 && !all[len(all)-1].Before(since) && !d.readUntil(entity+"s").Before(all[len(all)-1])
}

// reads gives when the system was asked for an entity, by the hub's clock.
func (d *daylight) reads(entity string) []time.Time {
	var out []time.Time
	for _, at := range d.targets["beta"].asked()[entity] {
		out = append(out, d.clock.shown(at))
	}
	return out
}

// check compares when an entity was read with when it was due: once for each time that the hub lived to see, and once for all that it
// missed before it was there again.
func (d *daylight) check(entity string) {
	d.b.Helper()
	reads, dues := d.reads(entity), d.dues[entity]
	told := func() (s string) {
		for _, at := range reads {
			s += at.UTC().Format(" 02T15:04:05.0")
		}
		return s
	}
	count := 0
	for i, due := range dues {
		end := due.Add(24 * time.Hour)
		if i+1 < len(dues) {
			end = dues[i+1]
		}
		n := 0
		for _, at := range reads {
			if !at.Before(due) && at.Before(end) {
				n++
			}
		}
		count += n
		if want := d.expected(due, end); n != want {
			d.b.Errorf("%s: read %d times, rather than %d, for having been due at %s; all in UTC:%s", entity, n, want, due.UTC().Format(time.RFC3339), told())
		}
	}
	if count != len(reads) {
		d.b.Errorf("%s: %d of %d reads are of no time that it was due at:%s", entity, len(reads)-count, len(reads), told())
	}
}

// expected is how often something is read that is due at a time, and next at end.
func (d *daylight) expected(due, end time.Time) int {
	for _, s := range d.shows {
		switch {
		case s.to.Before(due):
			continue
		case !s.from.After(due): // the hub was there
			return 1
		case !s.from.Before(end): // the next one was missed as well
			return 0
		}
		return 1 // it was missed, or jumped over
	}
	return 0
}
