package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/waybill-hub/waybill/internal/state"
)

const logCols = "topic, life, cluster, topic_id, base, ends, foreigners"

func scanLog(r *sql.Rows) (l state.TopicLog, err error) {
	var ends string
	var others int64
	if err := r.Scan(&l.Topic, &l.Life, &l.Cluster, &l.TopicID, &l.Base, &ends, &others); err != nil {
		return l, err
	}
	l.Foreign = others != 0
	if err := json.Unmarshal([]byte(ends), &l.Ends); err != nil {
		return l, fmt.Errorf("ends of %s: %w: %w", l.Topic, errTorn, err)
	}
	return l, nil
}

// Logs is what is known of the topics' logs, by topic.
func (s *Store) Logs(ctx context.Context) (map[string]state.TopicLog, error) {
	out := map[string]state.TopicLog{}
	err := s.each(ctx, func(r *sql.Rows) error {
		l, err := scanLog(r)
		out[l.Topic] = l
		return err
	}, "SELECT "+logCols+" FROM logs")
	return out, s.wrap("logs", err)
}

// NoteLogs records logs as they were seen: one that is not known becomes known, and of one that is known by the same ids and
// life the ends rise. Others are left as they are.
func (s *Store) NoteLogs(ctx context.Context, seen []state.TopicLog) error {
	return s.do(ctx, "note logs", func(t *tx) error {
		for _, l := range slices.SortedFunc(slices.Values(seen), func(a, b state.TopicLog) int { return cmp.Compare(a.Topic, b.Topic) }) {
			have, err := t.topicLog(l.Topic)
			if err != nil {
				return err
			}
			if have == nil {
				have = &state.TopicLog{Topic: l.Topic, Cluster: l.Cluster, TopicID: l.TopicID}
			}
			if have.Cluster != l.Cluster && have.Cluster != "" || have.TopicID != l.TopicID && have.TopicID != "" || have.Life != l.Life {
				continue
			}
			have.Cluster, have.TopicID = l.Cluster, l.TopicID
			for i, end := range l.Ends {
				if i >= len(have.Ends) {
					have.Ends = append(have.Ends, end)
				}
				have.Ends[i] = max(have.Ends[i], end)
			}
			if err := t.saveLog(have); err != nil {
				return err
			}
		}
		return nil
	})
}

// NoteForeign records that a program which is no hub writes to the topic.
func (s *Store) NoteForeign(ctx context.Context, topic string) error {
	return s.do(ctx, "note a foreign record", func(t *tx) error {
		_, err := t.exec("UPDATE logs SET foreigners = 1 WHERE topic = ? AND foreigners = 0", topic)
		return err
	})
}

func (t *tx) topicLog(topic string) (l *state.TopicLog, err error) {
	err = t.each(func(r *sql.Rows) error {
		found, err := scanLog(r)
		l = &found
		return err
	}, "SELECT "+logCols+" FROM logs WHERE topic = ?", topic)
	return l, err
}

func (t *tx) saveLog(l *state.TopicLog) error {
	if l.Ends == nil {
		l.Ends = []int64{}
	}
	ends, err := json.Marshal(l.Ends)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO logs (topic, life, cluster, topic_id, base, ends, foreigners) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (topic) DO UPDATE SET
		life = excluded.life, cluster = excluded.cluster, topic_id = excluded.topic_id, base = excluded.base, ends = excluded.ends, foreigners = excluded.foreigners`,
		l.Topic, l.Life, l.Cluster, l.TopicID, l.Base, string(ends), b2i(l.Foreign))
	return err
}

// lives gives the present lives of topics. Until the transaction ends no recovery begins another one: whoever stores a place in a log
// is stored before it, and then it is looked at, or after it, and then the place is known to be of an earlier life.
func (t *tx) lives(topics []string) (map[string]int64, error) {
	slices.Sort(topics)
	topics = slices.Compact(topics)
	if err := t.lock(logLocks(topics, false)); err != nil {
		return nil, err
	}
	out := make(map[string]int64, len(topics))
	for _, topic := range topics {
		err := t.each(func(r *sql.Rows) error {
			var life int64
			err := r.Scan(&life)
			out[topic] = life
			return err
		}, "SELECT life FROM logs WHERE topic = ?", topic)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func logLocks(topics []string, alone bool) []lockKey {
	out := make([]lockKey, len(topics))
	for i, topic := range topics {
		out[i] = lockKey{hashKey("log", topic), alone}
	}
	return out
}

// Tops gives, by topic and partition, what is behind the last place that the hub itself has put a record at in the topic's present log.
func (s *Store) Tops(ctx context.Context) (map[string][]int64, error) {
	out := map[string][]int64{}
	err := s.snapshot(ctx, func(db queryer) error {
		lives, err := numbersOf(ctx, db, s.d, "SELECT topic, life FROM logs")
		if err != nil {
			return err
		}
		note := func(topic string, life int64, part int, offset int64) {
			if life != lives[topic] {
				return
			}
			for len(out[topic]) <= part {
				out[topic] = append(out[topic], 0)
			}
			out[topic][part] = max(out[topic][part], offset+1)
		}
		err = eachOf(ctx, db, s.d, func(r *sql.Rows) error {
			var text string
			if err := r.Scan(&text); err != nil {
				return err
			}
			at, err := decodePlaces(text)
			for _, a := range at {
				note(a.Topic, a.Life, a.Partition, a.Offset)
			}
			return err
		}, "SELECT places FROM inbox WHERE places IS NOT NULL UNION ALL SELECT places FROM inbox_slices")
		if err != nil {
			return err
		}
		var spots []spot
		return eachOf(ctx, db, s.d, func(r *sql.Rows) error {
			var topic string
			var life int64
			var places []byte
			if err := r.Scan(&topic, &life, &places); err != nil {
				return err
			}
			var err error
			spots, err = decodeSpots(places, spots)
			for _, sp := range spots {
				if !sp.lost && sp.offset != over {
					note(topic, life, sp.part, sp.offset)
				}
			}
			return err
		}, "SELECT topic, life, places FROM outbox")
	})
	return out, s.wrap("tops", err)
}
