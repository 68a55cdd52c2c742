package webhook

import (
	"context"
	"fmt"
	"time"

	"github.com/waybill-hub/waybill/internal/lifecycle"
)

// Change is another set of endpoints, made ready. Nothing has happened yet: first Close is called, then Open.
type Change struct {
	h      *Handler
	routes routes
}

// Prepare makes a change to other endpoints ready, or says what is wrong with them. Those of flows that are the same as before go on
// untouched.
func (h *Handler) Prepare(sources []Source, same func(flow string) bool) (*Change, error) {
	all, err := h.prepare(sources, same)
	if err != nil {
		return nil, err
	}
	return &Change{h: h, routes: all}, nil
}

// Close ends what changes hands: a path that another flow, or nobody, will receive at takes nothing any more, and the requests under way
// there are answered first. At all other paths the senders notice nothing. An error says that requests were still under way when ctx ended.
func (c *Change) Close(ctx context.Context) error {
	before := *c.h.routes.Load()
	now := make(routes, len(before))
	var gone []*hook
	for path, k := range before {
		next := c.routes[path]
		switch {
		case next == nil:
			gone = append(gone, k)
		case next.Flow != k.Flow:
			gone = append(gone, k)
			now[path] = &hook{Source: k.Source, scheme: k.scheme, reply: k.reply, methods: k.methods, rate: k.rate, closed: true}
		default:
			now[path] = k
		}
	}
	c.h.routes.Store(&now)
	for _, k := range gone {
		for k.busy.Load() > 0 {
			if err := lifecycle.Sleep(ctx, c.h.c.Clock, 5*time.Millisecond); err != nil {
				return fmt.Errorf("requests at %s%s are still under way: %w", PathPrefix, k.Path, err)
			}
		}
	}
	return nil
}

// Open takes deliveries the new way.
func (c *Change) Open() {
	c.h.routes.Store(&c.routes)
	flows := map[string]bool{}
	for _, k := range c.routes {
		flows[k.Flow] = true
	}
	c.h.refusals.keep(flows)
}
