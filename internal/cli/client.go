package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/waybill-hub/waybill/internal/api"
)

// refused is a hub's answer that says no.
type refused struct{ api.Problem }

func (r *refused) Error() string {
	text := r.Detail
	if text == "" {
		text = r.Title
	}
	for _, p := range r.Places {
		at := p.Message
		if p.Path != "" {
			at = p.Path + ": " + at
		}
		if !strings.Contains(r.Detail, at) { // the sentence names the first few
			text += "\n  " + at
		}
	}
	return text
}

// ask calls the running hub. A hub that does not answer exits with 3.
func (e *env) ask(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return e.request(ctx, method, path, body, into)
}

func (e *env) request(ctx context.Context, method, path string, body, into any) error {
	return e.requestIf(ctx, method, path, "", body, into)
}

// requestIf asks for something of the revision that match names; empty: of any.
func (e *env) requestIf(ctx context.Context, method, path, match string, body, into any) error {
	resp, err := e.send(ctx, method, path, match, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return e.brokeOff(err)
	}
	if resp.StatusCode >= 300 {
		return e.refusal(resp, data)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s answers something else than a hub: %w", e.url, err)
	}
	return nil
}

// mostAnswer bounds an answer that is held in memory.
const mostAnswer = 256 << 20

// download writes an answer as it comes, of any size.
func (e *env) download(ctx context.Context, path string, to io.Writer) error {
	resp, err := e.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		data, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
		if err != nil {
			return e.brokeOff(err)
		}
		return e.refusal(resp, data)
	}
	from := &reading{r: resp.Body}
	if _, err := io.Copy(to, from); from.err != nil {
		return e.brokeOff(from.err)
	} else if err != nil {
		return err
	}
	return nil
}

// reading keeps what went wrong with reading, apart from what did with writing.
type reading struct {
	r   io.Reader
	err error
}

func (r *reading) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (e *env) brokeOff(err error) error {
	return &exitError{exitUnreachable, fmt.Errorf("the hub at %s broke off: %w", e.url, err)}
}

// send makes a request; the caller closes the answer's body.
func (e *env) send(ctx context.Context, method, path, match string, body any) (*http.Response, error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(e.url, "/")+path, in)
	if err != nil {
		return nil, usage("--url %q: %w", e.url, err)
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	} else {
		req.Header.Set(api.UserHeader, userName())
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	client, err := e.client()
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, e.unreachable(err)
	}
	if resp.StatusCode < 300 && resp.Header.Get(api.HubHeader) == "" {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s answers something else than a hub: is --url right? (A hub before this version has to be asked by a command of its own.)", e.url)
	}
	return resp, nil
}

// refusal is what a hub's answer says that says no.
func (e *env) refusal(resp *http.Response, data []byte) error {
	var p api.Problem
	switch {
	case resp.StatusCode == http.StatusRequestHeaderFieldsTooLarge:
		return errors.New("what is asked for is too long")
	case json.Unmarshal(data, &p) != nil || p.Title == "":
		return e.noHub(resp.Status)
	}
	if p.Status == http.StatusUnauthorized {
		what := "wants a token"
		if e.token != "" {
			what = "does not know this token"
		}
		return usage("the hub at %s %s: give one with --token or in WAYBILL_TOKEN", e.url, what)
	}
	return &refused{p}
}

// userName is who runs the command, for a hub that gives out no tokens: its audit then says more than that somebody was there.
func userName() string {
	if name := os.Getenv("WAYBILL_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func (e *env) statusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show how the hub is doing; exits 1 when a flow is late or failing, anything is unaccounted or a reconciliation has drift left, not for what is parked",
		Args: cobra.NoArgs, RunE: do(func(c *cobra.Command, _ []string) error {
			var st api.Status
			if err := e.ask(c.Context(), http.MethodGet, "/api/v1/status", nil, &st); err != nil {
				return err
			}
			if err := e.showStatus(&st); err != nil {
				return err
			}
			if st.Failing() {
				return &exitError{exitFailed, nil}
			}
			return nil
		})}
}

// onTime is the share of deliveries in time in the last hour and day; nothing where nothing was delivered.
func onTime(t *api.OnTime) string {
	if t.Day.Share == nil {
		return ""
	}
	return percent(t.Hour.Share) + "/" + percent(t.Day.Share)
}

// percent shows a share, rounded down: 100% is all.
func percent(share *float64) string {
	if share == nil {
		return "-"
	}
	return strconv.FormatFloat(math.Floor(*share*1000)/10, 'f', -1, 64) + "%"
}

// whyWidth is how wide the last column may be: the rows before it are to stay readable.
const whyWidth = 72

func (e *env) showStatus(st *api.Status) error {
	if e.output == "json" {
		return e.json(st)
	}
	t := &st.Totals
	fmt.Fprintf(e.out, "accepted %d = delivered %d + skipped %d + parked %d + waiting %d + discarded %d + in flight %d; unaccounted %d, duplicates %d\n\n",
		t.Accepted, t.Delivered, t.Skipped, t.Parked, t.Waiting, t.Discarded, t.InFlight, t.Unaccounted, t.Duplicates)
	var below []note // what is too long for a column
	if st.Broker.State == api.BrokerDown {
		fmt.Fprintf(e.out, "%s\n\n", st.Broker.Why)
	}
	if st.Hub.Why != "" {
		fmt.Fprintf(e.out, "the hub is %s: %s\n\n", st.Hub.State, st.Hub.Why)
	}
	for _, remark := range st.Broker.Remarks {
		below = append(below, note{text: "note: " + remark})
	}
	why := belowWhy(&below, st.Hub.Why)
	rows := [][]string{{"FLOW", "STATE", "ACCEPTED", "DELIVERED", "SKIPPED", "PARKED", "WAITING", "IN FLIGHT", "OLDEST", "ON TIME 1H/24H", "WHY"}}
	for i := range st.Flows {
		f := &st.Flows[i]
		oldest := ""
		if f.OldestSeconds > 0 {
			oldest = (time.Duration(f.OldestSeconds) * time.Second).String()
		}
		if s := f.Sweep; s != nil && s.Started != nil && s.State != api.SweepHeld { // what is held stands under WHY
			below = append(below, note{[]string{f.Name}, fmt.Sprintf("swept at %s, %s: %s", s.Started.Local().Format(time.DateTime), s.State, s.Text)})
		}
		if b := f.Backfill; b != nil {
			below = append(below, note{[]string{f.Name}, fmt.Sprintf("backfill %d: %s", b.ID, backfillText(b))})
		}
		for _, m := range f.Remarks {
			below = append(below, note{[]string{f.Name + " from " + f.From}, m.Text})
		}
		rows = append(rows, []string{f.Name, f.State, num(f.Accepted), num(f.Delivered), num(f.Skipped), num(f.Parked), num(f.Waiting), num(f.InFlight), oldest, onTime(&f.OnTime), why(f.Name, f.Why)})
	}
	for _, text := range accessNotes(&st.Access) {
		below = append(below, note{text: text})
	}
	rows = append(rows, []string{})
	rows = append(rows, []string{"SYSTEM", "STATE", "CONNECTOR", "WHY"})
	for _, s := range st.Systems {
		rows = append(rows, []string{s.Name, s.State, s.Connector, why(s.Name, s.Why)})
	}
	for _, more := range [][][]string{reconciliationRows(st.Reconciliations, why), ruleRows(st.Rules, why)} {
		if len(more) > 0 {
			rows = append(append(rows, []string{}), more...)
		}
	}
	rows = append(rows, refusedRows(st.Refused, why)...)
	for _, text := range troubleLines(st.Troubles) {
		below = append(below, note{text: text})
	}
	if err := e.columns(rows); err != nil {
		return err
	}
	e.notes(below)
	if st.Restored != nil {
		fmt.Fprintln(e.out)
		e.showRestored(st.Restored)
	}
	if st.Plan.Hash == "" {
		return nil
	}
	_, err := fmt.Fprintf(e.out, "\nplan %s, loaded %s; time zones %s\n", st.Plan.Hash, st.Plan.LoadedAt.Local().Format(time.DateTime), st.Zones)
	return err
}

// note is a line below the tables, with the names of those that it is about.
type note struct {
	of   []string
	text string
}

// mostNames are named in one line; more are counted.
const mostNames = 8

func (n *note) String() string {
	names := n.of
	if len(names) > mostNames {
		names = append(slices.Clone(names[:mostNames-1]), fmt.Sprintf("and %d more", len(names)-mostNames+1))
	}
	if len(names) == 0 {
		return n.text
	}
	return strings.Join(names, ", ") + ": " + n.text
}

// accessNotes tell of wrong tokens, and of certificates that somebody has to look at.
func accessNotes(a *api.Access) (out []string) {
	if a.WrongTokens > 0 && a.LastWrong != nil {
		tokens, last := "wrong tokens or passwords", ", the last one"
		if a.WrongTokens == 1 {
			tokens, last = "wrong token or password", ""
		}
		out = append(out, fmt.Sprintf("note: %d %s since the start%s at %s from %s", a.WrongTokens, tokens, last, a.LastWrong.Local().Format(time.DateTime), a.LastWrongFrom))
	}
	for _, c := range a.Certificates {
		if c.Why != "" {
			out = append(out, fmt.Sprintf("note: %s.tls: %s: %s", c.Listener, c.File, c.Why))
		}
	}
	return out
}

func (e *env) showObjects(objects []api.Object) {
	for _, o := range objects {
		fmt.Fprintf(e.out, "%s %s (external id %s)\n", o.Entity, o.Hub, o.External)
		for _, r := range o.Refs {
			gone := ""
			if r.Deleted {
				gone = " (deleted)"
			}
			fmt.Fprintf(e.out, "  %s: %s%s\n", r.System, cell(r.Local), gone)
		}
		fmt.Fprintln(e.out)
	}
}

func (e *env) xrefCommand() *cobra.Command {
	return &cobra.Command{Use: "xref KEY", Short: "Show an object's ids in every system; exits 1 when no object is known", Args: needs("a KEY"),
		RunE: do(func(c *cobra.Command, args []string) error {
			var x struct {
				Key     string       `json:"key"`
				Objects []api.Object `json:"objects"`
			}
			if err := e.ask(c.Context(), http.MethodGet, "/api/v1/xref?key="+url.QueryEscape(args[0]), nil, &x); err != nil {
				return err
			}
			switch {
			case e.output == "json":
				if err := e.json(x); err != nil {
					return err
				}
			case len(x.Objects) == 0:
				fmt.Fprintf(e.out, "no object is known under %s\n", args[0])
			default:
				e.showObjects(x.Objects)
			}
			if len(x.Objects) == 0 {
				return &exitError{exitFailed, nil}
			}
			return nil
		})}
}

func (e *env) pauseCommand() *cobra.Command {
	return e.turn("pause", "Hold a flow before its next message")
}
func (e *env) resumeCommand() *cobra.Command { return e.turn("resume", "Let a paused flow go on") }

func (e *env) turn(verb, short string) *cobra.Command {
	return &cobra.Command{Use: verb + " FLOW", Short: short, Args: needs("a FLOW"), RunE: do(func(c *cobra.Command, args []string) error {
		var got map[string]string
		if err := e.ask(c.Context(), http.MethodPost, "/api/v1/flows/"+url.PathEscape(args[0])+"/"+verb, struct{}{}, &got); err != nil {
			return err
		}
		if e.output == "json" {
			return e.json(got)
		}
		fmt.Fprintf(e.out, "%s is %s\n", got["flow"], got["state"])
		return nil
	})}
}

// noHub: what answers is no hub, or one that is spoken to in the clear although it has a certificate.
func (e *env) noHub(status string) error {
	if rest, clear := strings.CutPrefix(e.url, "http://"); clear {
		return fmt.Errorf("%s answers %s: is a hub there? One with http.tls is at https://%s", e.url, status, rest)
	}
	return fmt.Errorf("%s answers %s: is a hub there?", e.url, status)
}
