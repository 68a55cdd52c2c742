package tryton

import (
	"context"
	"fmt"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
	"github.com/waybill-hub/waybill/internal/jsondoc"
)

// A step that Tryton does not make where the object stands is no error there: the answer is the same, and the state has not moved. So the state is read
// back after every step, and what is left is seen from it alone: a write that comes again after a crash goes on where the object stands.

// wanted is the state that a document, or else the settings, want an object to be in; asked: the document does.
func (b *bound) wanted(doc jsondoc.Value) (state string, asked bool, err error) {
	st := b.Steps
	if st == nil {
		return "", false, nil
	}
	state = st.Reach
	if v := doc.Get(st.Field); v.Kind() == jsondoc.String {
		state, asked = v.Str(), true
	}
	if state != "" && st.at(state) < 0 && st.Aside[state] == "" {
		return "", false, &placed{st.Field, fmt.Errorf("%q is no state that the settings name a way to", httpclient.Shorten(state, 60))}
	}
	return state, asked, nil
}

// walk moves an object on to where its document, or the settings, want it, and gives it as it is then. there is the object as it was read; nil: it is read.
func (c *change) walk(ctx context.Context, local string, doc jsondoc.Value, there *item) (connector.Result, error) {
	st := c.b.Steps
	wanted, asked, err := c.b.wanted(doc)
	if err != nil {
		return connector.Result{}, err
	}
	for n := 0; ; n++ {
		if there == nil {
			if there, err = c.s.get(ctx, c.b, local, c.op); err != nil {
				return connector.Result{}, err
			}
			if there == nil || there.bad != nil {
				return connector.Result{}, c.s.fail(fault.NotFound, c.op, "the object %s is gone, or cannot be read", local)
			}
		}
		now := there.Get(st.Field).Str()
		by, err := st.next(now, wanted, asked)
		if err != nil {
			return connector.Result{}, &placed{st.Field, err}
		}
		if n > len(st.Path) {
			return connector.Result{}, &placed{st.Field, fmt.Errorf("after %d steps it is %q there: the steps of the settings lead in a circle", n, httpclient.Shorten(now, 60))}
		}
		if by == "" {
			r := c.s.record(c.b, there, c.op)
			return connector.Result{Local: local, Doc: r.Doc, ETag: r.ETag}, r.Err
		}
		if _, err := c.change(ctx, by, []string{"[" + local + "]"}, nil); err != nil {
			return connector.Result{}, err
		}
		before := now
		if there, err = c.s.get(ctx, c.b, local, c.op); err != nil {
			return connector.Result{}, c.unread(err)
		}
		if there != nil && there.Get(st.Field).Str() == before {
			return connector.Result{}, &placed{st.Field, fmt.Errorf("%s was called and the object stays in %q: Tryton does not say why; look there what keeps it (stock that is missing, a right, a step that is not allowed)", by, before)}
		}
	}
}

// unread is the failure to read an object back after a step: what became of the step is not known.
func (c *change) unread(err error) error {
	f, ok := fault.As(err)
	if !ok {
		return err
	}
	g := *f
	g.Kind = fault.UnknownOutcome
	return &g
}

// next is the method that leads on from a state; "" where the object is where it is wanted, or beyond.
func (st *steps) next(now, wanted string, asked bool) (string, error) {
	if wanted == "" || now == wanted {
		return "", nil
	}
	if by := st.Aside[wanted]; by != "" {
		return by, nil
	}
	from, to := st.at(now), st.at(wanted)
	switch {
	case from >= to:
		return "", nil
	case from < 0 && !asked: // it was taken aside, and nobody has asked for it to come back
		return "", nil
	case from < 0:
		return "", fmt.Errorf("it is %q there, from which no way leads to %q", httpclient.Shorten(now, 60), wanted)
	}
	by := st.Path[from+1].By
	if by == "" {
		return "", fmt.Errorf("it is %q there, and only Tryton itself leads on to %q", httpclient.Shorten(now, 60), st.Path[from+1].State)
	}
	return by, nil
}
