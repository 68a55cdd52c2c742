package reconcile

import (
	"context"
	"slices"
	"sync"

	"github.com/waybill-hub/waybill/internal/state"
)

// memory is what the hub knows, and what a run has stored.
type memory struct {
	mu       sync.Mutex
	hubs     map[[2]string]string // by system and local id
	refs     map[string][]state.Ref
	standing map[string]*state.Standing // by hub id or key
	failing  error
	asked    func() // before a question for what stands
	found    []state.Difference
	before   []state.Difference // of run 1, which is repaired
	progress []state.CompareProgress
	page     int // how many differences an answer holds; 0: as many as are asked for
}

// know has the hub know an object in systems: pairs of system and local id.
func (m *memory) know(hub string, at ...string) {
	for i := 0; i < len(at); i += 2 {
		m.hubs[[2]string{at[i], at[i+1]}] = hub
		m.refs[hub] = append(m.refs[hub], state.Ref{Entity: "order", Hub: hub, System: at[i], Local: at[i+1]})
	}
}

func (m *memory) ref(hub, system string) *state.Ref {
	for i := range m.refs[hub] {
		if m.refs[hub][i].System == system {
			return &m.refs[hub][i]
		}
	}
	return nil
}

func (m *memory) queue(name string, q state.Queued) { m.at(name).Queued = append(m.at(name).Queued, q) }
func (m *memory) journal(name string, j state.Journal) {
	m.at(name).Journal = append(m.at(name).Journal, j)
}
func (m *memory) at(name string) *state.Standing {
	if m.standing[name] == nil {
		m.standing[name] = &state.Standing{}
	}
	return m.standing[name]
}

func (m *memory) HubID(_ context.Context, _, system, local string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	hub, ok := m.hubs[[2]string{system, local}]
	return hub, ok, m.failing
}

func (m *memory) LocalID(_ context.Context, _, system, hub string) (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r := m.ref(hub, system); r != nil {
		return r.Local, true, m.failing
	}
	return "", false, m.failing
}

func (m *memory) KnownByLocal(_ context.Context, _, system string, locals []string) (map[string]state.KnownObject, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]state.KnownObject{}
	for _, l := range locals {
		if hub, ok := m.hubs[[2]string{system, l}]; ok {
			out[l] = state.KnownObject{Local: l, Hub: hub}
		}
	}
	return out, m.failing
}

func (m *memory) CountKnown(_ context.Context, _, system, _ string) (n int, err error) {
	for at := range m.hubs {
		if at[0] == system {
			n++
		}
	}
	return n, nil
}

func (m *memory) Standing(_ context.Context, _, hub string, keys ...string) (out state.Standing, err error) {
	if m.asked != nil {
		m.asked()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	out.Refs = slices.Clone(m.refs[hub])
	for _, name := range append([]string{hub}, keys...) {
		if s := m.standing[name]; s != nil && name != "" {
			out.Queued, out.Journal = append(out.Queued, s.Queued...), append(out.Journal, s.Journal...)
		}
	}
	return out, m.failing
}

func (m *memory) Trace(_ context.Context, key string) (out state.Trace, err error) {
	for hub, refs := range m.refs {
		if hub == key || slices.ContainsFunc(refs, func(r state.Ref) bool { return r.Local == key }) {
			out.Objects = append(out.Objects, state.Object{Entity: "order", Hub: hub, Refs: refs})
		}
	}
	return out, m.failing
}

func (m *memory) Progress(p state.CompareProgress) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.progress = append(m.progress, p)
}

func (m *memory) Add(_ context.Context, d []state.Difference) error {
	m.found = append(m.found, d...)
	return nil
}

func (m *memory) Change(_ context.Context, d []state.Difference) error {
	for i := range d {
		at := slices.IndexFunc(m.found, func(f state.Difference) bool { return f.N == d[i].N })
		m.found[at] = d[i]
	}
	return nil
}

func (m *memory) Stored(_ context.Context, f state.DifferenceFilter) (out []state.Difference, err error) {
	all, most := m.found, f.Limit
	if f.Run == 1 {
		all = m.before
	}
	if m.page > 0 {
		most = min(most, m.page)
	}
	for _, d := range all {
		if d.N > f.After && (len(f.Numbers) == 0 || slices.Contains(f.Numbers, d.N)) && len(out) < most {
			out = append(out, d)
		}
	}
	return out, nil
}
