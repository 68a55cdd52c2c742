package rest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/connector/connectortest"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/zones"
)

type localItem struct {
	ID      string `json:"id"`
	Content int    `json:"content"`
	Changed string `json:"changed"`
}

// localShop is a service that knows local times only: it compares readings, and sorts by them.
type localShop struct {
	zone *time.Location

	mu    sync.Mutex
	items map[string]localItem
	asked []url.Values
}

func (s *localShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	s.asked = append(s.asked, q)
	out := []localItem{}
	since := q.Get("since")
	if at, err := time.Parse(time.RFC3339, since); err == nil {
		since = at.In(s.zone).Format(time.DateTime)
	}
	for _, it := range s.items {
		if it.Changed >= since {
			out = append(out, it)
		}
	}
	slices.SortFunc(out, func(a, b localItem) int {
		if c := strings.Compare(a.Changed, b.Changed); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	n, _ := strconv.Atoi(q.Get("page"))
	size, _ := strconv.Atoi(q.Get("size"))
	from := min((n-1)*size, len(out))
	body, _ := json.Marshal(out[from:min(from+size, len(out))])
	w.Write(body)
}

const dateTime = `"2006-01-02 15:04:05"`

// newLocalShop opens a shop; since is the format of changed-since, and more stands in the settings of the list.
func newLocalShop(t *testing.T, zone, since, more string) (*localShop, *system) {
	t.Helper()
	z, err := zones.Load(zone)
	if err != nil {
		t.Fatal(err)
	}
	s := &localShop{zone: z, items: map[string]localItem{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	opened, err := Kind{}.Open(t.Context(), settingsOf(t, `connector: rest
url: `+srv.URL+`
objects:
  item:
    version: changed
    version-format: 2006-01-02 15:04:05
    zone: `+zone+`
    list: {paging: {style: page, size-parameter: size}, changed-since: {parameter: since, format: `+since+`}`+more+`}
`))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return s, opened.(*system)
}

func localSource(t *testing.T, zone, since, more string) connectortest.LocalSource {
	s, sys := newLocalShop(t, zone, since, more)
	return connectortest.LocalSource{
		Poller: sys, Object: "item",
		Clock: func(now func() time.Time) { setClock(sys, now) },
		Clear: func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			clear(s.items)
			s.asked = nil
		},
		Put: func(id, content int, reading time.Time) { s.put(id, content, reading.Format(time.DateTime)) },
		Show: func(r connector.Record) (int, string) {
			doc, err := jsondoc.Parse(r.Doc, jsondoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			n, _ := strconv.Atoi(string(doc.Root().Get("content").Raw()))
			return n, doc.Root().Get("changed").Str()
		},
	}
}

func (s *localShop) put(id, content int, reading string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items[strconv.Itoa(id)] = localItem{strconv.Itoa(id), content, reading}
}

func TestLocalTimes(t *testing.T) {
	t.Run("asked with a local time", func(t *testing.T) {
		connectortest.LocalTimes(t, func(t *testing.T, zone string) connectortest.LocalSource { return localSource(t, zone, dateTime, "") })
	})
	t.Run("asked with an instant", func(t *testing.T) {
		connectortest.LocalTimes(t, func(t *testing.T, zone string) connectortest.LocalSource {
			return localSource(t, zone, "rfc3339", ", order: changed")
		})
	})
}

// What is asked for, and with what version it comes, in the night in which clocks go back in Berlin.
func TestHourThatComesTwice(t *testing.T) {
	s, sys := newLocalShop(t, "Europe/Berlin", dateTime, "")
	var now time.Time
	setClock(sys, func() time.Time { return now })
	cursor := ""
	poll := func(at, since, want string) {
		t.Helper()
		now, _ = time.Parse(time.RFC3339, at)
		s.asked = nil
		got := ""
		for {
			p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				got += " " + r.Local + "@" + r.Version
			}
			if cursor = p.Cursor; !p.More {
				break
			}
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("%s: got %s, want %s", at, got, want)
		}
		if asked := s.asked[0].Get("since"); asked != since {
			t.Errorf("%s: asked for %s, want %s", at, asked, since)
		}
	}
	s.put(1, 1, "2026-10-25 01:58:00")
	poll("2026-10-24T23:58:05Z", "", "1@2026-10-24T23:58:00Z")
	s.put(2, 1, "2026-10-25 02:55:00")
	poll("2026-10-25T00:55:01Z", "2026-10-25 01:57:59", "2@2026-10-25T00:55:00Z")
	s.put(1, 2, "2026-10-25 02:05:00")
	poll("2026-10-25T01:05:01Z", "2026-10-25 01:59:59", "1@2026-10-25T01:05:00Z")
	s.put(3, 1, "2026-10-25 02:04:00") // its clock is behind
	poll("2026-10-25T01:05:30Z", "2026-10-25 01:59:59", "3@2026-10-25T01:04:00Z")
	s.put(2, 2, "2026-10-25 02:06:00") // its clock is ahead
	poll("2026-10-25T01:05:40Z", "2026-10-25 01:59:59", "2@2026-10-25T01:06:00Z")
	s.put(4, 1, "2026-10-25 03:00:00")
	poll("2026-10-25T02:00:05Z", "2026-10-25 01:59:59", "4@2026-10-25T02:00:00Z")
	s.put(4, 2, "2026-10-25 03:01:00")
	poll("2026-10-25T02:01:05Z", "2026-10-25 01:59:59", "4@2026-10-25T02:01:00Z")
	poll("2026-10-25T02:02:00Z", "2026-10-25 03:00:59", "")
	poll("2026-10-25T02:03:00Z", "2026-10-25 03:01:00", "")
}

// A list in the order of change has no place to begin anew at within the hour that comes twice: it goes on by its pages.
func TestPagesOfTheHourThatComesTwice(t *testing.T) {
	s, sys := newLocalShop(t, "Europe/Berlin", dateTime, ", order: changed")
	now := time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)
	setClock(sys, func() time.Time { return now })
	for n := range 30 {
		s.put(n, 1, time.Date(2026, 10, 25, 2, n, 0, 0, time.UTC).Format(time.DateTime))
	}
	cursor, got := "", 0
	for pages := 1; ; pages++ {
		p, err := sys.Poll(t.Context(), connector.PollRequest{Object: "item", Cursor: cursor, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		got += len(p.Records)
		if cursor = p.Cursor; !p.More {
			break
		}
		if pages > 15 {
			t.Fatal("the walk begins again and again")
		}
	}
	if got != 30 {
		t.Errorf("%d of 30", got)
	}
}

// The parameter changed-since is a local time that no change since is below, whatever the versions are.
func TestLocalChangedSince(t *testing.T) {
	s, sys := newLocalShop(t, "Europe/Berlin", dateTime, "")
	for since, want := range map[string]string{
		"2026-10-25T00:00:00Z": "2026-10-25 01:59:59", "2026-10-25T00:55:00Z": "2026-10-25 01:59:59", "2026-10-25T01:05:01Z": "2026-10-25 02:05:00",
		"2026-10-25T02:00:01Z": "2026-10-25 03:00:00", "2026-03-29T01:00:00Z": "2026-03-29 01:59:59", "2026-03-29T01:00:01Z": "2026-03-29 03:00:00",
	} {
		at, _ := time.Parse(time.RFC3339, since)
		s.asked = nil
		for _, err := range sys.List(t.Context(), "item", at) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := s.asked[0].Get("since"); got != want {
			t.Errorf("since %s: asked for %s, want %s", since, got, want)
		}
	}
}

// A search takes the second of two instants as soon as it has come.
func TestFoundInTheHourThatComesTwice(t *testing.T) {
	s, sys := newLocalShop(t, "Europe/Berlin", dateTime, "")
	s.put(1, 1, "2026-10-25 02:05:00")
	for at, want := range map[string]string{"2026-10-25T00:05:00Z": "2026-10-25T00:05:00Z", "2026-10-25T01:05:00Z": "2026-10-25T01:05:00Z"} {
		now, _ := time.Parse(time.RFC3339, at)
		setClock(sys, func() time.Time { return now })
		got, err := sys.Find(t.Context(), connector.Lookup{Object: "item", Natural: map[string]string{"id": "1"}})
		if err != nil || len(got) != 1 || got[0].Version != want {
			t.Errorf("at %s: %v %v", at, got, err)
		}
	}
}

// A reading that clocks jump over counts as the moment of the jump: it hides nothing that comes after it.
func TestHourThatIsLeftOut(t *testing.T) {
	s, sys := newLocalShop(t, "Europe/Berlin", dateTime, "")
	now := time.Date(2026, 3, 29, 1, 0, 5, 0, time.UTC)
	setClock(sys, func() time.Time { return now })
	s.put(1, 1, "2026-03-29 02:30:00")
	ids, cursor := pollAll(t, sys, "")
	if !slices.Equal(ids, []string{"1"}) {
		t.Errorf("%v", ids)
	}
	now = now.Add(2 * time.Second)
	s.put(2, 1, "2026-03-29 03:00:06")
	if ids, _ = pollAll(t, sys, cursor); !slices.Equal(ids, []string{"2"}) {
		t.Errorf("%v: the reading that does not exist hides what comes after it", ids)
	}
}
