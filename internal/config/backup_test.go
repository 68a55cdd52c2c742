package config

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestBackupSettings(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                           "",
		"backup: {dir: backups}":       "",
		"backup: {resent-for: 0s}":     "",
		"backup: {rate: 256KiB}":       "",
		"backup: {rate: 255KiB}":       "waybill.yaml:1:16: rate: 255KiB a second is not possible",
		"backup: {resent-for: 720h}":   "",
		"backup: {resent-for: 721h}":   "waybill.yaml:1:22: resent-for: 721h0m0s is not possible",
		"backup: {dir: data/broker}":   "lie in each other",
		"backup: {dir: data}":          "lie in each other",
		"backup: {dir: data/broker/x}": "lie in each other",
		"{backup: {dir: b}, store: {postgres: {url: \"postgres://x\"}}}":       "copies of the embedded broker and SQLite alone",
		"{backup: {dir: b}, broker: {kafka: {brokers: [\"127.0.0.1:9092\"]}}}": "copies of the embedded broker and SQLite alone",
	} {
		fs := fstest.MapFS{"waybill.yaml": &fstest.MapFile{Data: []byte(text + "\n")}}
		plan, problems := Load(Paths{Config: "waybill.yaml", ConfigFS: fs}, Options{})
		got := ""
		if err := problems.Err(); err != nil {
			got = err.Error()
		}
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if text == "{}" && (plan.Hub.Backup != Backup{Rate: 32 << 20, Resent: 24 * time.Hour}) {
			t.Errorf("by default %+v", plan.Hub.Backup)
		}
	}
}
