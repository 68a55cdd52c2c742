package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/event"
	"github.com/waybill-hub/waybill/internal/failpoint"
	"github.com/waybill-hub/waybill/internal/inbox"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/lease"
	"github.com/waybill-hub/waybill/internal/lifecycle"
	"github.com/waybill-hub/waybill/internal/state"
)

// poller reads one source by cursor. Records and cursor are committed together, page by page.
//
// A record that cannot be read is taken like any other, and refused alone behind the inbox.
//
// A page may repeat what an earlier one held, because it looks back over the overlap. A record with a version is recognised
// by object, version and content, for as long as the store remembers deliveries. An object may also go from A to B and back
// to A under one version (stamps of one second exist): where another state of the version was taken last, and the page does
// not list that one too, the record is taken whatever the store remembers. A record without a version might always be such
// a change back, so it is left out only while it is the last state that this process took of the object; after a restart
// the overlap comes once more, which the echo guard behind it makes harmless.
//
// A source that names its changes, such as a log, is taken at its word: each is taken once, for as long as the store remembers it.
type poller struct {
	*reader
	poll Poll
	last recent
	// sweeper looks for what polls cannot see; nil: nobody does. turn is held by whoever of the two reads and commits what has no version.
	sweeper *sweeper
	turn    sync.Mutex
}

// lastTaken is the state of an object that was taken last.
type lastTaken struct {
	version string
	content string
}

// read asks for pages until there are no more.
func (p *poller) read(ctx context.Context, t *lease.Held) (err error) {
	run := runLog{r: p.reader}
	records, fresh := 0, 0
	defer func() {
		run.end(ctx, fresh, err)
		p.obs.Read(p.src.Flow, records, fresh)
	}()
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := p.asked(ctx, t); err != nil {
		return err
	}
	cur, err := p.store.Cursor(ctx, p.src.Flow)
	if err != nil {
		return fmt.Errorf("read the cursor: %w", err)
	}
	cursor := cur.Value
	said := remarks{}
	for {
		page, err := p.page(ctx, cursor)
		if err != nil {
			return err
		}
		if page.More && page.Cursor == cursor {
			return fmt.Errorf("%s says that there is more but does not move its cursor", p.src.System)
		}
		if len(page.Records) > 0 {
			run.tell("")
		}
		if page.More {
			if err := run.lasts(ctx); err != nil {
				return err
			}
		}
		said.add(page.Remarks)
		n, err := p.commit(ctx, t, page)
		if err != nil {
			return err
		}
		records += len(page.Records)
		fresh += n
		if !page.More {
			p.remark(said.list())
			return nil
		}
		cursor = page.Cursor
	}
}

// page asks for one page; a panic of the source is its failure.
func (p *poller) page(ctx context.Context, cursor string) (page connector.Page, err error) {
	err = lifecycle.Guard(func() (err error) {
		page, err = p.poll.Poller.Poll(ctx, connector.PollRequest{Object: p.poll.Object, Cursor: cursor, Overlap: p.poll.Overlap, Limit: p.poll.Limit, Reader: p.src.Flow})
		return err
	})
	return page, err
}

// candidate is a record that may be new.
type candidate struct {
	row   state.Inbound
	local string
	now   lastTaken
	named bool // the source names the change
}

// pollSlice is how many records of a page are committed at once.
const pollSlice = 2000

// commit takes a page's new records and, with the last of them, its cursor. A long page is taken in slices: after a restart it is read again,
// and what is taken of it is recognised. A page of changes that the source names, all of them, is taken as a whole: see together.
func (p *poller) commit(ctx context.Context, t *lease.Held, page connector.Page) (fresh int, err error) {
	all := p.candidates(page.Records)
	if len(all) > 0 && !slices.ContainsFunc(all, func(c candidate) bool { return !c.named }) {
		return p.whole(ctx, t, all, page.Cursor)
	}
	for len(all) > pollSlice {
		n, err := p.slice(ctx, t, all[:pollSlice], nil)
		if fresh += n; err != nil {
			return fresh, err
		}
		clear(all[:pollSlice]) // the documents
		all = all[pollSlice:]
	}
	n, err := p.slice(ctx, t, all, &page.Cursor)
	return fresh + n, err
}

// slice commits records, and the cursor where there is one.
func (p *poller) slice(ctx context.Context, t *lease.Held, all []candidate, cursor *string) (fresh int, err error) {
	rows := make([]state.Inbound, len(all))
	for i := range all {
		rows[i] = all[i].row
	}
	outcome, err := p.take(ctx, t, rows, cursor)
	if err != nil {
		return 0, err
	}
	for i, c := range all {
		if outcome[i] == state.AcceptedNew {
			fresh++
		}
		if c.named {
			continue
		}
		if before, known := p.last.get(c.local); !known || event.CompareVersions(before.version, c.now.version) <= 0 {
			p.last.put(c.local, c.now)
		}
	}
	return fresh, nil
}

// whole commits a page of named changes with its cursor.
func (p *poller) whole(ctx context.Context, t *lease.Held, all []candidate, cursor string) (fresh int, err error) {
	rows := together(all)
	outcome, err := p.take(ctx, t, rows, &cursor)
	if err != nil {
		return 0, err
	}
	for i := range rows {
		if outcome[i] == state.AcceptedNew {
			fresh += max(1, len(rows[i].Bundle))
		}
	}
	return fresh, nil
}

// take commits rows, and the cursor where there is one.
func (p *poller) take(ctx context.Context, t *lease.Held, rows []state.Inbound, cursor *string) ([]state.Accepted, error) {
	if err := failpoint.Fail(failpoint.PollRead); err != nil {
		return nil, err
	}
	outcome, err := p.acceptRows(ctx, t, rows, cursor)
	if err != nil {
		return nil, err
	}
	failpoint.Hit(failpoint.PollStored)
	return outcome, nil
}

const (
	// fewest is from how many changes on they are bundled, and mostBundled and mostBundledBytes how many changes, and bytes of documents, a row of the inbox holds at most.
	fewest           = 8
	mostBundled      = 512
	mostBundledBytes = 512 << 10
)

// together puts named changes that follow each other into few rows of the inbox. The changes of a bundle are not remembered one by one: that they are taken once is because
// the cursor moves in the commit that takes them. What cannot be read has a row of its own, in its place; so has what has no version, which would have the number of its row.
func together(all []candidate) []state.Inbound {
	var rows []state.Inbound
	for len(all) > 0 {
		n, size := 0, 0
		for n < len(all) && n < mostBundled && all[n].bundles() && (n == 0 || size+len(all[n].row.Body) <= mostBundledBytes) {
			size += len(all[n].row.Body)
			n++
		}
		if n >= fewest {
			rows = append(rows, bundle(all[:n]))
			all = all[n:]
			continue
		}
		for n = max(n, 1); n > 0; n-- {
			all[0].row.Trace = inbox.Trace()
			rows, all = append(rows, all[0].row), all[1:]
		}
	}
	return rows
}

// bundles reports whether a change may be in a row with others.
func (c *candidate) bundles() bool {
	return c.row.Headers[inbox.HeaderError] == "" && c.row.Headers[inbox.HeaderVersion] != ""
}

// bundle is one row of the inbox for changes. It is named after all of them, so that a commit which is made again is recognised.
func bundle(of []candidate) state.Inbound {
	first := &of[0].row
	row := state.Inbound{Flow: first.Flow, Trace: inbox.Trace(), Received: first.Received, Bundle: make([]state.Bundled, len(of))}
	h := sha256.New()
	for i := range of {
		r := &of[i].row
		h.Write([]byte(r.ID + "\n"))
		row.Bundle[i] = state.Bundled{ID: r.ID, Headers: r.Headers, Body: r.Body}
	}
	row.Digest = h.Sum(nil)
	row.ID = "bundle/" + hex.EncodeToString(row.Digest[:16])
	row.DeliveryID = row.ID
	return row
}

// candidates gives the page's records that are not plainly known, named so that the store recognises the rest.
func (p *poller) candidates(records []connector.Record) []candidate {
	doc := jsondoc.Get()
	defer jsondoc.Put(doc)
	type stateOf struct {
		local string
		lastTaken
	}
	all := make([]candidate, 0, len(records))
	times := make(map[stateOf]int, len(records)) // how often the page lists the state
	for i := range records {
		c := p.candidate(doc, &records[i])
		times[stateOf{c.local, c.now}]++
		all = append(all, c)
	}
	nth := map[stateOf]int{}
	within := map[string]lastTaken{} // the last state of each object on this page so far
	out := all[:0]
	for _, c := range all {
		if c.named {
			out = append(out, c)
			continue
		}
		at := stateOf{c.local, c.now}
		nth[at]++
		before, known := p.last.get(c.local)
		prior, repeated := within[c.local]
		if !repeated {
			prior, repeated = before, known
		}
		within[c.local] = c.now
		switch {
		case repeated && prior == c.now:
			continue // the very state that was taken last
		case c.row.DeliveryID == "":
		case nth[at] > 1: // listed again, with another state between
			c.row.ID = inbox.CleanID(c.row.ID + "~" + strconv.Itoa(nth[at]))
			c.row.DeliveryID = c.row.ID
		case known && before != c.now && before.version == c.now.version && times[stateOf{c.local, before}] == 0:
			c.row.ID, c.row.DeliveryID = inbox.CleanID(c.row.ID+"~"+inbox.MintID()), ""
		}
		out = append(out, c)
	}
	return out
}

// candidate makes an inbox row of a record.
func (p *poller) candidate(doc *jsondoc.Doc, rec *connector.Record) candidate {
	headers := map[string]string{}
	if rec.Local != "" {
		headers[inbox.HeaderLocal] = rec.Local
	}
	if rec.Version != "" {
		headers[inbox.HeaderVersion] = rec.Version
	}
	h := sha256.New()
	if rec.Deleted {
		headers[inbox.HeaderDeleted] = "true"
		h.Write([]byte("deleted\n"))
	}
	body := rec.Doc
	if rec.Err != nil {
		headers[inbox.HeaderError] = p.unreadable(rec)
		h.Write([]byte("refused\n" + rec.Err.Error() + "\n"))
		body = shown(doc, rec.Doc)
	}
	if err := doc.Reset(body, inbox.DocumentLimits); err == nil {
		content := jsondoc.Hash(doc.Root()) // the order of members is no change
		h.Write(content[:])
	} else {
		h.Write(body) // the flow will park it and say why
	}
	content := hex.EncodeToString(h.Sum(nil)[:12])
	local := rec.Local
	if local == "" {
		local = "#" + content // nothing else tells one record without an id from another
	}
	row := state.Inbound{Flow: p.src.Flow, Headers: headers, Body: body, Received: p.clock.Now()}
	if rec.Change == "" { // else it is seen later whether it has a row of its own
		row.Trace = inbox.Trace()
	}
	switch {
	case rec.Change != "": // a log that was cut off may give a place a second time, to another change
		row.DeliveryID = inbox.CleanID(rec.Change + "#" + content)
		row.ID = row.DeliveryID
	case rec.Version != "":
		row.DeliveryID = inbox.CleanID(rec.Local + "@" + rec.Version + "#" + content)
		row.ID = row.DeliveryID
	case rec.Err != nil: // it may be shown at every poll, for as long as nobody mends it, and the hub may be started anew meanwhile
		row.DeliveryID = inbox.CleanID(rec.Local + "#" + content)
		row.ID = row.DeliveryID
	default:
		row.ID = inbox.CleanID(rec.Local + "#" + content + "~" + inbox.MintID())
	}
	return candidate{row: row, local: local, now: lastTaken{rec.Version, content}, named: rec.Change != ""}
}

// unreadable is why a record cannot be read, with its place.
func (p *poller) unreadable(rec *connector.Record) string {
	which := "a record without an id"
	if rec.Local != "" {
		which = rec.Local
	}
	return fmt.Sprintf("%s: %s: %v", p.poll.Object, which, rec.Err)
}

// shown is the document of a record that cannot be read, as far as there is one: what is no JSON is shown as a text.
func shown(doc *jsondoc.Doc, data []byte) []byte {
	if len(data) == 0 {
		return []byte("null")
	}
	if doc.Reset(data, inbox.DocumentLimits) == nil {
		return data
	}
	text, err := json.Marshal(string(data))
	if err != nil {
		panic(err) // a text always marshals
	}
	return text
}

// recent remembers the states of the objects that were taken last, at least maxRecent and at most twice as many.
type recent struct{ young, old map[string]lastTaken }

const maxRecent = 50_000

func (r *recent) get(local string) (lastTaken, bool) {
	if l, ok := r.young[local]; ok {
		return l, true
	}
	l, ok := r.old[local]
	return l, ok
}

func (r *recent) put(local string, l lastTaken) {
	if len(r.young) >= maxRecent {
		r.young, r.old = nil, r.young
	}
	if r.young == nil {
		r.young = make(map[string]lastTaken)
	}
	r.young[local] = l
}
