package config

import (
	"testing"
	"testing/fstest"
	"time"
)

func TestDocumentsKept(t *testing.T) {
	for text, want := range map[string]Documents{
		"": {7 * 24 * time.Hour, 256 << 20}, "http: {listen: 127.0.0.1:1}\n": {7 * 24 * time.Hour, 256 << 20}, "journal: {documents: {}}\n": {7 * 24 * time.Hour, 256 << 20}, "journal: {documents: {days: 0}}\n": {0, 256 << 20},
		"journal: {documents: {days: 30, size: 2GiB}}\n": {30 * 24 * time.Hour, 2 << 30},
	} {
		plan, p := Load(Paths{Config: "w.yaml", ConfigFS: fstest.MapFS{"w.yaml": &fstest.MapFile{Data: []byte(text)}}}, Options{})
		if p.Len() > 0 {
			t.Errorf("%q: %v", text, p.Err())
			continue
		}
		if got := plan.Hub.Documents; got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	for text, wrong := range map[string]bool{"journal: {documents: {days: 91}}\n": true, "journal: {documents: {days: -1}}\n": true, "journal: {documents: {size: 1KiB}}\n": false} {
		_, p := Load(Paths{Config: "w.yaml", ConfigFS: fstest.MapFS{"w.yaml": &fstest.MapFile{Data: []byte(text)}}}, Options{})
		if wrong != (p.Len() > 0) || !wrong && len(p.Notes()) != 1 {
			t.Errorf("%q: %v, notes %v", text, p.Err(), p.Notes())
		}
	}
}
