package bus

import "context"

func (e *Embedded) retain(ctx context.Context) { <-ctx.Done() }
