// Package mail is the connector that sends documents by mail: a text for the reader, and the document's rows as an attached file. It sends, and reads nothing.
package mail

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	stdmail "net/mail"
	"os"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/waybill-hub/waybill/internal/connector"
	"github.com/waybill-hub/waybill/internal/fault"
	"github.com/waybill-hub/waybill/internal/format"
	"github.com/waybill-hub/waybill/internal/mailer"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// Kind is the connector kind "mail".
type Kind struct{}

type settings struct {
	connector.Common `yaml:",inline"`
	Host             string             `yaml:"host,required" doc:"name of the mail server that takes what is sent; its certificate must have it"`
	Port             int                `yaml:"port" default:"587" doc:"its port"`
	TLS              string             `yaml:"tls" default:"starttls" enum:"starttls,implicit" doc:"starttls: the connection is encrypted before anything is said, or nothing is; implicit: from its first byte, mostly at port 465"`
	CA               string             `yaml:"ca" doc:"file with the certificates that are trusted, in PEM; relative to the configuration file. Default: those of this machine"`
	User             string             `yaml:"user" doc:"the user there; default: none is asked for"`
	Password         strictyaml.Secret  `yaml:"password" doc:"its password"`
	From             string             `yaml:"from,required" doc:"the sender, such as Sales <sales@example.com>"`
	ReplyTo          string             `yaml:"reply-to" doc:"where answers go; default: to the sender"`
	Timeout          time.Duration      `yaml:"timeout" default:"30s" doc:"for connecting, and how long the server may say nothing"`
	Objects          map[string]*object `yaml:"objects,required" doc:"the object types, by the name that flows use"`

	pool *x509.CertPool
}

type object struct {
	To              []string `yaml:"to,required" doc:"addresses, or fields of the document that hold one, such as {customer.email}"`
	CC              []string `yaml:"cc" doc:"those who get a copy"`
	Subject         string   `yaml:"subject,required" doc:"the subject, with {field} and {deeper.field} of the document"`
	Text            string   `yaml:"text,required" doc:"the text, with fields too"`
	Attach          string   `yaml:"attach" default:"rows" enum:"rows,nothing" doc:"rows: the document as a file of its format; nothing: the text is all"`
	Fields          []string `yaml:"fields" doc:"fields of the document that are in the file; default: all"`
	Name            string   `yaml:"name" doc:"name of the file, with fields; default: the object type's, with the format's ending"`
	Changes         string   `yaml:"changes" default:"another" enum:"another,refuse" doc:"what becomes of a change of what was sent before: another mail, or it is refused"`
	format.Settings `yaml:",inline"`

	texts map[string]text
}

// Spec describes the settings.
func (Kind) Spec() connector.Spec {
	return connector.Spec{
		Kind:    "mail",
		Summary: "Mails with a text and a file, such as quotes as XLSX (docs/files.md); they are sent, and none is read",
		Fields:  connector.Fields[settings](),
		Can:     connector.Abilities{Write: true, Find: true},
	}
}

// Check reads the settings and adds every problem to p.
func (Kind) Check(s connector.Settings, p *strictyaml.Problems) { read(s, p) }

// Open makes the system ready. Nothing is asked of the server.
func (Kind) Open(_ context.Context, s connector.Settings) (connector.System, error) {
	var p strictyaml.Problems
	set := read(s, &p)
	if err := p.Err(); err != nil {
		return nil, err
	}
	to := &mailer.Server{Host: set.Host, Port: set.Port, TLS: set.TLS, Roots: set.pool, User: set.User, Password: set.Password, Timeout: set.Timeout}
	return &system{name: s.Name, set: set, to: to}, nil
}

func read(s connector.Settings, p *strictyaml.Problems) *settings {
	set := &settings{}
	s.Decode(set, p)
	n := s.Node
	if set.Port < 1 || set.Port > 65535 {
		p.Add(n.Get("port").Pos(), "port: %d is none", set.Port)
	}
	if n.Has("timeout") {
		connector.Positive(n.Get("timeout"), p)
	}
	if (set.User == "") != set.Password.Empty() {
		p.Add(n.Pos(), "mail: user and password go together")
	}
	for key, address := range map[string]string{"from": set.From, "reply-to": set.ReplyTo} {
		if _, err := stdmail.ParseAddress(address); address != "" && err != nil && !strings.Contains(n.Get(key).Text(), "${") {
			p.AddHint(n.Get(key).Pos(), "write Sales <sales@example.com> or sales@example.com", "%s: %q is no address", key, address)
		}
	}
	if set.CA != "" {
		set.trust(s, p)
	}
	if set.Objects != nil && len(set.Objects) == 0 {
		p.Add(n.Get("objects").Pos(), "objects: name at least one")
	}
	for _, name := range slices.Sorted(maps.Keys(set.Objects)) {
		if o := set.Objects[name]; o != nil {
			o.complete(name, n.Get("objects").Get(name), p)
		}
	}
	return set
}

func (set *settings) trust(s connector.Settings, p *strictyaml.Problems) {
	at := s.Node.Get("ca").Pos()
	pem, err := os.ReadFile(s.Path(set.CA))
	if err != nil {
		p.Add(at, "ca: %s cannot be read", set.CA)
		return
	}
	set.pool = x509.NewCertPool()
	if !set.pool.AppendCertsFromPEM(pem) {
		p.Add(at, "ca: %s holds no certificate in PEM", set.CA)
	}
}

func (o *object) complete(name string, n strictyaml.Node, p *strictyaml.Problems) {
	o.Complete(n, p)
	if o.Name == "" {
		o.Name = name + "." + o.Ending()
	}
	o.texts = map[string]text{}
	add := func(at strictyaml.Node, value string) {
		t, err := parse(value)
		if err != nil {
			p.AddHint(at.Pos(), "write for example Quote {no}", "%s: %s", at.Key(), err)
		}
		o.texts[value] = t
	}
	if len(o.To) == 0 && n.Has("to") {
		p.Add(n.Get("to").Pos(), "to: name at least one address")
	}
	for key, list := range map[string][]string{"to": o.To, "cc": o.CC} {
		for i, address := range list {
			at := n.Get(key).Items()[i]
			add(at, address)
			if _, err := stdmail.ParseAddress(address); err != nil && !strings.Contains(address, "{") {
				p.Add(at.Pos(), "%s: %q is no address", key, address)
			}
		}
	}
	add(n.Get("subject"), o.Subject)
	add(n.Get("text"), o.Text)
	add(n.Get("name"), o.Name)
	if o.Attach == "rows" && o.Format != "jsonl" && o.Format != "xml" {
		if columns, _ := o.Listed(); len(columns) == 0 {
			p.AddHint(n.Pos(), "list the columns in their order, or set attach: nothing", "%s: %s.columns says nothing of the file's columns", name, o.Format)
		}
	}
}

// system sends. Every mail has a connection of its own: there are few of them.
type system struct {
	name string
	set  *settings
	to   *mailer.Server
}

var (
	_ connector.Sink      = (*system)(nil)
	_ connector.Finder    = (*system)(nil)
	_ connector.Objects   = (*system)(nil)
	_ connector.WriteOnce = (*system)(nil)
)

// Objects lists the names of the configured object types.
func (s *system) Objects() []string { return slices.Sorted(maps.Keys(s.set.Objects)) }

// Close has nothing to close.
func (s *system) Close() error { return nil }

// WriteOnce: what was sent stays what it is.
func (*system) WriteOnce() {}

// Find cannot: nobody can look whether a mail has arrived.
func (s *system) Find(_ context.Context, l connector.Lookup) ([]connector.Record, error) {
	f := s.fail(fault.Invalid, "find "+l.Object, "")
	f.Err = fmt.Errorf("%w: a mail that was sent cannot be looked for", connector.ErrNoLookup)
	return nil, f
}

func (s *system) fail(k fault.Kind, op, format string, args ...any) *fault.Error {
	f := fault.New(k, format, args...)
	f.System, f.Op = s.name, op
	return f
}

// Probe connects and logs in.
func (s *system) Probe(ctx context.Context) error {
	_, end, err := s.connect(ctx, "probe")
	if err == nil {
		end()
	}
	return err
}

// connect gives a connection that is encrypted, and logged in where there is a user. It breaks when ctx ends; end ends it in order.
func (s *system) connect(ctx context.Context, op string) (_ *gomail.Client, end func(), _ error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, s.fail(fault.Unavailable, op, "%w", err)
	}
	c, end, err := s.to.Connect(ctx)
	switch {
	case err == nil:
		return c, end, nil
	case mailer.Denied(err):
		return nil, nil, s.fail(fault.Auth, op, "%s", s.to.Harmless(err))
	}
	return nil, nil, s.fail(fault.Unavailable, op, "%s", s.to.Harmless(err))
}
