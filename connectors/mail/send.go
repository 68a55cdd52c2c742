package mail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	stdmail "net/mail"
	"regexp"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/mailer"
)

// Write sends a document. A mail has the id that its event gives it: one that is sent again, because nobody knows whether it was, has the same, so that receivers can tell.
func (s *system) Write(ctx context.Context, w connector.Write) (connector.Result, error) {
	op := string(w.Action) + " " + w.Object
	o := s.set.Objects[w.Object]
	switch {
	case o == nil:
		return connector.Result{}, s.fail(fault.Invalid, op, "the system has no object %q", w.Object)
	case w.Action == connector.Delete:
		return connector.Result{}, s.fail(fault.Invalid, op, "a mail that was sent cannot be taken back")
	case w.Action != connector.Create && o.Changes == "refuse":
		return connector.Result{}, s.fail(fault.Invalid, op, "it was sent already: changes is refuse")
	case w.IdempotencyKey == "":
		return connector.Result{}, s.fail(fault.Invalid, op, "the mail's id is made of its change's, and there is none")
	}
	msg, id, err := s.message(o, &w)
	if err != nil {
		return connector.Result{}, s.fail(fault.Invalid, op, "%s", err)
	}
	c, end, err := s.connect(ctx, op)
	if err != nil {
		return connector.Result{}, err
	}
	defer end()
	if err := connector.Fence(ctx); err != nil {
		return connector.Result{}, &fault.Error{Kind: fault.Unavailable, System: s.name, Op: op, Err: err}
	}
	if err := c.Send(msg); err != nil && !msg.IsDelivered() {
		return connector.Result{}, s.refused(op, msg, err)
	}
	res := connector.Result{Local: w.Local}
	if w.Action == connector.Create {
		res.Local = id
	}
	return res, nil
}

// refused gives the failure of a mail its class: what a server says for good concerns this mail, what it says for now is tried again, and what it does not say after the last byte is unknown.
// Whom the mail is to is the document's, and not shown.
func (s *system) refused(op string, msg *gomail.Msg, err error) error {
	text := s.to.Harmless(err)
	for i, a := range slices.Concat(msg.GetTo(), msg.GetCc()) {
		text = regexp.MustCompile(`(?i)(^|[^\w.+-])`+regexp.QuoteMeta(a.Address)).ReplaceAllString(text, fmt.Sprintf("${1}[recipient %d]", i+1))
	}
	code := mailer.Code(err)
	var f *gomail.SendError
	known := errors.As(err, &f)
	switch {
	case code == 530 || code == 535:
		return s.fail(fault.Auth, op, "%s", text)
	case code >= 500:
		return s.fail(fault.Invalid, op, "%s", text)
	case code >= 400:
		return s.fail(fault.Unavailable, op, "%s", text)
	case known && slices.Contains([]gomail.SendErrReason{gomail.ErrGetSender, gomail.ErrGetRcpts, gomail.ErrSMTPMailFrom, gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrConnCheck}, f.Reason):
		return s.fail(fault.Unavailable, op, "%s", text) // before its text was sent
	}
	return s.fail(fault.UnknownOutcome, op, "%s", text)
}

// message makes a mail of a document.
func (s *system) message(o *object, w *connector.Write) (*gomail.Msg, string, error) {
	doc, err := jsondoc.Parse(w.Doc, jsondoc.Limits{})
	if err != nil {
		return nil, "", fmt.Errorf("the document is no JSON: %w", err)
	}
	fill := func(template string) (string, error) { return o.texts[template].fill(doc.Root()) }
	msg := gomail.NewMsg()
	from, err := stdmail.ParseAddress(s.set.From)
	if err != nil {
		return nil, "", fmt.Errorf("from: %q is no address", s.set.From)
	}
	msg.FromMailAddress(from)
	if s.set.ReplyTo != "" {
		if err := msg.ReplyTo(s.set.ReplyTo); err != nil {
			return nil, "", fmt.Errorf("reply-to: %w", err)
		}
	}
	for _, to := range []struct {
		key  string
		list []string
		add  func(*stdmail.Address)
	}{{"to", o.To, func(a *stdmail.Address) { msg.AddToMailAddress(a) }}, {"cc", o.CC, func(a *stdmail.Address) { msg.AddCcMailAddress(a) }}} {
		for _, template := range to.list {
			text, err := fill(template)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", to.key, err)
			}
			address, err := stdmail.ParseAddress(text) // one: a field must not name many
			if err != nil || strings.ContainsAny(text, "\r\n") {
				return nil, "", fmt.Errorf("%s: what %s gives is no address", to.key, template)
			}
			to.add(address)
		}
	}
	subject, err := fill(o.Subject)
	if err != nil {
		return nil, "", fmt.Errorf("subject: %w", err)
	}
	if strings.ContainsAny(subject, "\r\n") {
		return nil, "", errors.New("subject: a field in it holds a line end")
	}
	msg.Subject(subject)
	body, err := fill(o.Text)
	if err != nil {
		return nil, "", fmt.Errorf("text: %w", err)
	}
	msg.SetBodyString(gomail.TypeTextPlain, body)
	if o.Attach == "rows" {
		if err := o.attach(msg, doc.Root(), w); err != nil {
			return nil, "", err
		}
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	sum := sha256.Sum256([]byte(s.name + "\x00" + w.Object + "\x00" + w.IdempotencyKey))
	id := hex.EncodeToString(sum[:16]) + "@" + domain
	msg.SetMessageIDWithValue(id)
	msg.SetDate()
	msg.SetUserAgent("Waybill")
	return msg, id, nil
}

// attach adds the document's rows as a file.
func (o *object) attach(msg *gomail.Msg, root jsondoc.Value, w *connector.Write) error {
	doc := w.Doc
	if len(o.Fields) > 0 {
		doc = []byte{'{'}
		for _, name := range o.Fields {
			v := root.Get(name)
			if !v.Exists() {
				continue
			}
			if len(doc) > 1 {
				doc = append(doc, ',')
			}
			doc = append(append(jsondoc.AppendString(doc, name), ':'), v.Raw()...)
		}
		doc = append(doc, '}')
	}
	record, err := o.Record(doc, format.Change{Operation: string(w.Action), Event: w.IdempotencyKey})
	if err != nil {
		return err
	}
	data, err := o.File([][]byte{record})
	if err != nil {
		return err
	}
	name, err := o.texts[o.Name].fill(root)
	if err != nil {
		return fmt.Errorf("name: %w", err)
	}
	name = strings.Map(func(r rune) rune {
		if r < ' ' || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	return msg.AttachReader(name, bytes.NewReader(data))
}

// text is a text with fields of a document.
type text []part

// part is some of it: as it stands, or the path of a field.
type part struct {
	plain string
	path  []string
}

// parse reads a text. A brace stands twice where it means itself.
func parse(s string) (text, error) {
	var out text
	for s != "" {
		i := strings.IndexAny(s, "{}")
		if i < 0 {
			return append(out, part{plain: s}), nil
		}
		out = append(out, part{plain: s[:i]})
		if i+1 < len(s) && s[i+1] == s[i] {
			out = append(out, part{plain: s[i : i+1]})
			s = s[i+2:]
			continue
		}
		end := strings.IndexByte(s[i:], '}')
		if s[i] == '}' || end < 2 || strings.ContainsAny(s[i+1:i+end], "{ \n") {
			return nil, fmt.Errorf("%.40q has a brace that names no field", s[i:])
		}
		out = append(out, part{path: strings.Split(s[i+1:i+end], ".")})
		s = s[i+end+1:]
	}
	return out, nil
}

// fill gives the text of a document. A field that is not there, or holds more than one value, is an error.
func (t text) fill(root jsondoc.Value) (string, error) {
	var out strings.Builder
	for _, p := range t {
		if p.path == nil {
			out.WriteString(p.plain)
			continue
		}
		v := root
		for _, name := range p.path {
			v = v.Get(name)
		}
		switch v.Kind() {
		case jsondoc.String:
			out.WriteString(v.Str())
		case jsondoc.Number, jsondoc.Bool:
			out.Write(v.Raw())
		default:
			return "", fmt.Errorf("the document's %s is %s", strings.Join(p.path, "."), v.Kind())
		}
	}
	return out.String(), nil
}
