package config

import (
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// The structs of this file are a reconciliation as it is written: each key once, with its sentence for people.

type reconciliationFile struct {
	Name     string          `yaml:"reconciliation,required" doc:"the reconciliation's name"`
	About    string          `yaml:"about" doc:"a sentence for people"`
	Entity   string          `yaml:"entity,required" doc:"the kind of business object"`
	Schedule *scheduleFile   `yaml:"schedule" doc:"when it runs; without it only when asked"`
	Left     sideFile        `yaml:"left,required" doc:"one system"`
	Right    sideFile        `yaml:"right,required" doc:"the other system"`
	Match    strictyaml.Node `yaml:"match" type:"any" doc:"how objects are paired: xref (by the cross-reference; the default), or a field of the compared document, or a list of such fields; [xref, number]: by fields where the cross-reference does not know an object, and so that doubles are found"`
	Compare  strictyaml.Node `yaml:"compare" type:"map" doc:"the rules by field, see docs/reconciliation.md; default: every field, exactly. none: only the totals are compared"`
	Totals   []totalFile     `yaml:"totals" doc:"sums and counts of all objects of both sides that have to agree"`
	Money    *moneyFile      `yaml:"money" doc:"where an object's money stands in the compared document, for what a report says of it"`
	Settle   time.Duration   `yaml:"settle" default:"2m" doc:"how long to wait before looking again at what differs"`
	Keep     time.Duration   `yaml:"keep" default:"30d" doc:"how long runs are kept"`
	Repair   *repairFile     `yaml:"repair" doc:"write what differs through a flow"`
}

type scheduleFile struct {
	Cron     string        `yaml:"cron,required" doc:"a cron line, for example 0 2 * * *"`
	Timezone string        `yaml:"timezone" doc:"its zone, for example Asia/Shanghai; default UTC"`
	CatchUp  bool          `yaml:"catch-up" doc:"run once after the hub was down at the time"`
	Jitter   time.Duration `yaml:"jitter" doc:"a run begins up to so much later, so that not all begin at once"`
}

type sideFile struct {
	System  string          `yaml:"system,required" doc:"the system"`
	Object  string          `yaml:"object" doc:"the object type in the system's settings; default: the entity"`
	Map     string          `yaml:"map" doc:"the mapping to the compared document; default: that of the flow, or none where the other side goes through a flow. Where it is named, the flow's when does not count"`
	Through string          `yaml:"through" doc:"the flow that writes to the other side: documents go through its mapping as well (one that reads this system itself: through its mapping alone), and are compared with what the other system holds as it is"`
	Flow    string          `yaml:"flow" doc:"the flow that reads the entity from the system; default: the one that does. Where none does and no map is named, the documents are compared as they are"`
	Where   strictyaml.Node `yaml:"where" type:"expression" doc:"true for the objects that count; source is the compared document"`
	Index   *indexFile      `yaml:"index" doc:"what the system holds is kept from run to run, and a run reads what has changed: for systems of which everything can be listed only slowly"`
	ID      strictyaml.Node `yaml:"id" type:"expression" doc:"the object's id in the system, where no flow says it and the source gives none, as files do; source is the document as it came"`
}

type indexFile struct {
	Whole   time.Duration `yaml:"whole" default:"7d" doc:"how old a whole reading may be: what leaves no stamp is seen by the next one"`
	Overlap time.Duration `yaml:"overlap" default:"10m" doc:"how far before the last change to look again, as in a flow's poll"`
}

type moneyFile struct {
	Amount   string `yaml:"amount,required" doc:"the path of the amount"`
	Currency string `yaml:"currency,required" doc:"the path of its currency"`
}

type repairFile struct {
	From      string          `yaml:"from,required" enum:"left,right,newest,owner" doc:"the side that is right: one of the two, the one that was changed last, or of each field its owner"`
	By        strictyaml.Node `yaml:"by,required" type:"any" doc:"the flow that writes to the other side; or {left: FLOW, right: FLOW}, the flows that write to each"`
	AtMost    string          `yaml:"at-most" default:"5%" doc:"more differences than that are not repaired but reported: a share or a number"`
	Automatic bool            `yaml:"automatic" doc:"scheduled runs repair as well; else only those that a person asks for"`
	Deletes   bool            `yaml:"deletes" doc:"what was deleted on the side that is right is deleted on the other"`
}

type totalFile struct {
	Sum    string            `yaml:"sum" doc:"the path of the amount that is added up"`
	Count  bool              `yaml:"count" doc:"true, in place of sum: the objects are counted"`
	By     []strictyaml.Node `yaml:"by" type:"list" elem:"any" doc:"a total for each value of these paths; or {month: PATH}, {day: PATH}, {year: PATH} for each period of a time, with a zone where it is not UTC"`
	Within strictyaml.Node   `yaml:"within" type:"decimal" doc:"how far both sides may be apart: an amount, or a share as 0.5%"`
}

type periodFile struct {
	Day   string `yaml:"day" doc:"the path of a time"`
	Month string `yaml:"month" doc:"the path of a time"`
	Year  string `yaml:"year" doc:"the path of a time"`
	Zone  string `yaml:"zone" doc:"the zone in which days begin"`
}

// ruleOfField is what stands under a field of compare, beside the words that stand alone.
type ruleOfField struct {
	Rule     string          `yaml:"rule" enum:"exact,ignore,fold,uuid,number" doc:"one of the words that may stand alone, where null or owner is beside it"`
	Within   strictyaml.Node `yaml:"within" type:"any" doc:"how far two numbers may be apart: an amount, a share of the larger one as 0.5%, or {USD: 0.01, JPY: 1, default: 0.01} by currency"`
	Currency string          `yaml:"currency" doc:"the path of the currency, for a within that tells currencies apart"`
	Fold     []string        `yaml:"fold" doc:"differences of text that do not count: case, width, space, accents, form"`
	Time     string          `yaml:"time" enum:"millisecond,second,minute,hour,day" doc:"times that are the same to this precision"`
	Zone     string          `yaml:"zone" doc:"the zone of times that name none, and in which days begin; default UTC"`
	Set      strictyaml.Node `yaml:"set" type:"any" doc:"a list whose order does not count: the field, or the list of fields, that tells its elements apart; or true for a list of texts or numbers"`
	Compare  strictyaml.Node `yaml:"compare" type:"any" doc:"the rules of the fields of a set's elements; for set: true the one rule of the elements"`
	Null     string          `yaml:"null" enum:"empty,absent" doc:"empty: null, an empty text and a field that is absent are the same; absent: null and absent are"`
	Owner    string          `yaml:"owner" enum:"left,right" doc:"the side to which the field belongs: it is compared only where that side has a value"`
}
