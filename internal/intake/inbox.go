//go:build !benchbare

package intake

import "github.com/waybill-hub/waybill/internal/webhook"

// inbox is where webhooks keep what they promise.
func (in *Intake) inbox() webhook.Inbox { return in.c.Store }
