package console

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/waybill-hub/waybill/internal/bench/viewer"
)

// page is a page of the console, or a list of the API: its route, and addresses that it is asked under.
type page struct {
	route, what string // what is chosen there, in a word or two
	paths       []string
	took        []time.Duration
	bytes       int
}

func (p *page) name() string {
	if p.what == "" {
		return p.route
	}
	return p.route + " (" + p.what + ")"
}

// list is all that is asked, every route of the console and of the API that is read: TestEveryRoute names those that are not.
func (b *bencher) list(ids *known) (all []*page) {
	add := func(route, what string, paths ...string) {
		all = append(all, &page{route: route, what: what, paths: paths})
	}
	at := func(path string, pairs ...string) string {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return path + "?" + q.Encode()
	}
	each := func(values []string, make func(v string) string) (out []string) {
		for _, v := range values {
			out = append(out, make(v))
		}
		return out
	}
	// What both have: the console at one address, the API at another.
	both := func(console, api, what string, values []string, query ...string) {
		for _, route := range []string{console, api} {
			add(route, what, each(values, func(v string) string {
				pairs := slices.Clone(query)
				for i := range pairs {
					pairs[i] = strings.ReplaceAll(pairs[i], "{}", v)
				}
				if len(pairs) == 0 {
					return route
				}
				return at(route, pairs...)
			})...)
		}
	}
	one := []string{""}
	keys := ids.keys
	hubs := each(keys, func(k string) string { return hubOf(numberOf(k)) })

	add("/", "", "/")
	add("/", "one state", "/?state=late", "/?state=running")
	add("/console/map", "", "/console/map")
	add("/console/flows/{name}", "", each(flowNames(), func(n string) string { return "/console/flows/" + n })...)
	for _, outcome := range []string{"delivered", "parked", "discarded"} {
		add("/console/flows/{name}", outcome, each(flowNames(), func(n string) string { return "/console/flows/" + n + "?outcome=" + outcome })...)
	}
	add("/console/flows/{name}", "second page", each(flowNames(), func(n string) string { return fmt.Sprintf("/console/flows/%s?before=%d", n, b.Rows/2) })...)
	add("/console/systems/{name}", "", each(systemNames, func(n string) string { return "/console/systems/" + n })...)
	add("/console/codes", "", "/console/codes")
	add("/console/reconciliations", "", "/console/reconciliations")
	add("/console/reconciliations/{name}", "", "/console/reconciliations/customers-crm-erp", "/console/reconciliations/orders-erp-wms")
	add("/console/rules/{name}", "", "/console/rules/name-given")
	add("/console/runs/{id}", "", each(ids.runs, func(id string) string { return "/console/runs/" + id })...)
	add("/console/runs/{id}", "one reason", each(ids.runs, func(id string) string { return "/console/runs/" + id + "?reason=edited-left" })...)
	add("/console/runs/{id}", "second page", each(ids.runs, func(id string) string { return "/console/runs/" + id + "?after=1000" })...)
	add("/console/find", "", "/console/find")
	add("/console/find", "a key", each(keys, func(k string) string { return at("/console/find", "q", k) })...)
	add("/console/find", "a customer", each(ids.customers, func(k string) string { return at("/console/find", "q", k) })...)
	add("/console/find", "an object of very many fates", at("/console/find", "q", hotKey), at("/console/find", "q", hubOf(b.Rows/fatesEach)))
	add("/console/find", "second page", ids.second...)
	add("/console/parked/{id}", "", each(ids.parked, func(id string) string { return "/console/parked/" + id })...)
	add("/console/parked/{id}", "edited", each(ids.parked, func(id string) string { return "/console/parked/" + id + "?edit=true" })...)
	parked := func(what string, values []string, query ...string) {
		both("/console/parked", "/api/v1/parked", what, values, query...)
		both("/console/parked-all/replay", "/api/v1/parked/causes", what, values, query...)
		both("/console/parked", "/api/v1/parked", strings.TrimPrefix(what+", second page", ", "), values, append(slices.Clone(query), "after", ids.middle)...)
	}
	outs := []string{}
	for i := range kinds {
		outs = append(outs, kinds[i].out())
	}
	entities := []string{}
	for i := range kinds {
		entities = append(entities, kinds[i].entity)
	}
	parked("", one)
	parked("flow", outs, "flow", "{}")
	parked("system", systemNames[1:], "system", "{}")
	parked("entity", entities, "entity", "{}")
	parked("state", []string{"parked", "waiting", "held", "follower"}, "state", "{}")
	parked("cause", ids.causes, "cause", "{}")
	parked("code", ids.codes, "code", "{}")
	parked("key", keys, "key", "{}")
	parked("older than", []string{"1h", "24h", "120h", "216h"}, "older_than", "{}")
	parked("flow, state and age", outs, "flow", "{}", "state", "parked", "older_than", "24h")
	parked("cause and flow", ids.causes, "cause", "{}", "flow", kinds[0].out())
	both("/console/audit", "/api/v1/audit", "", one)
	both("/console/audit", "/api/v1/audit", "second page", one, "before", ids.auditMiddle)
	both("/console/audit", "/api/v1/audit", "who", []string{"ann", "li wei", "nobody"}, "who", "{}")
	both("/console/audit", "/api/v1/audit", "action", []string{"edit", "replay", "discard", "backup"}, "action", "{}")
	both("/console/audit", "/api/v1/audit", "object", each(ids.parked, func(id string) string { return "message/" + id }), "object", "{}")
	both("/console/audit", "/api/v1/audit", "who and action", []string{"ann", "bob"}, "who", "{}", "action", "edit")
	both("/console/audit", "/api/v1/audit", "who and object", each(ids.parked, func(id string) string { return "message/" + id }), "who", "ann", "object", "{}")
	add("/console/audit/{id}", "", each(ids.audit, func(id string) string { return "/console/audit/" + id })...)

	api := "/api/v1/"
	for _, name := range []string{"status", "flows", "systems", "deliveries", "reconciliations", "rules", "parked/codes", "replays", "backfills", "alerts", "backups", "restored"} {
		add(api+name, "", api+name)
	}
	add(api+"deliveries", "a day", api+"deliveries?hours=24")
	add(api+"flows/{name}", "", each(flowNames(), func(n string) string { return api + "flows/" + n })...)
	add(api+"flows/{name}/journal", "", each(flowNames(), func(n string) string { return api + "flows/" + n + "/journal" })...)
	add(api+"flows/{name}/journal", "one outcome", each(flowNames(), func(n string) string { return api + "flows/" + n + "/journal?outcome=discarded&limit=100" })...)
	add(api+"reconciliations/{name}/runs", "", api+"reconciliations/customers-crm-erp/runs", api+"reconciliations/orders-erp-wms/runs")
	add(api+"rules/{name}/runs", "", api+"rules/name-given/runs")
	add(api+"runs/{id}", "", each(ids.runs, func(id string) string { return api + "runs/" + id })...)
	add(api+"runs/{id}/differences", "", each(ids.runs, func(id string) string { return api + "runs/" + id + "/differences?limit=100" })...)
	add(api+"runs/{id}/differences", "one reason", each(ids.runs, func(id string) string { return api + "runs/" + id + "/differences?reason=edited-left&limit=100" })...)
	add(api+"messages", "", each(keys, func(k string) string { return at(api+"messages", "key", k) })...)
	add(api+"messages", "with documents", each(keys, func(k string) string { return at(api+"messages", "key", k, "documents", "20") })...)
	add(api+"xref", "", each(append(slices.Clone(keys), hubs...), func(k string) string { return at(api+"xref", "key", k) })...)
	add(api+"parked/{id}", "", each(ids.parked, func(id string) string { return api + "parked/" + id })...)
	add(api+"audit/{id}", "", each(ids.audit, func(id string) string { return api + "audit/" + id })...)
	return all
}

// known is what is asked for by its name.
type known struct {
	keys, customers, parked, causes, codes, runs, audit, second []string
	middle, auditMiddle                                         string // where second pages begin
}

// look asks the hub for names of what it holds.
func (b *bencher) look(ctx context.Context) (k known, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	objects := b.Rows / fatesEach
	for range 60 {
		k.keys = append(k.keys, keyOf(random.Int64N(objects)))
		k.customers = append(k.customers, keyOf(random.Int64N(objects/100)*100+int64(firstOf("customer"))))
	}
	k.customers[0] = keyOf(int64(firstOf("customer"))) // of very many
	var first, last struct{ Parked []struct{ ID int64 } }
	if err := b.json(ctx, "/api/v1/parked?limit=1", &first); err != nil {
		return k, err
	}
	low := first.Parked[0].ID
	k.middle = fmt.Sprint(low + b.Parked/2)
	for range 30 {
		if err := b.json(ctx, fmt.Sprintf("/api/v1/parked?limit=1&after=%d", low+random.Int64N(b.Parked)), &last); err != nil {
			return k, err
		}
		k.parked = append(k.parked, fmt.Sprint(last.Parked[0].ID))
	}
	var list struct {
		Causes []struct {
			Cause   string
			Example struct{ Code string }
		}
	}
	if err := b.json(ctx, "/api/v1/parked/causes", &list); err != nil {
		return k, err
	}
	for _, c := range list.Causes {
		k.causes, k.codes = append(k.causes, c.Cause), append(k.codes, c.Example.Code)
	}
	for _, name := range []string{"reconciliations/customers-crm-erp", "rules/name-given"} {
		var runs struct{ Runs []struct{ ID int64 } }
		if err := b.json(ctx, "/api/v1/"+name+"/runs", &runs); err != nil {
			return k, err
		}
		for _, r := range runs.Runs[:5] {
			k.runs = append(k.runs, fmt.Sprint(r.ID))
		}
	}
	var acts struct{ Audit []struct{ ID int64 } }
	if err := b.json(ctx, "/api/v1/audit?limit=1", &acts); err != nil {
		return k, err
	}
	newest := acts.Audit[0].ID
	k.auditMiddle = fmt.Sprint(newest / 2)
	if err := b.json(ctx, fmt.Sprintf("/api/v1/audit?limit=100&before=%d", newest/2), &acts); err != nil {
		return k, err
	}
	for _, a := range acts.Audit {
		k.audit = append(k.audit, fmt.Sprint(a.ID))
	}
	for _, text := range []string{"SO-000", "acme", "nr. 17", "E0000"} {
		var found struct{ Next string }
		if err := b.json(ctx, "/api/v1/find?q="+url.QueryEscape(text), &found); err != nil {
			return k, err
		}
		if found.Next == "" {
			return k, fmt.Errorf("a search for %q has one page", text)
		}
		k.second = append(k.second, "/console/find?"+url.Values{"q": {text}, "after": {found.Next}}.Encode())
	}
	return k, nil
}

// slowest is the p95 of the one that takes longest.
func slowest(pages []*page) (worst time.Duration) {
	for _, p := range pages {
		worst = max(worst, p95(p.took))
	}
	return worst
}

func quantile(took []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func p95(took []time.Duration) time.Duration { return quantile(took, 95) }

// ask asks every page once in every round, all of a round in another order, one after the other.
func (b *bencher) ask(ctx context.Context, all []*page) error {
	random := rand.New(rand.NewPCG(3, 4))
	told := time.Now()
	for round := range b.Rounds {
		for _, i := range random.Perm(len(all)) {
			p := all[i]
			path := p.paths[random.IntN(len(p.paths))]
			began := time.Now()
			body, status, err := b.get(ctx, path)
			took := time.Since(began)
			if err != nil {
				return err
			}
			if status != http.StatusOK {
				return fmt.Errorf("%s is answered %d: %.300s", path, status, body)
			}
			p.took, p.bytes = append(p.took, took), max(p.bytes, len(body))
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			fmt.Fprintf(b.Out, "  round %d of %d\n", round+1, b.Rounds)
		}
	}
	return nil
}

// table tells how long pages took, the slowest first, and which are beyond the limit.
func (b *bencher) table(what string, pages []*page, limit time.Duration, r *Result) {
	slices.SortStableFunc(pages, func(x, y *page) int { return cmp.Compare(p95(y.took), p95(x.took)) })
	fmt.Fprintf(b.Out, "\n%-72s %8s %8s %8s %8s\n", what, "p50 ms", "p95 ms", "max ms", "KB")
	for _, p := range pages {
		slow := ""
		if p95(p.took) > limit {
			slow = fmt.Sprintf("  over %.0f", ms(limit))
			r.Slow = append(r.Slow, p.name())
		}
		fmt.Fprintf(b.Out, "%-72s %8.1f %8.1f %8.1f %8d%s\n", p.name(), ms(quantile(p.took, 50)), ms(p95(p.took)), ms(slices.Max(p.took)), p.bytes>>10, slow)
	}
}

func (b *bencher) pages(ctx context.Context, r *Result) error {
	ids, err := b.look(ctx)
	if err != nil {
		return err
	}
	all := b.list(&ids)
	all = slices.DeleteFunc(all, func(p *page) bool { return !strings.HasPrefix(p.name(), b.Only) })
	fmt.Fprintf(b.Out, "%d pages and lists, %d rounds\n", len(all), b.Rounds)
	if err := b.ask(ctx, all); err != nil {
		return err
	}
	r.Page = slowest(all)
	b.table("page or list", all, pageLimit, r)
	return nil
}

// searches asks for whole ids, beginnings, names and what is nowhere; the first answer counts.
func (b *bencher) searches(ctx context.Context, r *Result) error {
	random := rand.New(rand.NewPCG(5, 6))
	objects := b.Rows / fatesEach
	some := func(make func(o int64) string) (texts []string) {
		for range 3 * b.Rounds {
			texts = append(texts, make(random.Int64N(objects)))
		}
		return texts
	}
	var all []*page
	for _, kind := range []struct {
		what string
		text func(o int64) string
	}{
		{"a key", keyOf}, {"a number", func(o int64) string { return keyOf(o)[3:] }}, {"an id in a system", localOf}, {"a hub id", hubOf},
		{"a beginning that fits some", func(o int64) string { return keyOf(o)[:9] }}, {"a beginning that fits thousands", func(o int64) string { return keyOf(o)[:6] }},
		{"two letters", func(o int64) string { return keyOf(o)[:2] }}, {"a name", nameOf}, {"a word of names", func(o int64) string { return words[o%int64(len(words))] }},
		{"nothing", func(o int64) string { return fmt.Sprint("zz", o) }},
	} {
		texts := some(kind.text)
		for _, route := range []string{"/console/find", "/api/v1/find"} {
			p := &page{route: route, what: kind.what}
			for _, text := range texts {
				p.paths = append(p.paths, route+"?q="+url.QueryEscape(text))
			}
			all = append(all, p)
		}
	}
	if err := b.ask(ctx, all); err != nil {
		return err
	}
	r.Search = slowest(all)
	b.table("search", all, searchLimit, r)
	return nil
}

// events sends one message after the other while a page is open, and counts from when the hub has taken it until the page shows it.
func (b *bencher) events(ctx context.Context, r *Result) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	k := &kinds[0]
	var mu sync.Mutex
	pulsed := map[int64]time.Time{} // when a pulse told of so many deliveries first
	type look struct{ asked, came time.Time }
	looks := make(chan look, 1000)
	changed := make(chan struct{}, 1)
	v := &viewer.Viewer{Base: "http://" + b.http, Path: "/", Client: b.client,
		Pulsed: func(at time.Time, p *viewer.Pulse) {
			mu.Lock()
			defer mu.Unlock()
			for _, f := range p.Flows {
				if _, known := pulsed[f.Delivered]; f.Name == k.out() && !known {
					pulsed[f.Delivered] = at
				}
			}
			select {
			case changed <- struct{}{}:
			default:
			}
		},
		Looked: func(asked, came time.Time) { looks <- look{asked, came} }}
	watched := make(chan error, 1)
	go func() { watched <- v.Watch(ctx) }()
	newest := func() (n int64) {
		mu.Lock()
		defer mu.Unlock()
		for delivered := range pulsed {
			n = max(n, delivered)
		}
		return n
	}
	await := func(n int64) error {
		for newest() < n {
			select {
			case <-changed:
			case err := <-watched:
				return fmt.Errorf("the page is not open any more: %w", err)
			case <-time.After(time.Minute):
				return fmt.Errorf("what was sent is not told by a pulse after a minute: %d delivered, want %d", newest(), n)
			}
		}
		return nil
	}
	if err := await(1); err != nil {
		return err
	}
	delivered := newest()
	random := rand.New(rand.NewPCG(7, 8))
	sent := map[int64]time.Time{}
	fates := &page{route: "delivered, as the journal says"}
	run := time.Now().UnixNano()
	name := func(i int) string { return fmt.Sprintf("LIVE-%d-%d", run, i) }
	for i := range b.Events {
		// Neither in step with the stream nor with the page; half of them while nothing else is new.
		pause := time.Duration(random.Int64N(int64(time.Second)))
		if i%2 == 0 {
			pause += 3 * time.Second
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := b.post(ctx, k, name(i), 1); err != nil {
			return err
		}
		delivered++
		sent[delivered] = time.Now()
		if i%2 == 0 {
			if err := await(delivered); err != nil {
				return err
			}
		}
	}
	if err := await(delivered); err != nil {
		return err
	}
	for i := range b.Events {
		var m struct{ Journal []struct{ Time time.Time } }
		if err := b.json(ctx, "/api/v1/messages?key="+name(i), &m); err != nil {
			return err
		}
		if len(m.Journal) == 0 {
			return fmt.Errorf("%s was delivered, and the journal does not say so", name(i))
		}
		fates.took = append(fates.took, m.Journal[0].Time.Sub(sent[delivered-int64(b.Events-1-i)]))
	}
	time.AfterFunc(3*time.Second, cancel) // for the page's last look
	if err := <-watched; err != nil {
		return err
	}
	close(looks)
	var pages []look
	for l := range looks {
		pages = append(pages, l)
	}
	stream, screen := &page{route: "on the event stream"}, &page{route: "on the page"}
	for n, at := range sent {
		told := time.Time{}
		for m, when := range pulsed { // a pulse may tell of several at once
			if m >= n && (told.IsZero() || when.Before(told)) {
				told = when
			}
		}
		stream.took = append(stream.took, told.Sub(at))
		for _, l := range pages {
			if !l.asked.Before(told) {
				screen.took = append(screen.took, l.came.Sub(at))
				break
			}
		}
	}
	if len(screen.took) < len(sent) {
		return fmt.Errorf("%d of %d events are not on the page", len(sent)-len(screen.took), len(sent))
	}
	r.Event = p95(screen.took)
	b.table("an event, from when the hub has taken it", []*page{fates, stream, screen}, eventLimit, r)
	return nil
}
