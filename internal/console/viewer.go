package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// The viewer of the API's description is Swagger UI, whose files the program carries. It stands on a page of its own, whose styles are not the console's, and
// whose Content-Security-Policy lets its script make markup (access.AsViewer).

//go:embed viewer.html
var viewerPage string

//go:embed viewer.js viewer.css
var viewerOwn embed.FS

var viewer = template.Must(template.New("viewer").Parse(viewerPage))

// viewerFiles are the parts that the page asks for; those of Swagger UI are packed.
var viewerFiles = map[string]string{"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8", "viewer.css": "text/css; charset=utf-8",
	"viewer.js": "text/javascript; charset=utf-8"}

// viewing shows the API's description.
func (c *Console) viewing(w http.ResponseWriter, r *http.Request) {
	var out bytes.Buffer
	if err := viewer.Execute(&out, c.page(w, r)); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language, Cookie")
	_, _ = w.Write(out.Bytes()) // the reader has gone: nothing to tell it
}

// viewerFile serves a part of it. Whoever takes nothing packed gets it unpacked.
func (c *Console) viewerFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	media, known := viewerFiles[name]
	if own, err := viewerOwn.ReadFile(name); err == nil {
		w.Header().Set("Content-Type", media)
		_, _ = w.Write(own) // the reader has gone: nothing to tell it
		return
	}
	packed, err := static.FS.ReadFile(name + ".gz")
	if !known || err != nil {
		http.Error(w, "the viewer has no such part", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Vary", "Accept-Encoding")
	if takesPacked(r) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed)
		return
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		http.Error(w, "the part cannot be unpacked: "+err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.Copy(w, plain)
}

func takesPacked(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(r.Header.Get("Accept-Encoding"), ","), func(part string) bool {
		coding, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		return coding == "gzip" && weight != "q=0"
	})
}
