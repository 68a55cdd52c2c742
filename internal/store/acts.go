package store

import (
	"context"
	"database/sql"

	"github.com/waybill-hub/waybill/internal/state"
)

const actCols = "time, flow, message, event_id, ekey, hub, action, who, note, bulk"

// discardedAction tells that a message has gone for good; the wish came before, as a discard.
const discardedAction = "discarded"

func actsOf(ctx context.Context, db queryer, d dialect, q string, args ...any) ([]state.Act, error) {
	var out []state.Act
	err := eachOf(ctx, db, d, func(r *sql.Rows) error {
		var a state.Act
		var at int64
		err := r.Scan(&at, &a.Flow, &a.Message, &a.EventID, &a.Key, &a.Hub, &a.Action, &a.Who, &a.Note, &a.Bulk, &a.Before, &a.After)
		a.Time = unstamp(at)
		out = append(out, a)
		return err
	}, q, args...)
	return out, err
}

// Acts tells what people did to one message of the stored queue, oldest first, also when it has gone.
func (s *Store) Acts(ctx context.Context, message int64) ([]state.Act, error) {
	out, err := actsOf(ctx, s.read, s.d, "SELECT "+actCols+", prior, edited FROM acts WHERE message = ? ORDER BY id LIMIT 1000", message)
	return out, s.wrap("acts", err)
}

// record writes acts; their time is the transaction's.
func (t *tx) record(acts ...state.Act) error {
	_, err := t.recorded(acts...)
	return err
}

// recorded is record, and gives the numbers of the acts.
func (t *tx) recorded(acts ...state.Act) ([]int64, error) {
	if len(acts) == 0 {
		return nil, nil
	}
	ids, err := t.ids("acts", len(acts))
	if err != nil {
		return nil, err
	}
	values := make([]any, 0, 13*len(acts))
	for i := range acts {
		a := &acts[i]
		values = append(values, ids[i], t.now, a.Flow, a.Message, a.EventID, a.Key, a.Hub, a.Action, a.Who, a.Note, a.Bulk, a.Before, a.After)
	}
	return ids, t.insert("INSERT INTO acts (id, "+actCols+", prior, edited)", 13, values, "")
}

// keepGiven keeps the documents of rows that leave because a person has given them up.
func (t *tx) keepGiven(ids []any) error {
	if len(ids) == 0 {
		return nil
	}
	var acts []state.Act
	err := t.eachIn(func(r *sql.Rows) error {
		a := state.Act{Action: discardedAction}
		err := r.Scan(&a.Message, &a.Flow, &a.EventID, &a.Key, &a.Hub, &a.Who, &a.Note, &a.Before)
		acts = append(acts, a)
		return err
	}, "SELECT id, flow, event_id, ekey, hub, marked_by, mark_note, data FROM queue WHERE ", "id", 1, ids, "")
	if err != nil {
		return err
	}
	return t.record(acts...)
}
