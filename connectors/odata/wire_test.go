package odata

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// take reads a body's members as rows hold them.
func (d *double) take(set string, doc map[string]any) (r row, items []row, err error) {
	r = row{}
	for name, v := range doc {
		if name == "Items" && set == "Orders" {
			list, ok := v.([]any)
			if !ok {
				return nil, nil, fmt.Errorf("Items is no list: %v", v)
			}
			for _, e := range list {
				it, _, err := d.take("OrderItems", e.(map[string]any))
				if err != nil {
					return nil, nil, err
				}
				items = append(items, it)
			}
			continue
		}
		i := slices.IndexFunc(columns[set], func(c [2]string) bool { return c[0] == name })
		if i < 0 {
			return nil, nil, fmt.Errorf("no property %s", name)
		}
		if r[name], err = d.taken(columns[set][i][1], v); err != nil {
			return nil, nil, fmt.Errorf("%s: %v", name, err)
		}
	}
	return r, items, nil
}

func (d *double) taken(typ string, v any) (any, error) {
	typ, _, _ = strings.Cut(typ, "(")
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch {
	case v == nil:
		return nil, nil
	case typ == "Boolean":
		if _, ok := v.(bool); !ok {
			return nil, fmt.Errorf("%v is no boolean", v)
		}
		return v, nil
	case typ == "Int32" && isNumber:
		return number, nil
	case (typ == "Decimal" || typ == "Int64") && (isText || isNumber && d.version == 4):
		if isNumber {
			text = number.String()
		}
		return json.Number(text), nil
	case !isText || typ == "Int32":
		return nil, fmt.Errorf("%v is not written so", v)
	case d.version == 2 && (typ == "Date" || typ == "Instant"):
		ms, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(text, "/Date("), ")/"), "+0000"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no date of V2", text)
		}
		if typ == "Date" {
			return time.UnixMilli(ms).UTC().Format(time.DateOnly), nil
		}
		return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00"), nil
	case d.version == 2 && typ == "Time":
		m := regexp.MustCompile(`^PT(\d\d)H(\d\d)M(\d\d)S$`).FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%q is no time of V2", text)
		}
		return m[1] + ":" + m[2] + ":" + m[3], nil
	case typ == "Date":
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return nil, err
		}
	case typ == "Instant":
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, err
		}
	}
	return text, nil
}

// shown writes a value as the wire has it.
func (d *double) shown(typ string, v any, h http.Header) any {
	typ, _, _ = strings.Cut(typ, "(")
	if raw, ok := v.(json.RawMessage); ok {
		return raw
	}
	switch text := fmt.Sprint(v); {
	case v == nil:
		return nil
	case typ == "Decimal" || typ == "Int64":
		if d.version == 2 || strings.Contains(h.Get("Accept"), "IEEE754Compatible=true") {
			return text
		}
		if d.plain {
			return json.Number(text)
		}
		rounded, _ := strconv.ParseFloat(text, 64)
		return rounded
	case d.version == 2 && (typ == "Date" || typ == "Instant"):
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			if t, err = time.Parse(time.DateOnly, text); err != nil {
				return text
			}
			return fmt.Sprintf("/Date(%d)/", t.UnixMilli())
		}
		return fmt.Sprintf("/Date(%d+0120)/", t.UnixMilli()) // the offset moves nothing
	case d.version == 2 && typ == "Time":
		return "PT" + text[:2] + "H" + text[3:5] + "M" + text[6:] + "S"
	}
	return v
}

// object writes a row with the protocol's own around it.
func (d *double) object(set string, r row, expand bool, h http.Header) map[string]any {
	out := map[string]any{}
	for _, c := range columns[set] {
		out[c[0]] = d.shown(c[1], r[c[0]], h)
	}
	if d.version == 2 {
		out["__metadata"] = map[string]any{"uri": d.address(set, r), "type": "shop." + set + "Type", "etag": tag(r)}
	} else {
		out["@odata.etag"] = tag(r)
		out["Name@odata.type"] = "#String"
	}
	if set != "Orders" {
		return out
	}
	if !expand {
		if d.version == 2 {
			out["Items"] = map[string]any{"__deferred": map[string]any{"uri": d.address(set, r) + "/Items"}}
		}
		return out
	}
	items := []any{}
	for _, it := range d.itemsOf(r) {
		items = append(items, d.object("OrderItems", it, false, h))
	}
	cut := len(items) > d.most
	if cut {
		items = items[:d.most]
	}
	link := d.address(set, r) + "/Items?$skiptoken=" + strconv.Itoa(len(items))
	switch {
	case d.version == 2 && cut:
		out["Items"] = map[string]any{"results": items, "__next": link}
	case d.version == 2:
		out["Items"] = map[string]any{"results": items}
	default:
		out["Items"] = items
		if cut {
			out["Items@odata.nextLink"] = link
		}
	}
	return out
}

func (d *double) answer(w http.ResponseWriter, status int, set string, r row, q url.Values, h http.Header) {
	var out any = d.object(set, r, strings.Contains(q.Get("$expand"), "Items"), h)
	if d.version == 2 {
		out = map[string]any{"d": out}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(out)
}

func options(query string) url.Values {
	q, _ := url.ParseQuery(query)
	return q
}

func (d *double) list(w http.ResponseWriter, set string, all []row, query string, h http.Header, path string) {
	q := options(query)
	known := []string{"$expand", "$select", "$orderby", "$top", "$skip", "$skiptoken", "$filter", "$count", "$inlinecount", "sap-client"}
	for name := range q {
		if !slices.Contains(known, name) || name == "$count" && d.version == 2 || name == "$inlinecount" && d.version == 4 {
			d.fail(w, 400, "OPTION", "unknown option "+name)
			return
		}
	}
	var out []row
	for _, r := range all {
		ok, err := d.matches(q.Get("$filter"), set, r)
		if err != nil {
			d.fail(w, 400, "FILTER", err.Error())
			return
		}
		if ok {
			out = append(out, r)
		}
	}
	order := strings.Split(q.Get("$orderby"), ",")
	slices.SortStableFunc(out, func(a, b row) int {
		for _, name := range order {
			x, y := fmt.Sprint(a[name]), fmt.Sprint(b[name])
			if d.folds {
				x, y = strings.ToLower(x), strings.ToLower(y)
			}
			if c := strings.Compare(x, y); c != 0 {
				return c
			}
		}
		return 0
	})
	total := len(out)
	skip, _ := strconv.Atoi(q.Get("$skip"))
	if t := q.Get("$skiptoken"); t != "" {
		skip, _ = strconv.Atoi(t)
	}
	out = out[min(skip, len(out)):]
	left := len(out)
	if top := q.Get("$top"); top != "" {
		n, _ := strconv.Atoi(top)
		out = out[:min(n, len(out))]
	}
	cut := len(out) > d.most
	out = out[:min(d.most, len(out))]
	list := []any{}
	for _, r := range out {
		list = append(list, d.object(set, r, strings.Contains(q.Get("$expand"), "Items"), h))
	}
	answer := map[string]any{}
	counted := q.Get("$count") == "true" || q.Get("$inlinecount") == "allpages"
	next := ""
	if (cut || left > len(out) && q.Get("$top") == "") && !d.silent {
		q.Set("$skiptoken", strconv.Itoa(skip+len(out)))
		q.Del("$skip")
		next = path + "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
	}
	if d.version == 2 {
		inner := map[string]any{"results": list}
		if next != "" {
			host := d.host
			if host == "" {
				host = d.url
			}
			inner["__next"] = host + "/srv/shop/" + next
		}
		if counted && !d.silent {
			inner["__count"] = strconv.Itoa(total)
		}
		answer["d"] = inner
	} else {
		answer["value"], answer["@odata.context"] = list, "$metadata#"+set
		if next != "" {
			answer["@odata.nextLink"] = next
		}
		if counted && !d.silent {
			answer["@odata.count"] = total
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// condition is a term, a bracket or a word of a $filter.
var condition = regexp.MustCompile(`^\s*(\(|\)|and\b|or\b|(tolower\((\w+)\)|\w+) (eq|gt|ge|ne|lt|le) ((?:datetimeoffset|datetime|guid|time)?'(?:[^']|'')*'|[^\s()]+))`)

// matches evaluates the $filter of a row.
func (d *double) matches(filter, set string, r row) (bool, error) {
	if strings.TrimSpace(filter) == "" {
		return true, nil
	}
	p := &filtering{rest: filter, set: set, r: r, version: d.version, people: d.people}
	ok, err := p.or()
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("what is %q?", p.rest)
	}
	return ok, err
}

type filtering struct {
	rest, set string
	r         row
	version   int
	people    bool
}

func (p *filtering) word(want string) bool {
	m := condition.FindStringSubmatch(p.rest)
	if m == nil || m[1] != want {
		return false
	}
	p.rest = p.rest[len(m[0]):]
	return true
}

func (p *filtering) or() (bool, error) {
	ok, err := p.and()
	for err == nil && p.word("or") {
		var more bool
		more, err = p.and()
		ok = ok || more
	}
	return ok, err
}

func (p *filtering) and() (bool, error) {
	ok, err := p.term()
	for err == nil && p.word("and") {
		var more bool
		more, err = p.term()
		ok = ok && more
	}
	return ok, err
}

func (p *filtering) term() (bool, error) {
	if p.word("(") {
		ok, err := p.or()
		if err == nil && !p.word(")") {
			err = fmt.Errorf("a bracket is not closed at %q", p.rest)
		}
		return ok, err
	}
	m := condition.FindStringSubmatch(p.rest)
	if m == nil || m[4] == "" {
		return false, fmt.Errorf("what is %q?", p.rest)
	}
	p.rest = p.rest[len(m[0]):]
	name := m[2]
	if m[3] != "" {
		name = m[3]
	}
	i := slices.IndexFunc(columns[p.set], func(c [2]string) bool { return c[0] == name })
	if i < 0 {
		return false, fmt.Errorf("no property %s", name)
	}
	want, err := p.value(columns[p.set][i][1], m[5])
	if err != nil {
		return false, err
	}
	if p.r[name] == nil {
		return m[4] == "ne", nil
	}
	has := fmt.Sprint(p.r[name])
	if m[3] != "" {
		has = strings.ToLower(has)
	}
	c := strings.Compare(has, want)
	if p.people && c != 0 {
		c = strings.Compare(strings.ToLower(has), strings.ToLower(want))
	}
	if typ := columns[p.set][i][1]; strings.HasPrefix(typ, "Int") || strings.HasPrefix(typ, "Decimal") {
		a, _ := strconv.ParseFloat(has, 64)
		b, _ := strconv.ParseFloat(want, 64)
		c = int(1000*a) - int(1000*b)
	} else if strings.HasPrefix(typ, "Instant") {
		a, err1 := time.Parse(time.RFC3339Nano, has)
		b, _ := time.Parse(time.RFC3339Nano, want)
		if err1 != nil {
			return false, nil
		}
		c = a.Compare(b)
	}
	return map[string]bool{"eq": c == 0, "ne": c != 0, "gt": c > 0, "ge": c >= 0, "lt": c < 0, "le": c <= 0}[m[4]], nil
}

// value reads a literal, which must be written as its type is.
func (p *filtering) value(typ, lit string) (string, error) {
	typ, _, _ = strings.Cut(typ, "(")
	prefix, form := "", regexp.MustCompile(`^'.*'$`)
	switch v2 := p.version == 2; {
	case typ == "Instant" && v2:
		prefix = "datetimeoffset"
	case typ == "Date" && v2:
		prefix = "datetime"
	case typ == "Instant":
		form = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$`)
	case typ == "Date":
		form = regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)
	case typ == "Decimal" && v2:
		form = regexp.MustCompile(`^-?\d+(\.\d+)?M$`)
	case typ == "Int64" && v2:
		form = regexp.MustCompile(`^-?\d+L$`)
	case typ == "Decimal" || strings.HasPrefix(typ, "Int"):
		form = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	case typ == "Boolean":
		form = regexp.MustCompile(`^(true|false)$`)
	}
	rest, ok := strings.CutPrefix(lit, prefix)
	if !ok || !form.MatchString(rest) {
		return "", fmt.Errorf("%s is no literal of %s", lit, typ)
	}
	if rest[0] == '\'' {
		rest = strings.ReplaceAll(rest[1:len(rest)-1], "''", "'")
	}
	if typ == "Date" && p.version == 2 {
		rest, _, _ = strings.Cut(rest, "T")
	}
	return strings.TrimRight(rest, "ML"), nil
}

// batch answers $batch: every change set is done as a whole or not at all.
func (d *double) batch(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	goOn := strings.Contains(r.Header.Get("Prefer"), "odata.continue-on-error") && !d.stops
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/json" && d.version == 4 {
		d.batchJSON(w, body)
		return
	}
	if kind != "multipart/mixed" {
		d.fail(w, 415, "BATCH", "no batch of this type: "+kind)
		return
	}
	var out bytes.Buffer
	sets := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		set, err := sets.NextRawPart()
		if err != nil {
			break
		}
		_, p, _ := mime.ParseMediaType(set.Header.Get("Content-Type"))
		answers, failed := d.changeSet(multipart.NewReader(set, p["boundary"]))
		out.WriteString("--b\r\n")
		if failed != "" {
			out.WriteString(failed)
			if !goOn {
				break
			}
			continue
		}
		out.WriteString("Content-Type: multipart/mixed; boundary=c\r\n\r\n")
		for _, a := range answers {
			out.WriteString("--c\r\n" + a)
		}
		out.WriteString("--c--\r\n")
	}
	out.WriteString("--b--\r\n")
	w.Header().Set("Content-Type", "multipart/mixed; boundary=b")
	w.WriteHeader(map[int]int{2: 202, 4: 200}[d.version])
	_, _ = w.Write(out.Bytes())
}

// changeSet does one; failed is the answer to what did not do.
func (d *double) changeSet(calls *multipart.Reader) (answers []string, failed string) {
	before := d.keep()
	for {
		part, err := calls.NextRawPart()
		if err != nil {
			return answers, ""
		}
		id := part.Header.Get("Content-ID")
		content, _ := io.ReadAll(part)
		line, rest, _ := strings.Cut(string(content), "\r\n")
		words := strings.Fields(line)
		req, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\n" + rest)))
		if err != nil || len(words) != 3 {
			return nil, "Content-Type: application/http\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
		}
		body, _ := io.ReadAll(req.Body)
		path, query, _ := strings.Cut(words[1], "?")
		rec := httptest.NewRecorder()
		d.call(rec, words[0], path, query, req.Header, body)
		head := "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n" + "Content-ID: " + id + "\r\n\r\n"
		text := head + fmt.Sprintf("HTTP/1.1 %d x\r\n", rec.Code)
		for name := range rec.Header() {
			text += name + ": " + rec.Header().Get(name) + "\r\n"
		}
		text += fmt.Sprintf("Content-Length: %d\r\n\r\n%s\r\n", rec.Body.Len(), rec.Body)
		if rec.Code >= 400 {
			d.restore(before)
			return nil, text
		}
		answers = append(answers, text)
	}
}

// batchJSON does the groups of a batch in JSON. Members of a group that is rolled back still say that they were done.
func (d *double) batchJSON(w http.ResponseWriter, body []byte) {
	var in struct {
		Requests []struct {
			ID, AtomicityGroup, Method, URL string
			Headers                         map[string]string
			Body                            json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		d.fail(w, 400, "BATCH", err.Error())
		return
	}
	var out []string
	group, failed := "", false
	before := d.keep()
	for _, r := range in.Requests {
		if r.AtomicityGroup != group {
			group, failed, before = r.AtomicityGroup, false, d.keep()
		}
		if failed {
			continue
		}
		h := http.Header{}
		for name, v := range r.Headers {
			h.Set(name, v)
		}
		path, query, _ := strings.Cut(r.URL, "?")
		rec := httptest.NewRecorder()
		d.call(rec, r.Method, path, query, h, r.Body)
		headers, _ := json.Marshal(map[string]string{"etag": rec.Header().Get("ETag"), "location": rec.Header().Get("Location")})
		text := fmt.Sprintf(`{"id":%q,"status":%d,"headers":%s,"atomicityGroup":%q`, r.ID, rec.Code, headers, group)
		if rec.Body.Len() > 0 {
			text += `,"body":` + rec.Body.String()
		}
		out = append(out, text+"}")
		if failed = rec.Code >= 400; failed {
			d.restore(before)
		}
	}
	slices.Reverse(out) // they may come in any order
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"responses":[%s]}`, strings.Join(out, ","))
}

func (d *double) keep() map[string][]row {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string][]row{}
	for set, rows := range d.rows {
		for _, r := range rows {
			c := row{}
			for k, v := range r {
				c[k] = v
			}
			out[set] = append(out[set], c)
		}
	}
	return out
}

func (d *double) restore(before map[string][]row) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rows = before
}
