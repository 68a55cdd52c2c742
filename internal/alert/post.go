package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/httpclient"
)

// sendTimeout bounds one try to tell one receiver.
const sendTimeout = 15 * time.Second

// How much the robots take, in bytes of the text.
const (
	mostDingTalk = 18_000
	mostWeCom    = 4_000
)

// errNoAnswer ends a try.
var errNoAnswer = fmt.Errorf("no answer within %s", sendTimeout)

// send tells a receiver. An error says why it could not be told, without addresses and secrets.
func send(ctx context.Context, r *config.AlertReceiver, m *Message, log *slog.Logger) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, errNoAnswer)
	defer cancel()
	return why(ctx, by(ctx, r, m, log))
}

// why is the error of a try, in the same words whatever was waited for when its time was over.
func why(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errNoAnswer) {
		return errNoAnswer
	}
	return err
}

// by tells a receiver in its way.
func by(ctx context.Context, r *config.AlertReceiver, m *Message, log *slog.Logger) error {
	switch {
	case r.Webhook != nil:
		return post(ctx, r, r.Webhook, log, func(body []byte) (http.Header, httpclient.Query, error) {
			h, err := signed(r.Webhook.Secret.Reveal(), m, body)
			return h, nil, err
		}, webhookBody(m), accepted)
	case r.Slack != nil:
		escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
		return post(ctx, r, r.Slack, log, nil, map[string]string{"text": escape.Replace(m.text())}, accepted)
	case r.DingTalk != nil:
		return post(ctx, r, r.DingTalk, log, func([]byte) (http.Header, httpclient.Query, error) {
			return nil, dingSign(r.DingTalk.Secret.Reveal(), m.Time), nil
		}, map[string]any{"msgtype": "text", "text": map[string]string{"content": cut(m.text(), mostDingTalk)}}, robotAccepted)
	case r.WeCom != nil:
		return post(ctx, r, r.WeCom, log, nil, map[string]any{"msgtype": "text", "text": map[string]string{"content": cut(m.text(), mostWeCom)}}, robotAccepted)
	}
	return mailed(ctx, r.Mail, m)
}

// post sends a document to an address, which is a secret as a whole.
func post(ctx context.Context, r *config.AlertReceiver, to *config.AlertPost, log *slog.Logger, with func(body []byte) (http.Header, httpclient.Query, error), doc any,
	judge func(*httpclient.Response, *fault.Error) *fault.Error) error {
	address := to.URL.Reveal()
	var proof httpclient.Query
	hide := func(err error) error {
		var s connector.Scrubber
		s.Add(address)
		s.Add(to.Secret.Reveal())
		if u, perr := url.Parse(address); perr == nil {
			s.Add(u.RequestURI())
			s.Add(u.Path)
			s.Add(u.RawQuery)
			for _, values := range u.Query() {
				s.Add(values...)
			}
		}
		for _, p := range proof {
			s.Add(p.Value)
		}
		return errors.New(s.Text(err.Error()))
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	at, query, _ := strings.Cut(address, "?")
	c, err := httpclient.New(httpclient.Config{System: r.Name, URL: at, Timeout: sendTimeout, Log: log, MaxBody: 64 << 10})
	if err != nil {
		return hide(err)
	}
	defer func() { _ = c.Close() }()
	q := httpclient.Request{Method: http.MethodPost, Body: body, Op: "tell", Judge: judge}
	if with != nil {
		if q.Header, proof, err = with(body); err != nil {
			return err
		}
	}
	if query != "" {
		for _, one := range strings.Split(query, "&") {
			name, value, _ := strings.Cut(one, "=")
			name, nerr := url.QueryUnescape(name)
			value, verr := url.QueryUnescape(value)
			if err := errors.Join(nerr, verr); err != nil {
				return hide(fmt.Errorf("the address: %w", err))
			}
			q.Query = append(q.Query, httpclient.Param{Name: name, Value: value})
		}
	}
	q.Query = append(q.Query, proof...)
	if _, err := c.Do(ctx, q); err != nil {
		return hide(err)
	}
	return nil
}

func accepted(_ *httpclient.Response, failed *fault.Error) *fault.Error { return failed }

// robotAccepted reads the answer of a robot, which is 200 whatever came of it.
func robotAccepted(resp *httpclient.Response, failed *fault.Error) *fault.Error {
	if failed != nil {
		return failed
	}
	var answer struct {
		Code *int   `json:"errcode"`
		Text string `json:"errmsg"`
	}
	if err := json.Unmarshal(resp.Body, &answer); err != nil || answer.Code == nil {
		return &fault.Error{Kind: fault.Invalid, Err: errors.New("the answer holds no errcode: is this the address of a robot?")}
	}
	if *answer.Code == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Code: strconv.Itoa(*answer.Code), Err: errors.New(shorten(answer.Text, 300))}
}

// dingSign proves a request to a DingTalk robot that has a secret: HMAC-SHA256 of the time in milliseconds, a line feed and the secret itself.
func dingSign(secret string, at time.Time) httpclient.Query {
	if secret == "" {
		return nil
	}
	ms := strconv.FormatInt(at.UnixMilli(), 10)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(ms + "\n" + secret))
	return httpclient.Query{{Name: "timestamp", Value: ms}, {Name: "sign", Value: base64.StdEncoding.EncodeToString(h.Sum(nil))}}
}

// signed proves a message as Standard Webhooks say; without a secret it goes unsigned.
func signed(secret string, m *Message, body []byte) (http.Header, error) {
	h := http.Header{}
	stamp := strconv.FormatInt(m.Time.Unix(), 10)
	h.Set("webhook-id", m.ID)
	h.Set("webhook-timestamp", stamp)
	if secret == "" {
		return h, nil
	}
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(secret, "whsec_"), "="))
	if err != nil {
		return nil, errors.New("the secret must be base64, with or without whsec_ before it")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", m.ID, stamp, body)
	h.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h, nil
}

// told is one change in the document that webhooks get.
type told struct {
	Change  string    `json:"change"` // raised, still, over, or test
	What    string    `json:"what,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	Since   time.Time `json:"since,omitzero"`
	Over    time.Time `json:"over,omitzero"`
}

type document struct {
	ID     string    `json:"id"`
	Time   time.Time `json:"time"`
	Hub    string    `json:"hub"`
	Link   string    `json:"link,omitempty"`
	Title  string    `json:"title"`
	Alerts []told    `json:"alerts"`
}

func webhookBody(m *Message) document {
	d := document{ID: m.ID, Time: m.Time.UTC(), Hub: m.Hub, Link: m.Link, Title: m.title(), Alerts: []told{}}
	if m.Test {
		d.Alerts = append(d.Alerts, told{Change: "test", Text: m.lines()[0]})
	}
	for i := range m.Said {
		s := &m.Said[i]
		d.Alerts = append(d.Alerts, told{Change: s.Change, What: s.What, Subject: s.Subject, Text: s.Text, Since: s.Since.UTC(), Over: s.Gone.UTC()})
	}
	return d
}

// cut shortens a text to so many bytes, between two characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = "…"
	end := most - len(more)
	for end > 0 && text[end]&0xC0 == 0x80 {
		end--
	}
	return text[:end] + more
}
