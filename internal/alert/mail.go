package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wneessen/go-mail"

	"github.com/waybill-hub/waybill/internal/config"
	"github.com/waybill-hub/waybill/internal/mailer"
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

	server := mailer.Server{Host: to.Host, Port: to.Port, TLS: to.TLS, User: to.User, Password: to.Password, Timeout: sendTimeout}
	c, end, err := server.Connect(ctx)
	if err == nil {
		defer end()
		if err = c.Send(msg); err == nil || msg.IsDelivered() {
			return nil
		}
	}
	return errors.New(oneLine(server.Harmless(err)))
}
