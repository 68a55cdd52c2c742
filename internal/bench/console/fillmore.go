package console

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// stop is a cause that has stopped messages of a flow.
type stop struct {
	of                 *kind
	kind, code, reason string
	cause              string
}

// causes are some dozens, of every kind.
func causes() (all []stop) {
	add := func(i int, kind, code, reason string) {
		s := stop{of: &kinds[i%len(kinds)], kind: kind, code: code, reason: reason}
		s.cause, _ = state.CauseOf(&state.Queued{Kind: kind, Code: code, Reason: reason})
		all = append(all, s)
	}
	for i, field := range strings.Fields("name street city phone email note reference contact carrier incoterm terms unit") {
		add(i, "invalid", "create/422", "422: the value of "+field+" is longer than the column")
		add(i, "schema", "required/"+field, field+" is required and is not there")
		add(i, "mapping", "value:units/shop/"+field, "the value map units knows no code for "+field+" of shop")
		add(i+3, "conflict", "update/409", "409: "+field+" was changed by somebody else")
	}
	return all
}

// blob makes bytes of a text.
func (f *filler) blob(x string) string {
	if f.postgres {
		return "convert_to(" + x + ", 'UTF8')"
	}
	return "CAST(" + x + " AS BLOB)"
}

const queueCols = `id, flow, topic, part, lane, state, blocking, follower, kind, reason, code, m_entity, m_system, m_hub, m_local, m_intents,
	event_id, ekey, hub, event, data, original, attempts, since, not_before, mark, marked_by, mark_note, cause, tried, accepted, fold`

// queue fills in what is parked: every tenth message queues behind the one before it. A twentieth as many wait for a customer that is nowhere yet.
func (f *filler) queue(ctx context.Context) error {
	all := causes()
	var rows []string
	for i, c := range all {
		rows = append(rows, fmt.Sprintf("(%d, '%s', '%s', '%s', '%s', '%s', '%s', '%s', %d, %d)", i, c.of.out(), c.of.topic(), c.of.entity, c.kind, c.code, c.reason, c.cause, firstOf(c.of.entity), c.of.share))
	}
	first, err := f.number(ctx, "SELECT COALESCE(MAX(id), 0) + 1 FROM queue")
	if err != nil {
		return err
	}
	step := int64(historyDays*24*time.Hour) / f.parked
	text := func(state, missing, source string) string {
		since := fmt.Sprintf("(%d - (%d - n) * %d)", f.now.UnixNano(), 2*f.parked, step/2)
		event := `'{"id":"' || event_id || '","source":"/shop","entity":"' || entity || '","operation":"upsert","key":"' || ekey || '","hub":"' || hub || '","version":"3"}'`
		data := `('{"number":"' || ekey || '","rev":3,"name":"' || name || '"}')`
		return "INSERT INTO queue (" + queueCols + ") SELECT " + fmt.Sprint(first) + " + n, flow, topic, 0, ekey || '/' || CAST(head AS TEXT), '" + state + "', 1, n - head, kind, reason, code, " + missing + ", 0, event_id, ekey, hub, " + event + ", " + f.blob(data) +
			", NULL, 1, " + since + ", 0, '', '', '', cause, 0, " + since + ", lower(ekey) FROM (SELECT *, " + f.key("o") + " AS ekey, " + f.hub("o") + " AS hub, " + f.name("o") + " AS name, 'wait_' || " + f.hex(scattered("n")) + " || '_' || CAST(n AS TEXT) AS event_id FROM (" + source + ") AS h) AS x"
	}
	// The first causes are met more often than the last.
	source := fmt.Sprintf(`WITH cause (i, flow, topic, entity, kind, code, reason, cause, low, share) AS (VALUES %[1]s)
		SELECT n, head, c.*, (head * 100 + head / 1000 %% c.share) %% %[2]d + c.low AS o FROM (SELECT n, n - n %% 10 / 9 AS head FROM {numbers} AS g) AS k
		JOIN cause c ON c.i = (head * 7919 %% %[3]d) * (head * 104729 / 10 %% %[3]d) / %[3]d`, strings.Join(rows, ", "), f.numberOfObjects()/100*100, len(all))
	if err := f.lots(ctx, "parked", f.parked, text("parked", "'', '', '', ''", source)); err != nil {
		return err
	}
	order := &kinds[0]
	w := state.Queued{Kind: "xref", Code: "requires/customer/crm", Reason: "the customer is not in crm yet"}
	cause, _ := state.CauseOf(&w)
	waiting := fmt.Sprintf("SELECT n, n AS head, '%s' AS flow, '%s' AS topic, '%s' AS entity, '%s' AS kind, '%s' AS code, '%s' AS reason, '%s' AS cause, n * 100 %% %d AS o FROM (SELECT n + %d AS n FROM {numbers} AS g) AS k",
		order.out(), order.topic(), order.entity, w.Kind, w.Code, w.Reason, cause, f.numberOfObjects()/100*100, f.parked)
	return f.lots(ctx, "waiting", f.parked/20, text("waiting", "'customer', 'crm', 'none-' || CAST(n AS TEXT), ''", waiting))
}

// acts: edits of a tenth of the parked messages, and a hundredth as many acts of people as there are fates.
func (f *filler) acts(ctx context.Context) error {
	first, err := f.number(ctx, "SELECT COALESCE(MAX(id), 0) + 1 FROM acts")
	if err != nil {
		return err
	}
	lowest, err := f.number(ctx, "SELECT MIN(id) FROM queue")
	if err != nil {
		return err
	}
	who := of("n % 5", []string{"ann", "bob", "li wei", "chris", "dana"})
	edits := f.parked / 10
	err = f.lots(ctx, "acts", edits, fmt.Sprintf(`INSERT INTO acts (id, time, flow, message, event_id, ekey, hub, action, who, note, bulk, prior, edited)
		SELECT %d + n, q.since + 1000000000, q.flow, q.id, q.event_id, q.ekey, q.hub, 'edit', %s, 'shortened', 0, q.data, q.data FROM {numbers} AS g JOIN queue q ON q.id = %d + n * 10`, first, who, lowest))
	if err != nil {
		return err
	}
	at, err := f.number(ctx, "SELECT COALESCE(MAX(id), 0) + 1 FROM audit")
	if err != nil {
		return err
	}
	n := max(f.rows/100, edits)
	step := int64(historyDays*24*time.Hour) / n
	action := of("n * 7919 % 6", []string{"replay", "discard", "sign-in", "pause", "resume", "read"})
	return f.lots(ctx, "audit", n, fmt.Sprintf(`INSERT INTO audit (id, time, who, action, object, detail, was, became, act)
		SELECT %d + n, %d - (%d - n) * %d, %s, CASE WHEN n < %d THEN 'edit' ELSE %s END, 'message/' || CAST(%d + n * 10 AS TEXT), 'as agreed with the warehouse', '', '', CASE WHEN n < %d THEN %d + n ELSE 0 END FROM {numbers} AS g`,
		at, f.now.UnixNano(), n, step, who, edits, action, lowest, edits, first))
}

// goneFlow is a flow that the files do not have any more: what it was sent is in the inbox, and nobody reads it.
const goneFlow = "returns-in"

func (f *filler) deliveries(ctx context.Context) error {
	first, err := f.number(ctx, "SELECT COALESCE(MAX(seq), 0) + 1 FROM inbox")
	if err != nil {
		return err
	}
	n := f.rows / 500
	err = f.lots(ctx, "inbox", n, fmt.Sprintf(`INSERT INTO inbox (seq, flow, id, delivery_id, headers, body, trace, received, ekey, places, fold)
		SELECT %d + n, '%s', 'ret_' || CAST(n AS TEXT), 'ret_' || CAST(n AS TEXT), '{}', %s, '', %d - (%d - n) * 1000000000, '', NULL, '' FROM {numbers} AS g`,
		first, goneFlow, f.blob(`'{"number":"RE-' || CAST(n AS TEXT) || '","rev":1,"name":"back to the shop"}'`), f.now.UnixNano(), n))
	if err != nil {
		return err
	}
	slot := f.now.Unix() / 300
	for _, flow := range flowNames() {
		err := f.lots(ctx, "deliveries", 288, fmt.Sprintf("INSERT INTO timely (flow, slot, delivered, late) SELECT '%s', %d - n, 100 + n %% 37, n %% 3 FROM {numbers} AS g WHERE n > 0 ON CONFLICT (flow, slot) DO NOTHING", flow, slot))
		if err != nil {
			return err
		}
	}
	return nil
}

// runs are those of polls and sweeps that the flows have had.
func (f *filler) runs(ctx context.Context) error {
	first, err := f.number(ctx, "SELECT COALESCE(MAX(id), 0) + 1 FROM runs")
	if err != nil {
		return err
	}
	n := f.rows / 1000
	return f.lots(ctx, "runs", n, fmt.Sprintf("INSERT INTO runs (id, kind, name, started, finished, state, detail, n) SELECT %d + n, 'poll', %s, %d - (%d - n) * 60000000000, %d - (%d - n) * 60000000000 + 1000000, 'ok', '', n %% 50 FROM {numbers} AS g",
		first, of("n % 8", flowNames()[:8]), f.now.UnixNano(), n, f.now.UnixNano(), n))
}

// counters: the numbers that are given next, and what the flows have finished: the equation holds.
func (f *filler) counters(ctx context.Context) error {
	for table, col := range map[string]string{"journal": "id", "queue": "id", "audit": "id", "acts": "id", "runs": "id", "inbox": "seq", "search_objects": "object"} {
		name := strings.TrimSuffix(table, "_objects")
		q := fmt.Sprintf("INSERT INTO counters (name, value) SELECT '%s', MAX(%s) + 1000 FROM %s WHERE 1 = 1 ON CONFLICT (name) DO UPDATE SET value = CASE WHEN counters.value > excluded.value THEN counters.value ELSE excluded.value END", name, col, table)
		if f.postgres {
			q = fmt.Sprintf("SELECT setval('%s_ids', (SELECT MAX(%s) + 1000 FROM %s))", name, col, table)
		}
		if err := f.do(ctx, q); err != nil {
			return err
		}
	}
	topic := byFlow(func(k *kind) string { return k.topic() })
	for _, q := range []string{
		fmt.Sprintf(`INSERT INTO totals (flow, topic, part, outcome, reason, n, newest) SELECT flow, %s, 0, outcome, reason, COUNT(*), MAX(time) FROM journal WHERE id > %d AND outcome <> 'parked' GROUP BY flow, outcome, reason
			ON CONFLICT (flow, topic, part, outcome, reason) DO UPDATE SET n = totals.n + excluded.n`, topic, f.base),
		`UPDATE partitions SET finished = (SELECT COALESCE(SUM(n), 0) FROM totals t WHERE t.flow = partitions.flow AND t.topic = partitions.topic AND t.part = partitions.part AND t.outcome <> 'retried')
			+ (SELECT COUNT(*) FROM queue q WHERE q.flow = partitions.flow AND q.topic = partitions.topic AND q.part = partitions.part)`,
	} {
		if err := f.do(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// byFlow picks a value by the flow of a row.
func byFlow(value func(*kind) string) string {
	var b strings.Builder
	b.WriteString("CASE flow")
	for i := range kinds {
		fmt.Fprintf(&b, " WHEN '%s' THEN '%s'", kinds[i].out(), value(&kinds[i]))
	}
	return b.String() + " ELSE '' END"
}

// statistics does what a PostgreSQL does by itself in time.
func (f *filler) statistics(ctx context.Context) error {
	if f.postgres {
		return f.do(ctx, "VACUUM ANALYZE")
	}
	return nil
}
