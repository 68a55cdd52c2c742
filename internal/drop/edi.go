package drop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/edi"
	"github.com/waybill-hub/waybill/internal/fault"
)

// partners: the object's files are exchanged with partners that there are agreements with.
func (o *Object) partners() bool { return o.Book() != nil && len(o.Book().Agreements()) > 0 }

// ledger gives what keeps control numbers.
func (s *System) ledger(op string) (connector.Exchanges, error) {
	if s.exchanges == nil {
		return nil, s.fail(fault.Invalid, op, "control numbers are kept in the hub's store, and there is none here")
	}
	return s.exchanges, nil
}

// arrived notes the interchanges of a file. One that has come before, in another delivery or in this one, is refused with the whole file, of which nothing is noted then: what it holds besides may come
// again in another. The same content under a new time is another delivery, as it is to who takes the rows, once the file was done with; before that it is one that was written to. Of a
// file that has grown, what was taken when it was shorter is no duplicate; what came behind that is, where it was there already, and nothing of it is taken.
func (s *System) arrived(ctx context.Context, op string, o *Object, root Folder, in File, at string, f connector.File, from int) error {
	all, err := o.Book().Receive(&source{ctx: ctx, f: in, size: f.Size})
	var broken *edi.Fault
	if errors.As(err, &broken) {
		return nil // the reading tells
	}
	if err != nil {
		return s.classify(op, err)
	}
	if err := s.changed(op, root, in, at, f); err != nil { // it comes again as another one, and must not be known then
		return err
	}
	ledger, err := s.ledger(op)
	if err != nil {
		return err
	}
	came := s.came(o, f, all)
	fresh := 0 // the first one that was not taken as a whole
	for rows := 0; fresh < len(all) && from > 0; fresh++ {
		if rows += all[fresh].Rows; rows > from {
			break
		}
	}
	for i, c := range came[:fresh] { // a hub may have ended before it noted them
		if _, err := ledger.NoteReceived(ctx, came[i:i+1]); err != nil {
			return s.classify(op, err)
		}
		for _, n := range came[fresh:] {
			if n.Pair == c.Pair && n.Control == c.Control {
				return s.duplicate(op, all[i], from)
			}
		}
	}
	known, err := ledger.NoteReceived(ctx, came[fresh:])
	if err != nil {
		return s.classify(op, err)
	}
	if known >= 0 {
		return s.duplicate(op, all[fresh+known], from)
	}
	return nil
}

func (s *System) duplicate(op string, r *edi.Received, from int) error {
	what := "nothing of the file was taken"
	if from > 0 {
		what = fmt.Sprintf("nothing behind the first %d messages, which were taken when the file was shorter, was taken", from)
	}
	return s.fail(fault.Invalid, op, "the interchange %s of %s has come before; %s", r.Control, r.Agreement.Name, what)
}

// came is how the interchanges of a file are noted.
func (s *System) came(o *Object, f connector.File, all []*edi.Received) []connector.Received {
	place := sha256.Sum256([]byte(s.name + "\x00" + o.name + "\x00" + f.Name))
	out := make([]connector.Received, len(all))
	for i, r := range all {
		out[i] = connector.Received{Pair: r.Agreement.ReceivePair(), Control: r.Control, Token: fmt.Sprint(f.ID, "@", f.Modified.UnixNano(), "#", i), File: hex.EncodeToString(place[:8])}
	}
	return out
}

// exchanged ends what a file of partners began, right before it is moved away. Of one that was taken, acknowledgements are matched with what was sent, and what it holds is acknowledged where the
// partner gets it. Done again, it does the same. reopen takes the end back, where the file was written to at the last moment.
func (s *System) exchanged(ctx context.Context, op string, o *Object, root Folder, at string, f connector.File, failed error) (reopen func() error, err error) {
	reopen = func() error { return nil }
	if !o.partners() {
		return reopen, nil
	}
	in, err := s.openFile(op, root, at, f)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	all, err := o.Book().Receive(&source{ctx: ctx, f: in, size: f.Size})
	if broken := (*edi.Fault)(nil); failed != nil && errors.As(err, &broken) {
		return reopen, s.refused(ctx, op, o, root, at, f) // nothing of it was noted
	}
	if err != nil {
		return nil, s.classify(op, err)
	}
	ledger, err := s.ledger(op)
	if err != nil {
		return nil, err
	}
	if failed == nil {
		if err := s.answered(ctx, op, o, ledger, f, all); err != nil {
			return nil, err
		}
	}
	came := s.came(o, f, all)
	if err := ledger.SettleReceived(ctx, came); err != nil {
		return nil, s.classify(op, err)
	}
	return func() error {
		for i := range came { // each by itself: some may be another's
			if _, err := ledger.NoteReceived(ctx, came[i:i+1]); err != nil {
				return s.classify(op, err)
			}
		}
		return nil
	}, nil
}

// refused tells the sender of a file that was not taken what is wrong with its interchange, as far as the standards have an answer to that.
func (s *System) refused(ctx context.Context, op string, o *Object, root Folder, at string, f connector.File) error {
	in, err := s.openFile(op, root, at, f)
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := o.Book().Refused(&source{ctx: ctx, f: in, size: f.Size})
	if err != nil {
		return s.classify(op, err)
	}
	if r == nil {
		return nil
	}
	bodies := r.Acknowledgement()
	if len(bodies) == 0 {
		return nil
	}
	ledger, err := s.ledger(op)
	if err != nil {
		return err
	}
	return s.answer(ctx, op, o, ledger, r, bodies, fmt.Sprintf("%.12s-refused", f.ID))
}

// answered matches the acknowledgements of a file with what was sent, and acknowledges what it holds.
func (s *System) answered(ctx context.Context, op string, o *Object, ledger connector.Exchanges, f connector.File, all []*edi.Received) error {
	for i, r := range all {
		for _, a := range r.Answers {
			known, err := ledger.AnswerSent(ctx, r.Agreement.SendPair(), a.Number, a.Accepted, a.Rejected)
			switch {
			case err != nil:
				return s.classify(op, err)
			case !known:
				s.log.Warn("an acknowledgement is of nothing that was sent", "partner", r.Agreement.Name, "file", f.Name, "number", a.Number)
			case !a.Accepted:
				s.log.Warn("a partner has not accepted what was sent", "partner", r.Agreement.Name, "file", f.Name, "number", a.Number)
			}
		}
		if bodies := r.Acknowledgement(); len(bodies) > 0 {
			if err := s.answer(ctx, op, o, ledger, r, bodies, fmt.Sprintf("%.12s-%d", f.ID, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// answer puts one acknowledgement. id names what it answers.
func (s *System) answer(ctx context.Context, op string, o *Object, ledger connector.Exchanges, r *edi.Received, bodies []edi.Body, id string) error {
	a := r.Agreement
	number, err := ledger.NumberSent(ctx, a.SendPair(), "answer "+id, a.Acknowledge, a.From, 0)
	if err != nil {
		return s.classify(op, err)
	}
	data, err := a.Write(number, s.Clock.Now(), r.AnswerVersion(), bodies)
	if err != nil {
		return s.fail(fault.Invalid, op, "the acknowledgement of %s: %s", r.Control, err)
	}
	to, err := s.to.Folder(ctx, path.Clean(filepath.ToSlash(o.EDI.Answers)))
	if err != nil {
		return s.away(op, err)
	}
	defer to.Close()
	name := fmt.Sprintf("%s-%s-%s.%s", strings.ToLower(a.Acknowledge), safe(a.Name), id, o.Format)
	_, err = s.put(op, o, to, name, [][]byte{data}, nil)
	if f, ok := fault.As(err); ok && f.Duplicate {
		return nil // it was put before, and may even have been fetched and put again: the number is the same
	}
	return err
}

// interchange gives the bytes of a document's interchange. token names the change: the same has the same control number.
func (s *System) interchange(ctx context.Context, op string, o *Object, doc []byte, token string) ([]byte, error) {
	a, body, version, err := o.Compose(doc)
	if err != nil {
		return nil, s.fail(fault.Invalid, op, "%s", err)
	}
	// What cannot be written must not take a number.
	if _, err := a.Write(a.From, s.Clock.Now(), version, []edi.Body{body}); err != nil {
		return nil, s.fail(fault.Invalid, op, "%s", err)
	}
	ledger, err := s.ledger(op)
	if err != nil {
		return nil, err
	}
	number, err := ledger.NumberSent(ctx, a.SendPair(), s.name+"/"+o.name+"/"+token, body.Type, a.From, a.Within)
	if err != nil {
		return nil, s.classify(op, err)
	}
	data, err := a.Write(number, s.Clock.Now(), version, []edi.Body{body})
	if err != nil {
		return nil, s.fail(fault.Invalid, op, "%s", err)
	}
	return data, nil
}

// unanswered tells of what the partners of a drop have not acknowledged as they should.
func (s *System) unanswered(ctx context.Context, o *Object) []connector.FileNote {
	if !o.partners() || s.exchanges == nil {
		return nil
	}
	var notes []connector.FileNote
	for _, a := range o.Book().Agreements() {
		list, err := s.exchanges.TroubledSent(ctx, a.SendPair())
		if err != nil {
			s.log.Warn("what was sent to a partner cannot be looked at", "partner", a.Name, slog.Any("error", err))
			continue
		}
		for _, sent := range list {
			n := connector.FileNote{Name: fmt.Sprintf("%s %d to %s", sent.Message, sent.Number, a.Name), Unanswered: true}
			at := sent.At.UTC().Format(time.RFC3339)
			if sent.Answer != "" {
				n.Why = fmt.Sprintf("it was sent %s, and the partner has %s it", at, map[string]string{"rejected": "rejected", "partly": "accepted only a part of"}[sent.Answer])
			} else {
				n.Why = fmt.Sprintf("it was sent %s, and no acknowledgement had come by %s", at, sent.Due.UTC().Format(time.RFC3339))
			}
			notes = append(notes, n)
		}
	}
	return notes
}
