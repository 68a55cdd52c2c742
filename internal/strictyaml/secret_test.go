package strictyaml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrints(t *testing.T) {
	const text = "hunter2"
	s := NewSecret(text)
	type holder struct {
		Public  Secret
		private Secret
		deep    struct{ p *Secret }
	}
	h := holder{Public: s, private: s}
	h.deep.p = &s
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		args := []any{s, s}[:strings.Count(verb, "%")]
		fmt.Fprintf(&out, verb+"\n", args...)
		fmt.Fprintf(&out, "%v %+v %#v\n", h, h, h)
		fmt.Fprintf(&out, verb+"\n", []any{&h, &h}[:strings.Count(verb, "%")]...)
	}
	fmt.Fprintln(&out, s, &s, []Secret{s}, map[string]Secret{"a": s}, fmt.Errorf("bad %v", s))
	b, err := json.Marshal(map[string]any{"h": h, "l": []*Secret{&s}, "k": map[Secret]int{s: 1}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(b)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info("x", "s", s, "h", h, "p", &s)
	}
	if strings.Contains(out.String(), text) || strings.Contains(out.String(), fmt.Sprintf("%x", text)) {
		t.Errorf("printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "[secret]") {
		t.Error("nothing stands for it")
	}
	if s.Reveal() != text || !s.Equal(NewSecret(text)) || s.Empty() || !(Secret{}).Empty() {
		t.Error("the secret is lost")
	}
}
