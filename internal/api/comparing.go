package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/waybill-hub/waybill/internal/state"
)

// Comparing is what the API asks about reconciliations and rules; kind is state.RunReconciliation or state.RunRule. What it does not know is
// state.ErrNotFound, what cannot be done *Invalid.
type Comparing interface {
	// Reconciliations and Rules are those of the files as the status has them, with the trend of their last runs.
	Reconciliations(ctx context.Context) ([]Reconciliation, error)
	Rules(ctx context.Context) ([]Rule, error)
	// Want asks for a run; *UnderWay where one is wanted or running.
	Want(ctx context.Context, kind, name string, q RunRequest, who string) (*state.Comparison, error)
	// Runs lists runs, newest first, also those of a name that the files have no more.
	Runs(ctx context.Context, f state.ComparisonFilter) ([]state.Comparison, error)
	RunByID(ctx context.Context, id int64) (*state.Comparison, error)
	// Differences gives a page by number, as the store does.
	Differences(ctx context.Context, f state.DifferenceFilter) ([]state.Difference, error)
	// NoRepair says why nothing that runs of a name find is repaired; empty: it can be.
	NoRepair(kind, name string) string
	// CancelRun asks for the end of a run; state.ErrBusy where it is over.
	CancelRun(ctx context.Context, id int64, who, note string) (*state.Comparison, error)
	// Forget takes away what a rule remembers of an object, by its id in its system.
	Forget(ctx context.Context, rule, object, who, note string) error
	// RepairRun wants a run that repairs what another has found; *UnderWay as Want has it, state.ErrBusy where the other is not over.
	RepairRun(ctx context.Context, id int64, q RepairRequest, who string) (*state.Comparison, error)
}

// UnderWay refuses a run because another one of the name is wanted or running.
type UnderWay struct{ Run state.Comparison }

func (u *UnderWay) Error() string {
	return fmt.Sprintf("run %d of %s %s is under way already (%s): wait for its end, or cancel it", u.Run.ID, u.Run.Kind, u.Run.Name, u.Run.State)
}

// MostNumbers is how many differences a repair may name by their numbers.
const MostNumbers = 10_000

// RunRequest asks for a run now.
type RunRequest struct {
	// Key looks at one object alone; Since at what has changed since.
	Key   string    `json:"key,omitempty" text:"some"`
	Since time.Time `json:"since,omitzero"`
	// Repair writes what differs through the flows; DryRun, with it, shows what would be sent instead. Deletes: deletions are repaired, too.
	Repair  bool `json:"repair,omitempty"`
	DryRun  bool `json:"dry_run,omitempty"`
	Deletes bool `json:"deletes,omitempty"`
	// AtMost confirms that so many differences may be repaired; 0: as the file says.
	AtMost Whole `json:"at_most,omitempty" min:"0"`
	// Note is why; it goes to the audit.
	Note string `json:"note,omitempty"`
}

// Options are what the run is asked for.
func (q *RunRequest) Options() state.CompareOptions {
	return state.CompareOptions{Key: q.Key, Since: q.Since, Repair: q.Repair, DryRun: q.DryRun, Deletes: q.Deletes, AtMost: int(q.AtMost)}
}

// RepairRequest asks that what a run has found be repaired: All of it, or what has one of the Numbers or Reasons.
type RepairRequest struct {
	Numbers []Whole  `json:"numbers,omitempty" min:"1" maxitems:"10000"`
	Reasons []string `json:"reasons,omitempty" text:"some"`
	All     bool     `json:"all,omitempty"`
	DryRun  bool     `json:"dry_run,omitempty"`         // show what would be sent
	Deletes bool     `json:"deletes,omitempty"`         // repair deletions, too
	AtMost  Whole    `json:"at_most,omitempty" min:"0"` // with repair: so many may be repaired, whatever the file says
	Note    string   `json:"note,omitempty"`            // why; it goes to the audit
}

// Options are what the repairing run is asked for.
func (q *RepairRequest) Options(from int64) state.CompareOptions {
	var numbers []int
	for _, n := range q.Numbers {
		numbers = append(numbers, int(n))
	}
	return state.CompareOptions{From: from, Repair: true, DryRun: q.DryRun, Deletes: q.Deletes, AtMost: int(q.AtMost), Numbers: numbers, Reasons: q.Reasons}
}

func (q *RepairRequest) wrong() string {
	some := len(q.Numbers)+len(q.Reasons) > 0
	switch {
	case !some && !q.All:
		return `say what is to be repaired: numbers, reasons, or "all": true`
	case some && q.All:
		return "all stands for everything: leave numbers and reasons out"
	case len(q.Numbers) > 0 && len(q.Reasons) > 0:
		return "give numbers or reasons, not both"
	case len(q.Numbers) > MostNumbers:
		return fmt.Sprintf("at most %d numbers: name the rest in another request, or give reasons", MostNumbers)
	case q.AtMost < 0:
		return "at_most is a number from 1 on"
	}
	for _, n := range q.Numbers {
		if n < 1 {
			return fmt.Sprintf("%d is no difference's number: they begin at 1", n)
		}
	}
	return ""
}

// Runs is a page of runs, newest first. Next is there where there are older ones: ask with before.
type Runs struct {
	Runs []Run `json:"runs"`
	Next int64 `json:"next,omitempty"` // ask for older ones with before
}

// Differences is a page of what a run has found, by number. Next is there where there are more: ask with after.
type Differences struct {
	Run         int64              `json:"run"`
	Differences []state.Difference `json:"differences"`
	Next        int                `json:"next,omitempty"` // ask for more with after
}

// Reconciliations are those of the files.
type Reconciliations struct {
	Reconciliations []Reconciliation `json:"reconciliations"`
}

// Rules are those of the files.
type Rules struct {
	Rules []Rule `json:"rules"`
}

// CancelRequest asks for an end.
type CancelRequest struct {
	Note string `json:"note,omitempty"` // why; it goes to the audit
}

func (s *Server) reconciliations(w http.ResponseWriter, r *http.Request) {
	list, err := s.hub.Reconciliations(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Reconciliations{list})
}

func (s *Server) rules(w http.ResponseWriter, r *http.Request) {
	list, err := s.hub.Rules(r.Context())
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Rules{list})
}

// want answers a wish for a run.
func (s *Server) want(kind string) actor {
	return func(w http.ResponseWriter, r *http.Request, who string) {
		var q RunRequest
		if !body(w, r, &q, 8<<10) {
			return
		}
		switch {
		case q.AtMost < 0:
			problem(w, http.StatusBadRequest, "at_most is a number from 1 on")
			return
		case (q.DryRun || q.Deletes || q.AtMost != 0) && !q.Repair:
			problem(w, http.StatusUnprocessableEntity, "dry_run, deletes and at_most say how to repair: give repair, too")
			return
		}
		run, err := s.hub.Want(r.Context(), kind, r.PathValue("name"), q, who)
		s.wanted(w, r, run, err)
	}
}

// wanted answers with the run that is wanted now.
func (s *Server) wanted(w http.ResponseWriter, r *http.Request, run *state.Comparison, err error) {
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, RunView(run))
}

// runs lists the runs of a name.
func (s *Server) runs(kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		limit := int(of(r).number("limit"))
		list, err := s.hub.Runs(r.Context(), state.ComparisonFilter{Kind: kind, Name: r.PathValue("name"), Before: of(r).number("before"), Limit: limit + 1})
		if err != nil {
			s.failed(w, r, err)
			return
		}
		views, next := pageOf(list, limit, RunView, func(v *Run) int64 { return v.ID })
		answer(w, http.StatusOK, Runs{Runs: views, Next: next})
	}
}

// pageOf gives a page of a list that was asked for one row more than fits, and the id below which it goes on; 0: it does not.
func pageOf[T, V any](list []T, limit int, view func(*T) *V, id func(*V) int64) (page []V, next int64) {
	page = []V{}
	for i := range list[:min(len(list), limit)] {
		page = append(page, *view(&list[i]))
	}
	if len(list) > limit {
		next = id(&page[limit-1])
	}
	return page, next
}

func (s *Server) run(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	run, err := s.hub.RunByID(r.Context(), id)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	v := RunView(run)
	v.NoRepair = s.hub.NoRepair(run.Kind, run.Name)
	answer(w, http.StatusOK, v)
}

func (s *Server) cancelRun(w http.ResponseWriter, r *http.Request, who string) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var q CancelRequest
	if !body(w, r, &q, 4<<10) {
		return
	}
	run, err := s.hub.CancelRun(r.Context(), id, who, q.Note)
	s.wanted(w, r, run, err)
}

// ForgetRequest names an object of which a rule is to forget what it remembers. Note is why; it goes to the audit.
type ForgetRequest struct {
	Object string `json:"object" text:"some"` // the object's id in its system, as violations name it
	Note   string `json:"note,omitempty"`     // why; it goes to the audit
}

// Forgotten says of what a rule remembers nothing any more.
type Forgotten struct {
	Rule   string `json:"rule"`
	Object string `json:"object"`
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request, who string) {
	var q ForgetRequest
	if !body(w, r, &q, 8<<10) {
		return
	}
	if q.Object == "" {
		problem(w, http.StatusBadRequest, "object is missing: the object's id in its system, as violations name it")
		return
	}
	name := r.PathValue("name")
	if err := s.hub.Forget(r.Context(), name, q.Object, who, q.Note); err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, Forgotten{Rule: name, Object: q.Object})
}

func (s *Server) repairRun(w http.ResponseWriter, r *http.Request, who string) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	var q RepairRequest
	if !body(w, r, &q, 256<<10) {
		return
	}
	if why := q.wrong(); why != "" {
		problem(w, http.StatusBadRequest, why)
		return
	}
	run, err := s.hub.RepairRun(r.Context(), id, q, who)
	s.wanted(w, r, run, err)
}

func (s *Server) differences(w http.ResponseWriter, r *http.Request) {
	id, ok := pathID(w, r)
	if !ok {
		return
	}
	if _, err := s.hub.RunByID(r.Context(), id); err != nil {
		s.failed(w, r, err)
		return
	}
	q := of(r)
	f := state.DifferenceFilter{Run: id, Kind: q.text("kind"), Reason: q.text("reason"), Drift: q.flag("drift"), After: int(q.number("after")), Limit: int(q.number("limit"))}
	page, err := s.differencePage(r.Context(), f)
	if err != nil {
		s.failed(w, r, err)
		return
	}
	answer(w, http.StatusOK, page)
}

// differencePage is a page, and whether there is one behind it: a short one may only hold large differences.
func (s *Server) differencePage(ctx context.Context, f state.DifferenceFilter) (*Differences, error) {
	list, err := s.hub.Differences(ctx, f)
	if err != nil {
		return nil, err
	}
	page := &Differences{Run: f.Run, Differences: append([]state.Difference{}, list...)}
	if len(list) == 0 {
		return page, nil
	}
	f.After, f.Limit = list[len(list)-1].N, 1
	more, err := s.hub.Differences(ctx, f)
	if len(more) > 0 {
		page.Next = f.After
	}
	return page, err
}
