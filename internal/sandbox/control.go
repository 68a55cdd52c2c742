package sandbox

import (
	"encoding/json"
	"net/http"
)

// control is the endpoint at which a running system is watched and switched.
//
//	GET  /_control           {"system","chaos":{…},"pending":{…}}
//	PUT  /_control/chaos     the new chaos settings, all of them
//	PATCH /_control/chaos    some of them
//	POST /_control/quiesce   no new business
//	POST /_control/resume    business again
//	POST /_control/freeze    nothing moves by itself any more
//	GET  /_control/snapshot  every object: {"entity":[{…}]}
type control struct {
	system  string
	imp     *imp
	traffic *traffic
	pending func() map[string]int
	objects func() map[string][]Object
}

func (c control) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /_control", c.status)
	mux.HandleFunc("PUT /_control/chaos", func(w http.ResponseWriter, r *http.Request) { c.chaos(w, r, Chaos{}) })
	mux.HandleFunc("PATCH /_control/chaos", func(w http.ResponseWriter, r *http.Request) { c.chaos(w, r, c.imp.Chaos()) })
	for name, set := range map[string][2]bool{"quiesce": {false, true}, "resume": {true, true}, "freeze": {false, false}} {
		mux.HandleFunc("POST /_control/"+name, func(w http.ResponseWriter, r *http.Request) {
			c.traffic.set(set[0], set[1])
			c.status(w, r)
		})
	}
	mux.HandleFunc("GET /_control/snapshot", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, c.objects()) })
}

func (c control) status(w http.ResponseWriter, _ *http.Request) {
	answer(w, 200, map[string]any{"system": c.system, "chaos": c.imp.Chaos(), "pending": c.pending()})
}

func (c control) chaos(w http.ResponseWriter, r *http.Request, set Chaos) {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&set); err != nil {
		answer(w, 400, map[string]any{"error": err.Error()})
		return
	}
	c.imp.Set(set)
	c.status(w, r)
}
