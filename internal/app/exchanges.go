package app

import (
	"context"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/state"
	"github.com/waybill-hub/waybill/internal/store"
)

// exchanges is what connectors see of the store: interchanges with partners.
type exchanges struct{ s *store.Store }

var _ connector.Exchanges = exchanges{}

func (e exchanges) NumberSent(ctx context.Context, pair, token, message string, from int64, due time.Duration) (int64, error) {
	return e.s.NumberSent(ctx, state.Sent{Pair: pair, Token: token, Message: message}, from, due)
}

func (e exchanges) NoteReceived(ctx context.Context, came []connector.Received) (int, error) {
	return e.s.NoteReceived(ctx, received(came))
}

func (e exchanges) SettleReceived(ctx context.Context, came []connector.Received) error {
	return e.s.SettleReceived(ctx, received(came))
}

func received(came []connector.Received) []state.Received {
	all := make([]state.Received, len(came))
	for i, c := range came {
		all[i] = state.Received(c)
	}
	return all
}

func (e exchanges) AnswerSent(ctx context.Context, pair string, number int64, accepted, rejected bool) (bool, error) {
	answer := state.AnswerPartly
	switch {
	case accepted:
		answer = state.AnswerAccepted
	case rejected:
		answer = state.AnswerRejected
	}
	return e.s.AnswerSent(ctx, pair, number, answer)
}

func (e exchanges) TroubledSent(ctx context.Context, pair string) ([]connector.TroubledSent, error) {
	list, err := e.s.TroubledSent(ctx, pair)
	if err != nil {
		return nil, err
	}
	out := make([]connector.TroubledSent, len(list))
	for i, s := range list {
		out[i] = connector.TroubledSent{Message: s.Message, Number: s.Number, At: s.At, Due: s.Due, Answer: s.Answer}
	}
	return out, nil
}
