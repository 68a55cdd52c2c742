package console

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The viewer's page loads its own parts alone, and each of them is there, packed for whoever takes that and plain for others.
func TestViewer(t *testing.T) {
	w := visit(open(busy()), "GET", "/console/api?lang=zh", nil, nil)
	has(t, w, 200, `<html lang="zh-Hans">`, "返回总览", `<main id="api"`)
	page := w.Body.String()
	if strings.Contains(page, "<style") || strings.Contains(page, "style=") || strings.Contains(page, "onload") || strings.Contains(page, "http:") || strings.Contains(page, "https:") || strings.Contains(page, "<script>") {
		t.Errorf("the policy forbids it: %s", page)
	}
	for file, holds := range map[string]string{"swagger-ui.css": ".swagger-ui", "swagger-ui-bundle.js": "SwaggerUIBundle", "viewer.js": `url: "/openapi.json"`, "viewer.css": "body > header"} {
		if !strings.Contains(page, "/console/api/"+file) {
			t.Errorf("the page does not ask for %s", file)
		}
		for _, takes := range []string{"", "br, gzip;q=0.5", "gzip;q=0", "identity"} {
			w := visit(open(busy()), "GET", "/console/api/"+file, nil, func(r *http.Request) { r.Header.Set("Accept-Encoding", takes) })
			var body io.Reader = w.Body
			packed := w.Header().Get("Content-Encoding") == "gzip"
			if packed {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			text, err := io.ReadAll(body)
			if err != nil || w.Code != 200 || !strings.Contains(string(text), holds) || packed != (strings.Contains(takes, "q=0.5") && strings.HasPrefix(file, "swagger")) || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/") {
				t.Errorf("%s for %q: %d, %v, packed %v, %v", file, takes, w.Code, err, packed, w.Header())
			}
		}
	}
	for _, none := range []string{"/console/api/favicon-16x16.png", "/console/api/oauth2-redirect.html", "/console/api/swagger-ui.css.gz"} {
		if w := visit(open(busy()), "GET", none, nil, nil); w.Code != 404 {
			t.Errorf("%s: %d", none, w.Code)
		}
	}
}
