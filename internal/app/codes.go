package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/waybill-hub/waybill/internal/api"
	"github.com/waybill-hub/waybill/internal/mapping"
	"github.com/waybill-hub/waybill/internal/state"
)

// UnknownCodes are the codes that value maps do not know and that have stopped messages.
func (h *Hub) UnknownCodes(ctx context.Context) ([]api.UnknownCode, error) {
	causes, err := h.store.Causes(ctx, state.QueueFilter{State: state.Parked})
	if err != nil {
		return nil, err
	}
	out := []api.UnknownCode{}
	values := h.plan().Values
	for i := range causes {
		c := &causes[i]
		u, ok := api.UnknownCodeOf(c.Code)
		if !ok || c.Kind != "mapping" {
			continue
		}
		u.Cause, u.Count, u.Behind, u.Oldest, u.Flows, u.Choices = c.Cause, c.Count, c.Behind, c.Oldest, c.Flows, []string{}
		if m := values[u.Map]; m != nil {
			u.File, u.Line = m.Pos().File, m.Pos().Line
			codes := m.Codes(u.System)
			if u.Direction == mapping.DirectionCode {
				_, err = m.Code(u.System, u.Code)
				u.Choices = slices.Sorted(maps.Keys(codes))
			} else {
				_, err = m.Value(u.System, u.Code)
				u.Choices = m.Canonical()
			}
			u.Known = err == nil
		}
		out = append(out, u)
	}
	slices.SortStableFunc(out, func(x, y api.UnknownCode) int {
		return strings.Compare(x.Map+"\x00"+x.System+"\x00"+x.Code, y.Map+"\x00"+y.System+"\x00"+y.Code)
	})
	return out, nil
}

// AddCode writes a pair into the file of its value map and loads the files. Where they cannot be loaded, the file becomes what it was.
func (h *Hub) AddCode(ctx context.Context, q api.CodeRequest, who string) (*api.AddedCode, error) {
	h.coding.Lock()
	defer h.coding.Unlock()
	pair := mapping.NewCode{Map: q.Map, System: q.System, Code: q.Code, Canonical: q.To}
	if q.Direction == api.CodeOfMap {
		pair.Code, pair.Canonical = q.To, q.Code
	}
	m := h.plan().Values[q.Map]
	if m == nil {
		return nil, unknown("value map", q.Map, slices.Collect(maps.Keys(h.plan().Values)))
	}
	if h.load == nil {
		return nil, &api.Unwritable{Why: api.ErrNoFiles, Line: pair.Line()}
	}
	file, err := filepath.EvalSymlinks(m.Pos().File)
	if err != nil {
		return nil, &api.Unwritable{Why: err, Line: pair.Line()}
	}
	old, err := os.ReadFile(file)
	if err != nil {
		return nil, &api.Unwritable{Why: err, Line: pair.Line()}
	}
	text, line, err := mapping.AddCode(m.Pos().File, old, pair)
	if err != nil {
		return nil, &api.Invalid{Detail: err.Error()}
	}
	note := fmt.Sprintf("%s:%d: %s of %s stands for %s", m.Pos().File, line, pair.Code, pair.System, pair.Canonical)
	if q.Note != "" {
		note += ": " + q.Note
	}
	act := state.Audit{Who: who, Action: "code", Object: "values/" + q.Map, Detail: note}
	if err := h.store.WriteAudit(ctx, act); err != nil {
		return nil, err
	}
	// What was noted beforehand and then not done is noted as well.
	undone := func(why string) error {
		act.Detail = why + ": " + note
		return h.store.WriteAudit(context.WithoutCancel(ctx), act)
	}
	if err := rewrite(file, text); err != nil {
		return nil, errors.Join(&api.Unwritable{Why: err, Line: pair.Line()}, undone("not written"))
	}
	done, err := h.Reload(ctx, who)
	if err != nil {
		return nil, errors.Join(err, takeBack(file, text, old), undone("not loaded, and taken back unless the file was changed meanwhile"))
	}
	return &api.AddedCode{File: m.Pos().File, Line: line, Plan: done.Plan}, nil
}

// takeBack gives a file its old text, unless somebody else has written to it meanwhile.
func takeBack(file string, ours, old []byte) error {
	now, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(now, ours) {
		return err
	}
	return rewrite(file, old)
}

// rewrite puts a text in a file's place: a hub that ends meanwhile leaves the old one or the new one, whole.
func rewrite(file string, text []byte) (err error) {
	old, err := os.Stat(file)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // a hidden file is none of the plan's
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name()) // only this call knows it
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(old.Mode().Perm()), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
