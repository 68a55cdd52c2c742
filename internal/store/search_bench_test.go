package store_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/fold"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// BenchmarkSearch asks a store with many fates (WAYBILL_SEARCH_ROWS, 20,000 when not set), five of each object, which is known in two systems, has a key and a name and names another one.
// WAYBILL_SEARCH_DIR keeps a filled SQLite file from run to run. An operation is one question; p95_ms is how long the first answer takes.
func BenchmarkSearch(b *testing.B) {
	rows := 20_000
	if n, err := strconv.Atoi(os.Getenv("WAYBILL_SEARCH_ROWS")); err == nil {
		rows = n
	}
	for name, config := range map[string]func(testing.TB) (store.Config, bool){
		"sqlite": func(t testing.TB) (store.Config, bool) {
			dir := cmp.Or(os.Getenv("WAYBILL_SEARCH_DIR"), t.TempDir())
			return store.Config{SQLite: filepath.Join(dir, fmt.Sprintf("search-%d.db", rows))}, false
		},
		"postgres": postgresConfig,
	} {
		b.Run(name, func(b *testing.B) {
			cfg, _ := config(b)
			s, err := store.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			filled := time.Now()
			fillFates(b, s, rows)
			begun := time.Now()
			n := indexAll(b, s)
			b.Logf("%d fates stored in %s; %d of them indexed in %s", rows, begun.Sub(filled).Round(time.Second), n, time.Since(begun).Round(time.Second))
			objects := rows / fatesEach
			pick := func(i int) int { return i * 7919 % objects }
			for _, q := range []struct {
				name string
				text func(i int) string
			}{
				{"key", func(i int) string { return searchKey(pick(i)) }},
				{"number", func(i int) string { return searchKey(pick(i))[3:] }},
				{"beginning", func(i int) string { return searchKey(pick(i))[:8] }},
				{"letter", func(i int) string { return searchWords[i%len(searchWords)][:1] }},
				{"name", func(i int) string { return searchName(pick(i)) }},
				{"word", func(i int) string { return searchWords[i%len(searchWords)] }},
				{"id", func(i int) string { return fmt.Sprintf("crm%09d", pick(i)) }},
				{"hub", func(i int) string { return searchHub(pick(i)) }},
				{"none", func(i int) string { return fmt.Sprint("zz", i) }},
			} {
				b.Run(q.name, func(b *testing.B) {
					var took []time.Duration
					for i := 0; b.Loop(); i++ {
						at := time.Now()
						page, err := s.Search(b.Context(), state.SearchQuery{Text: q.text(i)})
						took = append(took, time.Since(at))
						if err != nil || (len(page.Objects) == 0) != (q.name == "none") {
							b.Fatalf("%s: %+v, %v", q.text(i), page, err)
						}
					}
					slices.Sort(took)
					b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95_ms")
				})
			}
		})
	}
}

const fatesEach = 5

var searchWords = []string{"acme", "globex", "initech", "umbrella", "hooli", "vandelay", "stark", "wayne", "wonka", "tyrell", "cyberdyne", "soylent", "massive", "octan", "oscorp", "pied", "piper", "dunder", "mifflin", "sterling"}

func searchKey(i int) string { return fmt.Sprintf("SO-%08d", i) }
func searchHub(i int) string { return fmt.Sprintf("00000000-0000-5000-8000-%012d", i) }
func searchName(i int) string {
	return fmt.Sprintf("%s %s Nr. %d", searchWords[i%len(searchWords)], searchWords[i/20%len(searchWords)], i%1000)
}

// fillFates stores fates, unless they are there.
func fillFates(b *testing.B, s *store.Store, rows int) {
	b.Helper()
	p, err := s.OpenPartition(b.Context(), "f", "t", 0, event.Log{Cluster: "c", TopicID: "t", Last: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	objects := rows / fatesEach
	for at := int(p.Position.Next); at < rows; {
		commit := &state.Commit{Flow: "f", Topic: "t", Epoch: p.Epoch}
		for ; len(commit.Results) < 2000 && at < rows; at++ {
			i := at % objects
			r := state.Result{Offset: int64(at), Outcome: state.Delivered, Journal: &state.Journal{Time: time.Now(), Flow: "f", EventID: fmt.Sprint("e", at), Entity: "order", Key: searchKey(i), Hub: searchHub(i), Outcome: state.Delivered,
				System: "erp", Local: fmt.Sprint(i), Version: "1", Attempts: 1}}
			if at < objects {
				r.Ref = &state.Ref{Entity: "order", Hub: searchHub(i), System: "erp", Local: fmt.Sprint(i), Updated: time.Now()}
				r.Source = &state.Ref{Entity: "order", Hub: searchHub(i), System: "crm", Local: fmt.Sprintf("CRM%09d", i), Updated: time.Now()}
			}
			commit.Results = append(commit.Results, r)
		}
		if err := s.Commit(b.Context(), commit); err != nil {
			b.Fatal(err)
		}
	}
}

// indexAll indexes what is not, as the worker does.
func indexAll(b *testing.B, s *store.Store) (n int) {
	b.Helper()
	l, ok, err := s.AcquireLease(b.Context(), state.SearchLease, "bench", time.Hour)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	newest, err := s.Journal(b.Context(), state.JournalFilter{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	for {
		at, err := s.IndexedTo(b.Context(), "bench")
		if err != nil {
			b.Fatal(err)
		}
		if at >= newest[0].ID {
			return n
		}
		rows, err := s.FatesBehind(b.Context(), at, 200)
		if err != nil {
			b.Fatal(err)
		}
		if len(rows) == 0 {
			continue
		}
		list := make([]state.Indexed, len(rows))
		for i, j := range rows {
			var number int
			fmt.Sscanf(j.Key, "SO-%d", &number)
			list[i] = state.Indexed{Fate: j.ID, Time: j.Time, Entity: j.Entity, Hub: j.Hub, Key: j.Key, Flow: j.Flow, Event: j.EventID, System: j.System, Outcome: j.Outcome,
				References: []state.Reference{{Field: "customer", Entity: "order", ID: searchHub(number / 50)}}}
			for field, text := range map[string]string{"key": j.Key, "name": searchName(number)} {
				for _, start := range fold.Starts(text) {
					list[i].Terms = append(list[i].Terms, state.Term{Field: field, Text: start})
				}
			}
		}
		if err := s.IndexFates(b.Context(), l, "bench", rows[len(rows)-1], list); err != nil {
			b.Fatal(err)
		}
		n += len(rows)
	}
}
