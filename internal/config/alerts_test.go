package config

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestAlertSettings(t *testing.T) {
	for name, value := range map[string]string{"CHAT_URL": "https://chat.example.com/T0?key=x", "FTP_URL": "ftp://chat.example.com", "PLAIN_URL": "http://chat.example.com/T0", "CHAT_SECRET": "s", "USER_URL": "https://u:p@chat.example.com/T0",
		"PART_URL": "https://chat.example.com/T0#part", "QUERY_URL": "https://chat.example.com/T0?key=%zz", "SIGNING": "whsec_c2VjcmV0"} {
		t.Setenv(name, value)
	}
	for text, want := range map[string]string{
		"to: {ops: {slack: {url: \"${env:CHAT_URL}\"}}}":                                    "",
		"to: {ops: {dingtalk: {url: \"${env:CHAT_URL}\", secret: \"${env:CHAT_SECRET}\"}}}": "",
		"to: {ops: {slack: {url: \"${env:FTP_URL}\"}}}":                                     "no address of HTTP",
		"to: {ops: {slack: {url: \"${env:PLAIN_URL}\"}}}":                                   "can be read on the way",
		"to: {ops: {slack: {url: \"${env:USER_URL}\"}}}":                                    "name and password in an address",
		"to: {ops: {slack: {url: \"${env:PART_URL}\"}}}":                                    "behind # is not sent",
		"to: {ops: {wecom: {url: \"${env:QUERY_URL}\"}}}":                                   "behind ? cannot be read",
		"to: {ops: {webhook: {url: \"${env:CHAT_URL}\", secret: \"${env:CHAT_URL}\"}}}":     "nothing can be signed with it",
		"to: {ops: {webhook: {url: \"${env:CHAT_URL}\", secret: \"${env:SIGNING}\"}}}":      "",
		"to: {ops: {of: [], slack: {url: \"${env:CHAT_URL}\"}}}":                            "a receiver of nothing is never told",
		"to: {ops: {}}": "the receiver ops needs webhook, slack, dingtalk, wecom or mail",
		"to: {ops: {slack: {url: \"${env:CHAT_URL}\"}, wecom: {url: \"${env:CHAT_URL}\"}}}": "has both",
		"to: {ops: {of: [lat], slack: {url: \"${env:CHAT_URL}\"}}}":                         `there are no alerts of "lat"`,
		"to: {ops: {urgent: [], of: [late], slack: {url: \"${env:CHAT_URL}\"}}}":            "",
		"to: {\"Ops team\": {slack: {url: \"${env:CHAT_URL}\"}}}":                           "cannot be a name",
		"after: 25h":      "after: 25h0m0s is not possible",
		"again: 30s":      "again: 30s is not possible",
		"again: 0s":       "",
		"every: 61m":      "every: 1h1m0s is not possible",
		"parked-over: -1": "parked-over: -1 is not possible",
		"quiet: [{from: \"22:00\", to: \"06:00\", timezone: Europe/Berlin, days: [mon]}]":                                     "",
		"quiet: [{from: \"24:00\", to: \"06:00\"}]":                                                                           `"24:00" is no time of day`,
		"quiet: [{from: \"9:00\", to: \"10:00\"}]":                                                                            `"9:00" is no time of day`,
		"quiet: [{from: \"22:00\", to: \"06:00\", timezone: Mars/Base}]":                                                      `"Mars/Base" is not known`,
		"quiet: [{from: \"22:00\", to: \"06:00\", days: [someday]}]":                                                          `"someday" is no day`,
		"to: {ops: {mail: {server: \"smtp.example.com:587\", from: a@example.com, to: [b@example.com]}}}":                     "",
		"to: {ops: {mail: {server: \"smtp.example.com:587\", from: a@example.com, to: []}}}":                                  "the list is empty",
		"to: {ops: {mail: {server: \"smtp.example.com:587\", from: nobody, to: [b@example.com]}}}":                            `"nobody" is no address of mail`,
		"to: {ops: {mail: {server: \"smtp.example.com:587\", user: u, from: a@example.com, to: [b@example.com]}}}":            "user and password go together",
		"to: {ops: {mail: {server: smtp.example.com, from: a@example.com, to: [b@example.com]}}}":                             "is no address",
		"to: {ops: {mail: {server: \"smtp.example.com:25\", tls: none, from: a@example.com, to: [b@example.com]}}}":           "would go in the clear",
		"to: {ops: {mail: {server: \"127.0.0.1:25\", tls: none, from: a@example.com, to: [b@example.com]}}}":                  "",
		"to: {ops: {mail: {server: \"smtp.example.com:587\", tls: opportunistic, from: a@example.com, to: [b@example.com]}}}": "opportunistic",
	} {
		fs := fstest.MapFS{"waybill.yaml": &fstest.MapFile{Data: []byte("alerts: {" + text + "}\n")}}
		_, problems := Load(Paths{Config: "waybill.yaml", ConfigFS: fs}, Options{})
		got := ""
		if err := problems.Err(); err != nil {
			got = err.Error()
		}
		for _, p := range problems.Notes() {
			if strings.Contains(p.Message, "url: ") {
				got += p.Message
			}
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestQuietAt(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	night := Quiet{From: 22 * 60, To: 6 * 60, Zone: berlin}
	fridays := Quiet{From: 22 * 60, To: 6 * 60, Zone: berlin, Days: []time.Weekday{time.Friday}}
	weekend := Quiet{From: 0, To: 0, Zone: berlin, Days: []time.Weekday{time.Saturday, time.Sunday}}
	lunch := Quiet{From: 12 * 60, To: 13 * 60, Zone: time.UTC}
	for _, c := range []struct {
		q    Quiet
		at   string // in UTC; 2026-11-27 is a Friday
		want bool
	}{
		{night, "2026-11-27T20:59:59Z", false}, {night, "2026-11-27T21:00:00Z", true}, {night, "2026-11-28T04:59:00Z", true}, {night, "2026-11-28T05:00:00Z", false},
		{night, "2026-07-01T20:00:00Z", true}, {night, "2026-07-01T04:00:00Z", false}, // in summer an hour earlier
		{fridays, "2026-11-27T22:00:00Z", true}, {fridays, "2026-11-28T03:00:00Z", true}, {fridays, "2026-11-28T22:00:00Z", false}, {fridays, "2026-11-27T03:00:00Z", false},
		{weekend, "2026-11-27T22:59:00Z", false}, {weekend, "2026-11-27T23:00:00Z", true}, {weekend, "2026-11-29T22:59:00Z", true}, {weekend, "2026-11-29T23:00:00Z", false},
		{lunch, "2026-11-27T12:59:59Z", true}, {lunch, "2026-11-27T13:00:00Z", false},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := QuietAt([]Quiet{{From: 60, To: 61, Zone: time.UTC}, c.q}, at); got != c.want {
			t.Errorf("%+v at %s: %v", c.q, c.at, got)
		}
	}
}
