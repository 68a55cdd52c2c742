package edi

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/waybill-hub/waybill/internal/jsondoc"
	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// set makes a message of a type.
func set(t testing.TB, table *Table, segments string) *Message {
	t.Helper()
	return versioned(t, table, map[Standard]string{X12: "004010", EDIFACT: "D:96A:UN"}[table.Standard], segments)
}

// versioned makes a message of a version.
func versioned(t testing.TB, table *Table, version, segments string) *Message {
	t.Helper()
	sep, lines := "~", strings.Split(segments, "~")
	if table.Standard == EDIFACT {
		sep, lines = "'", strings.Split(segments, "'")
	}
	body := strings.Join(lines, sep)
	data := isaHead + "GS*" + table.Code + "*A*B*20260115*1000*7*X*" + version + "~ST*" + table.Message + "*0001~" + body + fmt.Sprintf("~SE*%d*0001~GE*1*7~IEA*1*000000001~", len(lines)+2)
	if table.Standard == EDIFACT {
		data = "UNA:+.? '" + unbHead + "UNH+1+" + table.Message + ":" + version + "'" + body + fmt.Sprintf("'UNT+%d+1'UNZ+1+R1'", len(lines)+2)
	}
	all, err := drain(strings.NewReader(data), table.Standard)
	if err != nil || len(all) != 1 || len(all[0].Faults) > 0 {
		t.Fatalf("%q: %v", data, err)
	}
	return all[0]
}

// TestStructure: segments stand in the loop that the standard has them in, whatever the table takes over of it, and come out again as they came in.
func TestStructure(t *testing.T) {
	tables := shipped(t)
	for _, c := range []struct {
		name, message, segments string
		at                      map[string]string // paths of the document
	}{
		{"850: a set's components", "850",
			"BEG*00*SA*P1**20260115~PO1*1*10*EA*5**VP*KIT~PID*F****Kit~SLN*1**I*2*EA*3***VP*C1~PID*F****Component~SAC*A*C310***100~N1*SF*Plant~PO1*2*1*EA*1~CTT*2",
			map[string]string{"lines.0.descriptions": `[{"type":"F","text":"Kit"}]`, "lines.0.parties": "", "lines.0.allowances": "", "lines.1.line": `"2"`,
				"lines.0.other.1": `{"segment":"PID","in":"SLN","elements":["F","","","","Component"]}`}},
		{"850: packings and places beyond the first", "850", "BEG*00*SA*P1**20260115~FOB*PP*OR*Chicago~FOB*CC~PO1*1*10*EA*5~PO4*12~PO4*4~REF*PG*7",
			map[string]string{"freight.payment": `"PP"`, "other": `[{"segment":"FOB","after":"FOB","elements":["CC"]}]`, "lines.0.packing.pack": "12", "lines.0.references.0.value": `"7"`}},
		{"850: amounts of the whole order", "850", "BEG*00*SA*P1**20260115~REF*DP*1~AMT*TT*100~REF*CT*9~DTM*002*20260120~N1*ST*Acme~PO1*1*10*EA*5",
			map[string]string{"references": `[{"qualifier":"DP","value":"1"}]`, "dates": "", "parties.0.name": `"Acme"`}},
		{"850: schedule of a line's place", "850", "BEG*00*SA*P1**20260115~PO1*1*10*EA*5~N1*ST*Acme*92*01~SCH*4*EA***002*20260201~SCH*6*EA***002*20260301",
			map[string]string{"lines.0.parties.0.schedule.1.date": `"2026-03-01"`}},
		{"850: subloops of LS and LE", "850", "BEG*00*SA*P1**20260115~PO1*1*10*EA*5~LS*LDT~LDT*AF*5*DA~REF*CT*9~LE*LDT~N9*ZZ*x~MSG*hello",
			map[string]string{"lines.0.references": "", "lines.0.notes.0.messages.0.text": `"hello"`}},
		{"810: dates of the invoice behind its parties", "810", "BIG*20260115*I1~N1*ST*Acme~DTM*011*20260110~FOB*PP~IT1*1*1*EA*5~TDS*500",
			map[string]string{"dates.0.date": `"2026-01-10"`, "freight.payment": `"PP"`, "parties": `[{"role":"ST","name":"Acme"}]`}},
		{"810: a line's charge with its tax, and its carrier", "810", "BIG*20260115*I1~IT1*1*1*EA*5~CAD*M***UPSN~SAC*C*D240***150~TXI*ST*1.2*8~IT1*2*1*EA*5~TDS*1150~TXI*ST*9",
			map[string]string{"lines.0.allowances.0.taxes.0.amount": "1.2", "lines.0.carriers.0.code": `"UPSN"`, "lines.1.line": `"2"`, "taxes": `[{"type":"ST","amount":9}]`, "carrier": ""}},
		{"830: places before their forecasts", "830", "BFR*00*F1**DL*A*20260119*20260215*20260115~LIN*1*VP*A~UIT*EA~N1*ST*DC~FST*5*C*W*20260119~SDP*A*Y~FST*6*C*W*20260126~SHP*01*5~REF*SI*9~LIN*2*VP*B~UIT*EA",
			map[string]string{"lines.0.forecasts.0.quantity": "5", "lines.0.patterns.0.forecasts.0.quantity": "6", "lines.0.shipped.0.references.0.value": `"9"`}},
		{"846: a line's quantities and their dates", "846", "BIA*00*SI*R1*20260115~DTM*007*20260115~REF*IA*1~LIN*1*VP*A~QTY*33*5*EA~DTM*018*20260201~QTY*17*6*EA~N1*WH*DC~LIN*2*VP*B",
			map[string]string{"references.0.value": `"1"`, "lines.0.quantities.0.dates.0.qualifier": `"018"`, "lines.0.quantities.1.quantity": "6", "lines.0.parties.0.name": `"DC"`}},
		{"820: what is settled beside invoices", "820", "BPR*C*100*C*ACH~TRN*1*T1~ENT*1~ADX*-5*01~NTE*GEN*why~RMR*IV*I1**105*105~IT1*1*1*EA*5~REF*PO*P1~RMR*IV*I2**0*0",
			map[string]string{"entities.0.adjustments.0.amount": "-5", "entities.0.items.0.references": "", "entities.0.items.1.reference": `"I2"`}},
		{"856: an item of the order behind its packs", "856", "BSN*00*S1*20260115*1000~HL*1**S*1~HL*2*1*O*1~PRF*P1~HL*3*2*P*1~MAN*GM*1~HL*4*3*I*0~SN1**5*EA~HL*5*2*I*0~SN1**6*EA~HL*6*1*O*1~PRF*P2~HL*7*6*I*0~SN1**7*EA",
			map[string]string{"shipment.orders.0.packs.0.items.0.quantity": "5", "shipment.orders.0.items.0.quantity": "6", "shipment.orders.1.items.0.quantity": "7"}},
		{"856: pallets before orders", "856", "BSN*00*S1*20260115*1000~HL*1**S*1~HL*2*1*T*1~MAN*GM*T1~HL*3*2*O*1~PRF*P1~HL*4*3*P*1~MAN*GM*1~HL*5*4*I*0~SN1**5*EA~HL*6*1*T*1~HL*7*6*O*1~PRF*P1~HL*8*7*I*0~SN1**6*EA~CTT*8",
			map[string]string{"shipment.pallets.0.orders.0.packs.0.items.0.quantity": "5", "shipment.pallets.1.orders.0.items.0.quantity": "6", "shipment.pallets.0.marks.0.value": `"T1"`}},
		{"856: packs within items, and a shipment without orders", "856", "BSN*00*S1*20260115*1000*0002~HL*1**S*1~PRF*P1~HL*2*1*I*1~SN1**5*EA~HL*3*2*P*0~MAN*GM*1~HL*4*2*P*0~MAN*GM*2~HL*5*1*I*0~SN1**6*EA",
			map[string]string{"shipment.items.0.packs.1.marks.0.value": `"2"`, "shipment.items.1.quantity": "6", "shipment.order_number": `"P1"`}},
		{"856: other levels, and those in their own kind", "856", "BSN*00*S1*20260115*1000~HL*1**S*1~HL*2*1*O*1~PRF*P1~HL*3*2*P*1~HL*4*3*P*1~HL*5*4*I*0~SN1**6*EA~HL*6*2*I*1~SN1**1*EA~HL*7*6*F*0~SN1**2*EA~HL*8*6*F*0~SN1**3*EA",
			map[string]string{"shipment.orders.0.items.0.levels.1.quantity": "3", "shipment.orders.0.items.0.levels.0.level": `"F"`, "shipment.orders.0.packs.0.packs.0.items.0.quantity": "6"}},
		{"856: references of the carrier's", "856", "BSN*00*S1*20260115*1000~HL*1**S*0~CLD*1*10~REF*LT*9~DTM*011*20260115", map[string]string{"shipment.references": "", "shipment.dates.0.qualifier": `"011"`}},
		{"940: places of lines", "940", "W05*N*D1~N1*ST*Acme~LX*1~W01*5*EA**VP*A~N1*BY*Shop~LX*2~N1*ST*Other~W01*6*EA", map[string]string{"lines.0.items.0.parties.0.name": `"Shop"`, "lines.1.parties.0.name": `"Other"`}},
		{"940: other numbers within a line, between LS and LE", "940", "W05*N*D1~N1*ST*Acme~LX*1~W01*5*EA**VP*A~LS*0310~LX*7~N9*LT*L1~N1*ST*Inner~LE*0310~LX*2~W01*6*EA",
			map[string]string{"lines.1.line": "2", "lines.2": "", "lines.0.items.0.references": "", "lines.0.items.0.parties": ""}},
		{"810: components behind the places", "810", "BIG*20260115*I1~IT1*1*1*EA*5~N1*ST*Acme~SLN*1**A~REF*ZZ*1~PID*F****Component~V1**Ship~DTM*011*20260110~SLN*2**A~REF*ZZ*2~TDS*500",
			map[string]string{"lines.0.parties.0.references": "", "lines.0.dates": "", "dates": "", "lines.0.descriptions": ""}},
		{"ORDERS: a schedule's days belong to their quantities", "ORDERS", "BGM+220+P1'DTM+137:20260115:102'LIN+1++A:SA'SCC+1'QTY+21:100'DTM+2:20260201:102'QTY+21:50'DTM+2:20260301:102'UNS+S",
			map[string]string{"lines.0.schedule.0.quantities.1.quantity": "50", "lines.0.schedule.0.quantities.1.dates.0.date": `"2026-03-01"`, "lines.0.schedule.0.dates": ""}},
		{"ORDERS: requirements of a line", "ORDERS", "BGM+220+P1'DTM+137:20260115:102'RFF+CT:1'RCS+7'RFF+ABC:2'DTM+2:20260101:102'FTX+ZZZ+++x'LIN+1++A:SA'RFF+LI:3'RCS+7'RFF+ABC:4'DTM+2:20260101:102'UNS+S",
			map[string]string{"references.0.value": `"1"`, "references.1": "", "lines.0.references.0.value": `"3"`, "lines.0.references.1": "", "dates.1": "", "texts": ""}},
		{"ORDERS: references of packages", "ORDERS", "BGM+220+P1'DTM+137:20260115:102'LIN+1++A:SA'PAC+1'RFF+ACI:9'DTM+2:20260101:102'PCI+33E'LIN+2++B:SA'UNS+S",
			map[string]string{"lines.0.packages.0.references.0.dates.0.qualifier": `"2"`, "lines.1.line": `"2"`}},
		{"ORDERS: days of a transport's places", "ORDERS", "BGM+220+P1'DTM+137:20260115:102'TDT+20'LOC+9+HAM'DTM+133:20260120:102'LOC+11+NYC'DTM+132:20260201:102'LIN+1++A:SA'UNS+S",
			map[string]string{"transports.0.places.0.dates.0.qualifier": `"133"`, "transports.0.places.1.dates.0.qualifier": `"132"`}},
		{"INVOIC: an amount's currency, a charge's reference", "INVOIC", "BGM+380+I1'DTM+137:20260115:102'ALC+C++++FC'RFF+AAB:1'DTM+171:20260101:102'MOA+8:5'LIN+1++A:SA'MOA+203:10'CUX+2:EUR'PRI+AAA:5'CUX+2:USD'DTM+7:20260101:102'UNS+S'MOA+77:15",
			map[string]string{"allowances.0.references.0.dates.0.qualifier": `"171"`, "lines.0.amounts.0.currencies.0.currency": `"EUR"`, "lines.0.prices.0.currencies.0.currency": `"USD"`, "lines.0.prices.0.dates.0.qualifier": `"7"`}},
		{"DESADV: dangerous goods, and a place's receiver", "DESADV", "BGM+351+D1'CPS+1'LIN+1++A:SA'QTY+12:5'DGS+ADR'QTY+12:3'FTX+AAD+++x'LOC+7+1'NAD+ST+2'QTY+11:4'LIN+2++B:SA",
			map[string]string{"packings.0.lines.0.quantities": `[{"qualifier":"12","quantity":5}]`, "packings.0.lines.0.places.0.quantities.0.quantity": "4", "packings.0.lines.1.line": `"2"`}},
		{"DESADV: one loop that is kept behind another, where neither has its place", "DESADV", "BGM+351+D1'CPS+1'LIN+1++A:SA'LOC+7+1'HAN+EAT'DGS+ADR'QTY+12:3'LIN+2++B:SA",
			map[string]string{"packings.0.lines.0.places.0.quantities": "", "packings.0.lines.1.line": `"2"`}},
		{"INVRPT: what a quantity is, where, and its price", "INVRPT", "BGM+35+R1'DTM+137:20260115:102'LIN+1++A:SA'LOC+18+W1'RFF+ON:1'QTY+145:5'INV+2+1'LOC+18+W2'PRI+AAA:3'CUX+2:EUR'RFF+BT:L1'QTY+17:6'INV+1'LIN+2++B:SA'QTY+145:7",
			map[string]string{"lines.0.places.0.code": `"W1"`, "lines.0.quantities.0.places.0.code": `"W2"`, "lines.0.quantities.0.movement.direction": `"2"`, "lines.0.quantities.0.references.0.value": `"L1"`,
				"lines.0.quantities.1.movement.direction": `"1"`, "lines.1.quantities.0.quantity": "7"}},
		{"SLSRPT: places behind the parties", "SLSRPT", "BGM+73E+R1'DTM+137:20260115:102'NAD+SU+1::9'RFF+CT:8'LOC+162+S1'DTM+90:20260101:102'LIN+1++A:SA'RFF+ON:1'MOA+77:5'PRI+AAA:3'QTY+153:5'NAD+BY+2::9'QTY+154:1'LOC+162+S2'LIN+1++B:SA'QTY+153:6",
			map[string]string{"references.0.value": `"8"`, "parties.0.references": "", "places.0.lines.0.quantities.0.parties.0.role": `"BY"`, "places.1.code": `"S2"`, "places.1.lines.0.item": `"B"`}},
		{"DELFOR: lines by places", "DELFOR", "BGM+241+F1'DTM+137:20260115:102'NAD+BY+1::9'UNS+D'NAD+ST+2::9'LOC+7+G1'LIN+1++A:IN'QTY+1:5'SCC+1'DTM+2:20260201:102'LIN+2++B:IN'QTY+1:6'NAD+ST+3::9'LIN+1++A:IN'QTY+1:7'UNS+S",
			map[string]string{"parties.0.id": `"1"`, "delivery_points.0.lines.1.item": `"B"`, "delivery_points.0.lines.0.quantities.0.dates.0.qualifier": `"2"`}},
		{"DELFOR: places by lines", "DELFOR", "BGM+241+F1'DTM+137:20260115:102'UNS+D'LIN+1++A:IN'QTY+70:5'PAC+1'QTY+52:10'NAD+ST+2::9'LOC+7+G1'QTY+1:4'SCC+1'DTM+2:20260201:102'RFF+AAN:9'UNS+S",
			map[string]string{"lines.0.quantities.0.quantity": "5", "lines.0.quantities.1": "", "lines.0.parties.0.places.0.code": `"G1"`, "lines.0.parties.0.quantities.0.references.0.value": `"9"`}},
		{"ORDERS of D.07A: terms, dangerous goods, files, and quantities behind a place's days", "ORDERS D:07A:UN", "BGM+220+P1'DTM+137:20260115:102'CUX+2:EUR:9'PYT+3'DTM+13:20260301:102'MOA+52:10'DGS+ADR'FTX+AAD+++x'CTA+HG'EFI+F1'RFF+ZZZ:1'QTY+1:5'LIN+1++A:SA'FTX+ZZZ+++y'PYT+1+::::30 DAYS+5+3+D+30'LOC+7+S1'DTM+2:20260201:102'QTY+11:4'LIN+2++B:SA'UNS+S'MOA+86:5",
			map[string]string{"currencies.0.dates": "", "terms.0.dates.0.date": `"2026-03-01"`, "terms.0.amounts.0.amount": "10", "lines.0.terms.0.count": "30", "lines.0.places.0.quantities.0.quantity": "4", "lines.1.line": `"2"`, "amounts.0.amount": "5", "texts": ""}},
		{"ORDERS of D.17A: what has become longer, and what need not be there", "ORDERS D:17A:UN", "BGM++P1'DTM+137:20260115:102'NAD+BY+1::9+++" + strings.Repeat("S", 256) + "'CUX++2:USD:9101'TDT+20+++++++" + strings.Repeat("V", 35) + "'LIN+1++A:SA+LEVEL6:1'MEA+PD++KGMKGMKG:5'PRI++A'PRI+AAA:5:PROVISION'UNS+S",
			map[string]string{"type": "", "number": `"P1"`, "parties.0.street": `"` + strings.Repeat("S", 256) + `"`, "currencies.0.target": `"USD"`, "lines.0.measures.0.unit": `"KGMKGMKG"`, "lines.0.prices.1.type": `"PROVISION"`, "lines.0.sub_level": `"LEVEL6"`}},
		{"INVOIC of D.97A: a charge's amounts in other currencies", "INVOIC D:97A:UN", "BGM+380+I1'DTM+137:20260115:102'PAT+3'DTM+13:20260301:102'ALC+C++++FC'MOA+8:5'CUX+2:EUR'DTM+134:20260101:102'MOA+25:6'CUX+2:USD'TAX+7+VAT'LIN+1++A:SA'MOA+203:10'UNS+S'MOA+77:15",
			map[string]string{"allowances.0.amounts.0.currencies.0.currency": `"EUR"`, "allowances.0.amounts.0.dates.0.qualifier": `"134"`, "allowances.0.amounts.1.amount": "6", "allowances.0.taxes.0.type": `"VAT"`, "totals.0.amount": "15", "totals.1": ""}},
		{"INVOIC of D.07B: terms, and what was processed", "INVOIC D:07B:UN", "BGM+380+I1'DTM+137:20260115:102'PYT+3++5+3+D+30'PCD+12:2'MOA+52:10'LIN+1++A:SA'MOA+203:10'PYT+22'PRI+AAA:5'GEI+4'IMD+F'DTM+7:20260101:102'EFI+F1'RFF+ZZZ:1'UNS+S'MOA+77:15",
			map[string]string{"terms.0.percents.0.percent": "2", "lines.0.terms.0.type": `"22"`, "lines.0.references": "", "lines.0.dates": "", "totals": `[{"qualifier":"77","amount":15}]`}},
		{"DESADV of D.02B: a reference's party, and a line's packages", "DESADV D:02B:UN", "BGM+351+D1'CPS+1'LIN+1++A:SA'QTY+12:5'PAC+2++CT'RFF+ON:1'NAD+BY+2::9'CTA+OC'DTM+171:20260101:102'LOC+7+1'LIN+2++B:SA'PCI+17'QVR+1'DTM+2:20260101:102",
			map[string]string{"packings.0.packages": "", "packings.0.lines.0.references.0.dates.0.qualifier": `"171"`, "packings.0.lines.0.places.0.code": `"1"`, "packings.0.lines.1.line": `"2"`}},
		{"INVRPT of D.05B: a line's contact", "INVRPT D:05B:UN", "BGM+35+R1'DTM+137:20260115:102'LIN+1++A:SA'RFF+ON:1'CTA+ST'COM+1:TE'INV+2+1'QTY+145:5",
			map[string]string{"lines.0.contacts.0.communications.0.number": `"1"`, "lines.0.movements.0.quantities.0.quantity": "5"}},
		{"ORDRSP of D.08A: a party's quantities", "ORDRSP D:08A:UN", "BGM+231+P1'DTM+137:20260115:102'LIN+1++A:SA'QTY+21:9'NAD+ST+1::9'QTY+11:4'DTM+2:20260201:102'NAD+ST+2::9'LIN+2++B:SA'UNS+S",
			map[string]string{"lines.0.quantities.1": "", "lines.0.parties.1.id": `"2"`, "lines.0.dates": "", "lines.1.line": `"2"`}},
		{"SLSRPT of D.00B: references behind the parties", "SLSRPT D:00B:UN", "BGM+73E+R1'DTM+137:20260115:102'NAD+SU+1::9'RFF+CT:8'LOC+162+S1", map[string]string{"references.0.value": `"8"`, "parties.0.references": ""}},
		{"SLSRPT of D.02B: by products", "SLSRPT D:02B:UN", "BGM+73E+R1'DTM+137:20260115:102'RFF+PL:1'NAD+SU+1::9'RFF+VA:8'GEI+1+31'LIN+1++A:SA'LOC+162+S1'QTY+153:5'RFF+ON:2'LOC+162+S2'QTY+153:6'UNS+S'MOA+79:7",
			map[string]string{"references.0.value": `"1"`, "parties.0.references.0.value": `"8"`, "places": "", "totals_by_product.0.lines.0.places.0.quantities.0.references.0.value": `"2"`, "totals_by_product.0.code": `"31"`, "totals_by_product.0.lines.0.places.1.code": `"S2"`, "totals.0.amount": "7"}},
		{"DELFOR of D.07A: a status with its quantities, by delivery points", "DELFOR D:07A:UN", "BGM+241+F1'DTM+137:20260115:102'RFF+AAN:9'NAD+BY+1::9'RFF+VA:7'GEI+3+37'NAD+ST+2::9'LOC+7+G1'RFF+ADE:5'LIN+1++A:IN'RFF+ON:1'CTA+OC'QTY+70:5'SCC+1'QTY+113:6'DTM+2:20260201:102'QTY+113:7'SCC+4++W'QTY+113:8'NAD+ST+3::9'SCC+1'QTY+113:9'PRI+AAA:5'CUX+2:EUR'LIN+2++B:IN'GEI+3+37'NAD+ST+4::9'LIN+1++A:IN",
			map[string]string{"references": `[{"qualifier":"AAN","value":"9"}]`, "parties.0.references.0.value": `"7"`, "indicators.0.parties.0.references.0.value": `"5"`, "indicators.0.lines.0.contacts.0.function": `"OC"`, "indicators.0.lines.0.quantities": `[{"qualifier":"70","quantity":5}]`,
				"indicators.0.lines.0.schedule.0.quantities.1.quantity": "7", "indicators.0.lines.0.schedule.1.frequency": `"W"`, "indicators.0.lines.0.parties.0.schedule.0.quantities.0.quantity": "9", "indicators.0.lines.0.prices.0.currencies.0.currency": `"EUR"`,
				"indicators.0.lines.1.item": `"B"`, "indicators.1.parties.0.id": `"4"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kind, version, other := strings.Cut(c.message, " ")
			table := tables[kind]
			m := set(t, table, c.segments)
			if other {
				m = versioned(t, table, version, c.segments)
			}
			raw, faults := table.Document(m, "")
			if len(faults) > 0 {
				t.Fatal(faultsOf(faults))
			}
			doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range c.at {
				if got := at(doc.Root(), path); got != want {
					t.Errorf("%s: %s, want %s", path, got, want)
				}
			}
			end := string(rune(m.Group.Interchange.Syntax.Terminator))
			if out, want := segmentsOf(t, table, m, doc), strings.TrimSuffix(c.segments, end)+end; out != want {
				t.Errorf("it becomes\n%s\nwant\n%s", out, want)
			}
		})
	}
}

// at gives what stands at a path, in whose lists elements have numbers; empty: nothing does.
func at(v jsondoc.Value, path string) string {
	for _, step := range strings.Split(path, ".") {
		if n, err := strconv.Atoi(step); err != nil {
			v = v.Get(step)
		} else if v.Kind() == jsondoc.Array && n < v.Len() {
			v = v.Index(n)
		} else {
			return ""
		}
	}
	if !v.Exists() {
		return ""
	}
	return string(v.Raw())
}

func faultsOf(faults []Fault) string {
	var out []string
	for i := range faults {
		out = append(out, faults[i].Error())
	}
	return strings.Join(out, "; ")
}

// deep are levels that each stand in the one before.
func deep(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "HL*%d*%d*I~", i+2, i+1)
	}
	return b.String()
}

// TestLevels: a hierarchical level needs a number of its own, and one that is there already.
func TestLevels(t *testing.T) {
	table := shipped(t)["856"]
	const head, order = "BSN*00*S1*20260115*1000~HL*1**S~", "HL*2*1*O~PRF*P1~"
	for _, c := range []struct{ segments, want string }{
		{head + order + "HL*3*2*I~SN1**5*EA", ""},
		{head + order + "HL**2*I~SN1**5*EA", "segment 6 (HL), element 1: it must be there"},
		{head + order + "HL*2*2*I~SN1**5*EA", `segment 6 (HL), element 1: another level has the number "2"`},
		{head + order + "HL*3*9*I~SN1**5*EA", `segment 6 (HL), element 2: it belongs to level "9", and stands in level "2"`},
		{head + order + "HL*3*3*I~SN1**5*EA", `segment 6 (HL), element 2: it belongs to level "3", and stands in level "2"`},
		{head + order + "HL*3*2*I~HL*4*3*I~HL*3*2*I~SN1**5*EA", `segment 8 (HL), element 1: another level has the number "3"`},
		{head + deep(maxLevels-1) + "SN1**5*EA", ""},
		{head + deep(maxLevels) + "SN1**5*EA", "segment 23 (HL): it is deeper than 20 levels"},
	} {
		_, faults := table.Document(set(t, table, c.segments), "")
		if got := faultsOf(faults); !strings.HasSuffix(got, c.want) || c.want == "" && got != "" || len(faults) > 1 {
			t.Errorf("%s: %s, want %s", c.segments, got, c.want)
		}
	}
}

// segmentsOf are what a table makes of a document, in the syntax of the message that it was read from.
func segmentsOf(t *testing.T, table *Table, of *Message, doc *jsondoc.Doc) string {
	t.Helper()
	body, err := table.Compose(doc.Root(), of.Version, '.')
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, v := range body.Segments {
		if out, err = of.Group.Interchange.Syntax.appendSegment(out, v); err != nil {
			t.Fatal(err)
		}
	}
	return string(out)
}

// TestDivides: what stands at the wrong place is told there, and is not taken for what comes behind the section's end.
func TestDivides(t *testing.T) {
	table := shipped(t)["ORDERS"]
	_, faults := table.Document(set(t, table, "BGM+220+P1'DTM+137:20260115:102'LIN+1++A:SA'PRI+AAA:5'MOA+203:10'LOC+7+S1'LIN+2++B:SA'UNS+S'MOA+86:15"), "")
	if got := faultsOf(faults); got != "line 1: segment 6 (MOA): the table has no place for it here, or not with this qualifier" {
		t.Error(got)
	}
}

// TestLevelsElsewhere: levels say where they belong, or stand beside the last one of their kind.
func TestLevelsElsewhere(t *testing.T) {
	table := shipped(t)["856"]
	const head = "BSN*00*S1*20260115*1000~HL*1**S~"
	for name, c := range map[string]struct {
		segments string
		at       map[string]string
	}{
		"one kind after the other": {head + "HL*2*1*O~PRF*P1~HL*3*1*O~PRF*P2~HL*4*2*P~MAN*GM*1~HL*5*3*P~MAN*GM*2~HL*6*4*I~SN1**5*EA~HL*7*5*I~SN1**6*EA~HL*8*4*I~SN1**7*EA",
			map[string]string{"shipment.orders.0.packs.0.items.0.quantity": "5", "shipment.orders.1.packs.0.items.0.quantity": "6", "shipment.orders.0.packs.0.items.1.quantity": "7", "shipment.orders.2": ""}},
		"no parents": {head + "HL*2**O~PRF*P1~HL*3**P~MAN*GM*1~HL*4**I~SN1**5*EA~HL*5**I~SN1**6*EA~HL*6**P~HL*7**I~SN1**7*EA~HL*8**O~PRF*P2~HL*9**I~SN1**8*EA",
			map[string]string{"shipment.orders.0.packs.0.items.1.quantity": "6", "shipment.orders.0.packs.1.items.0.quantity": "7", "shipment.orders.1.items.0.quantity": "8"}},
		"the shipment's own behind an item": {head + "HL*2*1*O~PRF*P1~HL*3*2*I~SN1**5*EA~HL*4*1*T~MAN*GM*9",
			map[string]string{"shipment.orders.0.items.0.quantity": "5", "shipment.pallets.0.marks.0.value": `"9"`}},
	} {
		raw, faults := table.Document(set(t, table, c.segments), "")
		doc, err := jsondoc.Parse(raw, jsondoc.Limits{})
		if err != nil || len(faults) > 0 {
			t.Fatalf("%s: %v %s", name, err, faultsOf(faults))
		}
		for path, want := range c.at {
			if got := at(doc.Root(), path); got != want {
				t.Errorf("%s: %s: %s, want %s", name, path, got, want)
			}
		}
	}
}

// TestNumberedSegments: a table of the project may number segments that begin no loop.
func TestNumberedSegments(t *testing.T) {
	var p strictyaml.Problems
	table := ReadTable("t.yaml", []byte("table: t\nstandard: x12\nmessage: \"856\"\ngroup: SH\nsegments:\n  - segment: HL\n    list: levels\n    elements: {1: {auto: hl-id}, 2: {auto: hl-parent}, 3: kind}\n"), &p)
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	doc, faults := table.Document(set(t, table, "HL*1**S~HL*2*1*O~HL*3*1*O~HL*4**S"), "")
	if got := faultsOf(faults); strings.Count(got, "stands in none") != 2 || len(faults) != 2 || !strings.Contains(string(doc), `"levels":[{"kind":"S"},{"kind":"O"},{"kind":"O"},{"kind":"S"}]`) {
		t.Errorf("%s %s", doc, got)
	}
}

// TestReleases: what a table has for some releases alone is a fault in others, read and written, and the same name may be one thing here and another there.
func TestReleases(t *testing.T) {
	for version, want := range map[string]int{"D:93A:UN": 199301, "D:96A:UN:EAN008": 199601, "S:93A:UN": 199301, "D:00B": 200002, "D:24A:UN": 202401, "1:921:UN": 0, "D": 0, "": 0, "D:AAA:UN": 0} {
		if got := release(EDIFACT, version); got != want {
			t.Errorf("%s: %d, want %d", version, got, want)
		}
	}
	for version, want := range map[string]int{"004010": 4010, "004010VICS": 4010, "005010X231A1": 5010, "3040": 3040, "x": 0, "": 0} {
		if got := release(X12, version); got != want {
			t.Errorf("%s: %d, want %d", version, got, want)
		}
	}
	table := shipped(t)["DELFOR"]
	for version, want := range map[string]string{"D:96A:UN": "GIS", "D:02A:UN": "GIS", "D:01B:UN": ""} {
		_, faults := table.Document(versioned(t, table, version, "BGM+241+F1'DTM+137:20260115:102'GIS+37'NAD+ST+1'UNS+S"), "")
		if got := faultsOf(faults); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
	doc, err := jsondoc.Parse([]byte(`{"type":"241","number":"F1","indicators":[{"indicator":"37"}]}`), jsondoc.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.Compose(doc.Root(), "D:96A:UN", '.'); err == nil || !strings.Contains(err.Error(), `"indicators" has no place in the version D:96A:UN`) {
		t.Error(err)
	}
	for version, want := range map[string]string{"D:01B:UN": "GIS", "D:07A:UN": "GEI"} {
		body, err := table.Compose(doc.Root(), version, '.')
		if err != nil || len(body.Segments) != 2 || body.Segments[1].Tag != want {
			t.Errorf("%s: %v %v", version, body.Segments, err)
		}
	}
}
