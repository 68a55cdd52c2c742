package store

import (
	"cmp"
	"context"
	"database/sql"

	"github.com/waybill-hub/waybill/internal/state"
)

// OpenIntent stores that a call is about to be made; it stands until a Commit closes it. Opening it again stamps it anew. Under an old
// epoch it is refused with state.ErrFenced, so that a hub which has lost its partition makes no call. Hubs that share a database may claim the
// object for the call: while another hub's claim stands it is refused with a *state.Claimed. A claim ends with its intent, when a Commit
// leaves it, and when the partition under which it was made has another owner.
func (s *Store) OpenIntent(ctx context.Context, in state.Intent) error {
	return s.submit(ctx, &member{op: "open intent", kind: anIntent, intent: &intention{in}, rows: 1})
}

// intention is one call of OpenIntent.
type intention struct{ in state.Intent }

const intentCols = "flow, entity, hub, system, event_id, is_create, external, opened, begun, topic, part, epoch, claim"

func scanIntent(r *sql.Rows) (in state.Intent, err error) {
	var create, opened, begun, claim int64
	err = r.Scan(&in.Flow, &in.Entity, &in.Hub, &in.System, &in.EventID, &create, &in.External, &opened, &begun, &in.Topic, &in.Partition, &in.Epoch, &claim)
	in.Create, in.Opened, in.Begun, in.Claim = create != 0, unstamp(opened), unstamp(begun), claim != 0
	return in, err
}

// OpenIntents lists the intents of a flow, or of all flows when it is empty, oldest first: calls whose outcome is not stored.
func (s *Store) OpenIntents(ctx context.Context, flow string, limit int) ([]state.Intent, error) {
	out, err := s.intents(ctx, "SELECT "+intentCols+" FROM intents WHERE flow = ? OR ? = '' ORDER BY opened LIMIT CAST(? AS INTEGER)", flow, flow, bound(limit))
	return out, s.wrap("open intents", err)
}

// Intents are all intents of a flow.
func (s *Store) Intents(ctx context.Context, flow string) ([]state.Intent, error) {
	out, err := s.intents(ctx, "SELECT "+intentCols+" FROM intents WHERE flow = ?", flow)
	return out, s.wrap("intents", err)
}

func (s *Store) intents(ctx context.Context, q string, args ...any) ([]state.Intent, error) {
	var out []state.Intent
	err := s.each(ctx, func(r *sql.Rows) error {
		in, err := scanIntent(r)
		out = append(out, in)
		return err
	}, q, args...)
	return out, err
}

func (t *tx) openIntents(members []*member) error {
	members, err := t.claims(members)
	if err != nil {
		return err
	}
	last := map[intentKey]*state.Intent{}
	for _, m := range members {
		last[cleanKey(intentKeyOf(&m.intent.in))] = &m.intent.in
	}
	values := make([]any, 0, 12*len(last))
	for _, k := range sortedKeys(last, compareIntentKeys) {
		in := last[k]
		opened := stamp(in.Opened)
		if opened == 0 {
			opened = t.now
		}
		values = append(values, k.entity, k.hub, k.system, k.event, in.Flow, b2i(in.Create), in.External, opened, in.Topic, in.Partition, in.Epoch,
			b2i(in.Claim && t.d == postgres))
	}
	done := map[intentKey]bool{}
	err = t.chunks(12, values, func(table string, args []any) error {
		// Whether the epoch is the present one, and what is written because it is, is one statement. A new owner of the partition has to wait
		// until that is committed: one who did not would see no intent, and create what this hub is about to create.
		return t.each(func(r *sql.Rows) error {
			var k intentKey
			err := r.Scan(&k.entity, &k.hub, &k.system, &k.event)
			done[k] = true
			return err
		}, `WITH v AS (SELECT * FROM (`+table+`) AS v), p AS (SELECT flow, topic, part, epoch FROM partitions
				WHERE (flow, topic, part) IN (SELECT column5, column9, column10 FROM v WHERE column11 <> 0) ORDER BY flow, topic, part`+t.d.forShare()+`)
			INSERT INTO intents (entity, hub, system, event_id, flow, is_create, external, opened, topic, part, epoch, claim, begun) SELECT v.*, column8 FROM v
			WHERE column11 = 0 OR EXISTS (SELECT 1 FROM p WHERE p.flow = column5 AND p.topic = column9 AND p.part = column10 AND p.epoch = column11)
			ON CONFLICT (entity, hub, system, event_id) DO UPDATE SET flow = excluded.flow, is_create = CASE WHEN intents.is_create = 1 THEN 1 ELSE excluded.is_create END,
			external = excluded.external, opened = excluded.opened, topic = excluded.topic, part = excluded.part, epoch = excluded.epoch, claim = excluded.claim
			RETURNING entity, hub, system, event_id`, args...)
	})
	if err != nil {
		return err
	}
	for k, in := range last {
		if done[k] && t.s.remembered != nil {
			now := state.Intent{Flow: cleanText(in.Flow), Entity: k.entity, Hub: k.hub, System: k.system, EventID: k.event, Create: in.Create, External: cleanText(in.External),
				Opened: unstamp(cmp.Or(stamp(in.Opened), t.now)), Begun: unstamp(cmp.Or(stamp(in.Opened), t.now)), Topic: cleanText(in.Topic), Partition: in.Partition, Epoch: in.Epoch}
			t.note(func(m *remembered) { m.openIntent(&now) })
		}
	}
	for _, m := range members {
		if in := &m.intent.in; !done[cleanKey(intentKeyOf(in))] {
			m.err = refuse(state.ErrFenced, "flow %s, %s/%d", in.Flow, in.Topic, in.Partition)
		}
	}
	return nil
}

func cleanKey(k intentKey) intentKey {
	return intentKey{cleanText(k.entity), cleanText(k.hub), cleanText(k.system), cleanText(k.event)}
}

// claims refuses members whose object another hub has claimed, ends claims that nobody stands behind any more, and gives the members that
// may go on. Two hubs that claim one object at the same time collide on the unique key: the later one's transaction is run
// again and then finds the first.
func (t *tx) claims(members []*member) ([]*member, error) {
	wanted := map[object]bool{}
	for _, m := range members {
		if in := &m.intent.in; in.Claim && t.d == postgres {
			wanted[objectOf(in)] = true
		}
	}
	if len(wanted) == 0 {
		return members, nil
	}
	var keys []any
	for _, o := range sortedKeys(wanted, compareObjects) {
		keys = append(keys, o.entity, o.hub, o.system)
	}
	held := map[object]*state.Intent{}
	var parts []partKey
	l := looking{cols: intentCols, table: "intents", key: []string{"entity", "hub", "system"}, keys: keys, where: " AND claim = 1"}
	err := t.look(l, func(r *sql.Rows) error {
		in, err := scanIntent(r)
		held[objectOf(&in)] = &in
		parts = append(parts, partKey{in.Flow, in.Topic, in.Partition})
		return err
	})
	if err != nil {
		return nil, err
	}
	epochs, err := t.epochs(parts)
	if err != nil {
		return nil, err
	}
	over := map[intentKey]bool{}
	live := members[:0:0]
	for _, m := range members {
		in := &m.intent.in
		by := held[objectOf(in)]
		mine := by != nil && by.EventID == cleanText(in.EventID)
		switch {
		case !in.Claim:
		case in.Again && (!mine || by.Epoch != in.Epoch):
			if by == nil {
				by = in
			}
			m.err = &refusal{&state.Claimed{By: *by}}
			continue
		case by == nil || mine:
		case dead(by, in, epochs):
			over[intentKeyOf(by)] = true
		default:
			m.err = &refusal{&state.Claimed{By: *by}}
			continue
		}
		live = append(live, m)
	}
	return live, t.leaveClaims(over)
}

// dead tells a claim that another may take: its partition has another owner, it is of the asker's own partition, whose only owner he is,
// or it is the one that he has seen stand for too long.
func dead(by, in *state.Intent, epochs map[partKey]int64) bool {
	at := partKey{by.Flow, by.Topic, by.Partition}
	return epochs[at] != by.Epoch || at == partKey{cleanText(in.Flow), cleanText(in.Topic), in.Partition} ||
		in.Over != nil && in.Over.EventID == by.EventID && in.Over.Opened.Equal(by.Opened)
}

func (t *tx) epochs(parts []partKey) (map[partKey]int64, error) {
	out := map[partKey]int64{}
	seen := map[partKey]bool{}
	var keys []any
	for _, k := range parts {
		if !seen[k] {
			seen[k] = true
			keys = append(keys, k.flow, k.topic, k.part)
		}
	}
	l := looking{cols: "flow, topic, part, epoch", table: "partitions", key: []string{"flow", "topic", "part"}, keys: keys}
	err := t.look(l, func(r *sql.Rows) error {
		var k partKey
		var epoch int64
		err := r.Scan(&k.flow, &k.topic, &k.part, &epoch)
		out[k] = epoch
		return err
	})
	return out, err
}

// leaveClaims ends claims whose intents stay open.
func (t *tx) leaveClaims(intents map[intentKey]bool) error {
	if t.d != postgres {
		return nil
	}
	keys := make([]any, 0, 4*len(intents))
	for _, k := range sortedKeys(intents, compareIntentKeys) {
		keys = append(keys, k.entity, k.hub, k.system, k.event)
	}
	return t.execIn("UPDATE intents SET claim = 0 WHERE ", "entity, hub, system, event_id", 4, keys, "")
}

// closeIntents ends intents and tells on which pairs create intents ended.
func (t *tx) closeIntents(closes map[intentKey]bool) (map[pair]bool, error) {
	var one, every []any
	for _, k := range sortedKeys(closes, compareIntentKeys) {
		k = cleanKey(k)
		t.note(func(m *remembered) { m.closeIntent(k) })
		if k.event == "" {
			every = append(every, k.entity, k.hub, k.system)
		} else {
			one = append(one, k.entity, k.hub, k.system, k.event)
		}
	}
	created := map[pair]bool{}
	scan := func(r *sql.Rows) error {
		var p pair
		var create int64
		err := r.Scan(&p.entity, &p.system, &create)
		if create != 0 {
			created[p] = true
		}
		return err
	}
	if err := t.eachIn(scan, "DELETE FROM intents WHERE ", "entity, hub, system", 3, every, " RETURNING entity, system, is_create"); err != nil {
		return nil, err
	}
	err := t.eachIn(scan, "DELETE FROM intents WHERE ", "entity, hub, system, event_id", 4, one, " RETURNING entity, system, is_create")
	return created, err
}

type object = refKey

var compareObjects = compareRefKeys

func objectOf(in *state.Intent) object {
	return object{cleanText(in.Entity), cleanText(in.Hub), cleanText(in.System)}
}
