package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Alerts are those who are told of what is wrong, and what they are to be told, or were told and is not over: the newest first.
type Alerts struct {
	Receivers []AlertReceiver `json:"receivers"`
	Alerts    []Alert         `json:"alerts"`
}

// AlertReceiver is somebody who is told.
type AlertReceiver struct {
	Name string `json:"name"`
	Way  string `json:"way" enum:"webhook,slack,dingtalk,wecom,mail"` // "webhook", "slack", "dingtalk", "wecom" or "mail"
	// Of is what it is told of, Urgent what of in quiet hours too; Quiet says whether it is such an hour now.
	Of     []string `json:"of"`
	Urgent []string `json:"urgent"`
	Quiet  bool     `json:"quiet"`
	// Last is when a message was taken by it last, as far as is known: by the hub that answers, since its start, or of an alert that lasts.
	Last *time.Time `json:"last,omitempty"`
	// Since and Why are there where it could not be told by the hub that answers.
	Since *time.Time `json:"since,omitempty"`
	Why   string     `json:"why,omitempty"`
}

// Alert is something that is wrong, as far as one receiver is concerned.
type Alert struct {
	Receiver string     `json:"receiver"`
	What     string     `json:"what"`
	Subject  string     `json:"subject,omitempty"`
	Text     string     `json:"text"`
	Since    time.Time  `json:"since"`
	Told     *time.Time `json:"told,omitempty"` // not there: not yet
	Gone     *time.Time `json:"gone,omitempty"` // it was not seen any more since then
}

// NewAlert shows an alert.
func NewAlert(a *state.Alert) Alert {
	return Alert{Receiver: a.Receiver, What: a.What, Subject: a.Subject, Text: a.Text, Since: a.Since, Told: instant(a.Told), Gone: instant(a.Gone)}
}

// AlertTest answers that a test was sent.
type AlertTest struct {
	Receiver string `json:"receiver"`
	Sent     bool   `json:"sent"`
}

func (s *Server) alerts(w http.ResponseWriter, r *http.Request) {
	got, err := s.hub.Alerts(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, got)
}

func (s *Server) testAlert(w http.ResponseWriter, r *http.Request, who string) {
	if !body(w, r, &Nothing{}, 4<<10) {
		return
	}
	receiver := r.PathValue("receiver")
	err := s.hub.TestAlert(r.Context(), receiver, who)
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		err = &Invalid{Detail: "the test did not get there: " + err.Error()}
	}
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, AlertTest{receiver, true})
}
