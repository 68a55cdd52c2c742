// Package console is the hub's status page: one page that shows in five seconds whether anything is late, stuck, lost or
// doubled, finds any object by its number, and lists what waits for a person. It asks the API for everything it shows.
package console

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed page
var files embed.FS

// Handler serves the page at / and its parts below /console/.
func Handler() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the embedded directory has that name
	}
	mux := http.NewServeMux()
	parts := http.StripPrefix("/console/", http.FileServerFS(page))
	mux.HandleFunc("GET /console/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := fs.Stat(page, path.Clean("./"+strings.TrimPrefix(r.URL.Path, "/console/"))); err != nil {
			http.Error(w, "the page has no such part", http.StatusNotFound) // the file server's own answer takes headers away
			return
		}
		parts.ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, page, "index.html") })
	return mux
}
