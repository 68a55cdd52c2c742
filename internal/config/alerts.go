package config

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// What alerts are of.
const (
	AlertHub         = "hub"          // the store, a disk, the broker, the clock
	AlertUnaccounted = "unaccounted"  // messages that are nowhere, objects that are there twice
	AlertAlarm       = "alarm"        // a flow stands still until a person looks
	AlertFailing     = "failing"      // something that a flow needs does not answer
	AlertLate        = "late"         // messages are older than they may be
	AlertSilent      = "silent"       // nothing comes
	AlertParked      = "parked"       // messages wait for a person
	AlertSource      = "source"       // a source has something that needs a person: failed files, lost changes, a sweep that is held
	AlertDown        = "down"         // a system is down
	AlertRefused     = "refused"      // a sender's deliveries are refused
	AlertDrift       = "drift"        // systems differ, or a rule does not hold
	AlertNotCompared = "not-compared" // a run was not brought to its end, or is overdue
	AlertCertificate = "certificate"  // a listener's certificate ends soon
)

// AlertWhats are all that alerts are of.
var AlertWhats = []string{
	AlertHub, AlertUnaccounted, AlertAlarm, AlertFailing, AlertLate, AlertSilent, AlertParked, AlertSource, AlertDown, AlertRefused, AlertDrift, AlertNotCompared, AlertCertificate,
}

// Alerts says who is told of what is wrong.
type Alerts struct {
	After, Again, Every time.Duration
	ParkedOver          int64
	To                  []AlertReceiver // in the order of their names
}

// AlertReceiver is somebody who is told; exactly one of the ways is set.
type AlertReceiver struct {
	Name       string
	Of, Urgent []string
	Quiet      []Quiet
	Webhook    *AlertPost
	Slack      *AlertPost
	DingTalk   *AlertPost
	WeCom      *AlertPost
	Mail       *AlertMail
}

// AlertPost is an address that is posted to. Secret may be empty.
type AlertPost struct{ URL, Secret strictyaml.Secret }

// AlertMail is how mail is sent. TLS is starttls, implicit or none.
type AlertMail struct {
	Host     string
	Port     int
	TLS      string
	User     string
	Password strictyaml.Secret
	From     string
	To       []string
}

// Quiet are hours of the day, From up to but without To in minutes since midnight, on the days on which they begin; To not after From: until the next day.
type Quiet struct {
	From, To int
	Zone     *time.Location
	Days     []time.Weekday // empty: all
}

// QuietAt reports whether a moment lies in any of the quiet hours.
func QuietAt(all []Quiet, at time.Time) bool {
	return slices.ContainsFunc(all, func(q Quiet) bool {
		local := at.In(q.Zone)
		now, day := local.Hour()*60+local.Minute(), local.Weekday()
		begins := func(d time.Weekday) bool { return len(q.Days) == 0 || slices.Contains(q.Days, d) }
		if q.From < q.To {
			return begins(day) && q.From <= now && now < q.To
		}
		return begins(day) && now >= q.From || begins((day+6)%7) && now < q.To
	})
}

const (
	longestAfter = 24 * time.Hour
	longestEvery = time.Hour
)

func (l *loader) alerts(raw alertsFile, n strictyaml.Node) Alerts {
	a := Alerts{After: raw.After, Again: raw.Again, Every: raw.Every, ParkedOver: raw.ParkedOver}
	if raw.After > longestAfter {
		l.p.AddHint(n.Get("after").Pos(), "write a time from 0s to 24h", "after: %s is not possible", raw.After)
	}
	if raw.Again > 0 && raw.Again < time.Minute {
		l.p.AddHint(n.Get("again").Pos(), "write a time of at least 1m, or 0s for never", "again: %s is not possible", raw.Again)
	}
	if raw.Every > longestEvery {
		l.p.AddHint(n.Get("every").Pos(), "write a time from 0s to 1h", "every: %s is not possible", raw.Every)
	}
	if raw.ParkedOver < 0 {
		l.p.Add(n.Get("parked-over").Pos(), "parked-over: %d is not possible", raw.ParkedOver)
	}
	quiet := l.quiet(raw.Quiet, n.Get("quiet"))
	to := n.Get("to")
	for _, key := range slices.Sorted(maps.Keys(raw.To)) {
		r, at := raw.To[key], to.Get(key)
		if !validName(key) {
			l.p.AddHint(to.KeyPos(key), nameHint, "%q cannot be a name", shorten(key))
		}
		out := AlertReceiver{Name: key, Of: l.whats(r.Of, at.Get("of"), AlertWhats), Quiet: quiet,
			Urgent: l.whats(r.Urgent, at.Get("urgent"), []string{AlertHub, AlertUnaccounted, AlertAlarm})}
		if at.Has("quiet") {
			out.Quiet = l.quiet(r.Quiet, at.Get("quiet"))
		}
		if l.only(at, "the receiver "+key, "webhook", "slack", "dingtalk", "wecom", "mail") {
			l.way(&out, &r, at)
		}
		a.To = append(a.To, out)
	}
	return a
}

// whats checks what a receiver is told of.
func (l *loader) whats(raw []string, n strictyaml.Node, all []string) []string {
	if n.Kind() == strictyaml.Missing {
		return slices.Clone(all)
	}
	if n.Key() == "of" && len(raw) == 0 {
		l.p.AddHint(n.Pos(), "leave it out for all, or name some", "of: a receiver of nothing is never told")
	}
	for i, item := range n.Items() {
		if i < len(raw) && !slices.Contains(AlertWhats, raw[i]) {
			hint := strictyaml.DidYouMean(raw[i], AlertWhats)
			if hint == "" {
				hint = "write some of " + strings.Join(AlertWhats, ", ")
			}
			l.p.AddHint(item.Pos(), hint, "%s: there are no alerts of %q", n.Key(), shorten(raw[i]))
		}
	}
	return raw
}

// way resolves how a receiver is told.
func (l *loader) way(out *AlertReceiver, r *receiverFile, n strictyaml.Node) {
	post := func(kind string, u, secret strictyaml.Secret) *AlertPost {
		at := n.Get(kind).Get("url")
		text := u.Reveal()
		if text == "" {
			return &AlertPost{URL: u, Secret: secret} // complained of already
		}
		to, err := url.Parse(text) // the error would show the address
		switch {
		case err != nil || to.Host == "" || to.Scheme != "https" && to.Scheme != "http":
			l.p.AddHint(at.Pos(), "write an address as https://chat.example.com/hooks/…", "url: this is no address of HTTP")
		case to.User != nil:
			l.p.AddHint(at.Pos(), "leave out what stands before the @", "url: a name and password in an address are not sent")
		case to.Fragment != "":
			l.p.AddHint(at.Pos(), "write it without", "url: what stands behind # is not sent")
		case badQuery(to):
			l.p.AddHint(at.Pos(), "copy it again", "url: what stands behind ? cannot be read")
		case to.Scheme == "http" && !loopbackHost(to.Hostname()):
			l.p.Note(at.Pos(), "write https", "url: what is sent there, and the address, can be read on the way")
		}
		return &AlertPost{URL: u, Secret: secret}
	}
	switch {
	case r.Webhook != nil:
		out.Webhook = post("webhook", r.Webhook.URL, r.Webhook.Secret)
		if !signing(r.Webhook.Secret.Reveal()) {
			l.p.AddHint(n.Get("webhook").Get("secret").Pos(), "write base64, with or without whsec_ before it", "secret: nothing can be signed with it")
		}
	case r.Slack != nil:
		out.Slack = post("slack", r.Slack.URL, strictyaml.Secret{})
	case r.Ding != nil:
		out.DingTalk = post("dingtalk", r.Ding.URL, r.Ding.Secret)
	case r.WeCom != nil:
		out.WeCom = post("wecom", r.WeCom.URL, strictyaml.Secret{})
	case r.Mail != nil:
		out.Mail = l.mail(r.Mail, n.Get("mail"))
	}
}

// badQuery reports whether the part of an address behind its ? cannot be read.
func badQuery(u *url.URL) bool {
	_, err := url.ParseQuery(u.RawQuery)
	return err != nil
}

// signing reports whether a text is a secret of Standard Webhooks, or none at all.
func signing(text string) bool {
	_, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "="))
	return err == nil
}

func (l *loader) mail(raw *mailFile, n strictyaml.Node) *AlertMail {
	m := &AlertMail{TLS: raw.TLS, User: raw.User, Password: raw.Password, From: raw.From, To: raw.To}
	if at := n.Get("server"); l.address(at, raw.Server, "smtp.example.com:587") {
		host, port, _ := net.SplitHostPort(raw.Server)
		m.Host = host
		if _, err := fmt.Sscan(port, &m.Port); err != nil || m.Port <= 0 {
			l.p.AddHint(at.Pos(), "write the port as a number: 587 for starttls, 465 for implicit", "server: %q is no port", port)
		}
		if raw.TLS == "none" && !loopbackHost(host) {
			l.p.AddHint(n.Get("tls").Pos(), "remove it, or name a server of this machine", "tls: mail to %s would go in the clear", host)
		}
	}
	if (raw.User == "") != raw.Password.Empty() {
		l.p.AddHint(n.Pos(), "give both or neither", "mail: user and password go together")
	}
	whom := func(at strictyaml.Node, text string) {
		if _, err := mail.ParseAddress(text); err != nil && text != "" {
			l.p.AddHint(at.Pos(), "write an address as ops@example.com", "%q is no address of mail", shorten(text))
		}
	}
	whom(n.Get("from"), raw.From)
	for i, item := range n.Get("to").Items() {
		if i < len(raw.To) {
			whom(item, raw.To[i])
		}
	}
	if n.Has("to") && len(raw.To) == 0 {
		l.p.AddHint(n.Get("to").Pos(), "write for example [ops@example.com]", "to: the list is empty")
	}
	return m
}

var weekdays = map[string]time.Weekday{"sun": time.Sunday, "mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday, "thu": time.Thursday, "fri": time.Friday, "sat": time.Saturday}

func (l *loader) quiet(raw []quietFile, n strictyaml.Node) []Quiet {
	var out []Quiet
	for i, item := range n.Items() {
		if i >= len(raw) {
			break
		}
		q := Quiet{Zone: time.UTC, From: l.timeOfDay(item.Get("from"), raw[i].From), To: l.timeOfDay(item.Get("to"), raw[i].To)}
		if at := item.Get("timezone"); raw[i].Timezone != "" {
			if zone := l.zone(at); zone != nil {
				q.Zone = zone
			}
		}
		for k, at := range item.Get("days").Items() {
			if k >= len(raw[i].Days) {
				break
			}
			day, ok := weekdays[raw[i].Days[k]]
			if !ok {
				l.p.AddHint(at.Pos(), "write mon, tue, wed, thu, fri, sat or sun", "days: %q is no day", shorten(raw[i].Days[k]))
			}
			q.Days = append(q.Days, day)
		}
		out = append(out, q)
	}
	return out
}

// timeOfDay is a time of day in minutes since midnight.
func (l *loader) timeOfDay(n strictyaml.Node, text string) int {
	if text == "" {
		return 0 // complained of already
	}
	at, err := time.Parse("15:04", text)
	if err != nil || len(text) != 5 {
		l.p.AddHint(n.Pos(), `write hours and minutes in quotes, as "22:00"`, "%s: %q is no time of day", n.Key(), shorten(text))
		return 0
	}
	return at.Hour()*60 + at.Minute()
}
