package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/waybill-hub/waybill/internal/config"
)

// mailed sends a message by mail. Its id is the message's own, so that a mailbox shows one that is sent again once.
func mailed(ctx context.Context, to *config.AlertMail, m *Message) error {
	msg := mail.NewMsg()
	if err := msg.From(to.From); err != nil {
		return fmt.Errorf("the sender %s: %w", to.From, err)
	}
	if err := msg.To(to.To...); err != nil {
		return fmt.Errorf("the receivers: %w", err)
	}
	_, domain, _ := strings.Cut(strings.TrimSuffix(to.From, ">"), "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDateWithValue(m.Time)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no answers of absent people
	msg.Subject(m.title())
	msg.SetBodyString(mail.TypeTextPlain, m.text()+"\n")

	opts := []mail.Option{mail.WithPort(to.Port), mail.WithTimeout(sendTimeout)}
	switch to.TLS {
	case "implicit":
		opts = append(opts, mail.WithSSL())
	case "none":
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if to.User != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(to.User), mail.WithPassword(to.Password.Reveal()))
	}
	c, err := mail.NewClient(to.Host, opts...)
	if err == nil {
		err = c.DialAndSendWithContext(ctx, msg)
	}
	if err == nil {
		return nil
	}
	text := err.Error()
	if p := to.Password.Reveal(); p != "" {
		text = strings.ReplaceAll(text, p, "[secret]")
	}
	return errors.New(oneLine(text))
}
