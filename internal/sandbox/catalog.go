package sandbox

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// The catalogue is what all three systems' people know about the same world: which products there are and how companies are
// called. It is a function of the seed alone.

type product struct {
	sku, name, chinese, family string
	unit                       int   // index into the lists of units
	price                      int64 // hundredths
	grams                      int64
}

var (
	productNouns = [][2]string{
		{"Ball bearing", "滚珠轴承"}, {"Hex bolt", "六角螺栓"}, {"Servo motor", "伺服电机"}, {"Pressure valve", "压力阀"},
		{"Copper cable", "铜电缆"}, {"Steel plate", "钢板"}, {"Gear", "齿轮"}, {"Filter", "过滤器"}, {"Sensor", "传感器"},
		{"Pump", "水泵"}, {"Switch", "开关"}, {"Solder wire", "焊锡丝"},
	}
	families   = []string{"Drives", "Fasteners", "Hydraulics", "Electrics", "Raw material"}
	nameFirst  = []string{"North", "Silver", "Huangpu", "Baltic", "Golden", "Rhein", "Pacific", "Evergreen", "Lotus", "Summit", "Harbour", "Crane", "Jade", "Atlas", "Delta", "Orchid"}
	nameSecond = []string{"Machinery", "Trading", "Electronics", "Logistics", "Foods", "Tools", "Textiles", "Robotics", "Instruments", "Metals", "Packaging", "Energy"}
	nameForms  = []string{"Co., Ltd.", "GmbH", "Inc.", "有限公司", "K.K.", "Pte Ltd", "S.A."}
	cities     = [][3]string{{"Shanghai", "Shanghai", "200120"}, {"Hamburg", "HH", "20457"}, {"Chicago", "IL", "60601"}, {"Osaka", "Osaka", "530-0001"}, {"Singapore", "Central", "049315"}, {"Lyon", "ARA", "69002"}}
	streets    = []string{"Century Avenue", "Zhongshan Road", "Speicherstraße", "Lake Street", "Midosuji", "Robinson Road", "Rue de la République", "Hafenallee"}
	people     = []string{"Li Wei", "Wang Fang", "Anna Krüger", "Jonas Weber", "Emily Carter", "Kenji Sato", "Mei Tan", "Claire Dubois", "Zhao Min", "Oliver Grant"}
	roles      = []string{"Purchasing", "Accounts payable", "Logistics", "Owner"}
	industries = []string{"Manufacturing", "Retail", "Logistics", "Healthcare"}
)

// productAt is the n-th product, from 1.
func productAt(seed int64, n int) product {
	r := rng(seed, "product", strconv.Itoa(n))
	noun := productNouns[n%len(productNouns)]
	size := 1 + r.IntN(99)
	unit := 0
	if v := r.IntN(10); v >= 8 {
		unit = 2
	} else if v >= 6 {
		unit = 1
	}
	return product{
		sku:  fmt.Sprintf("%05d-%02d", 100+n, size), // leading zeros: a code, never a number
		name: fmt.Sprintf("%s %d mm", noun[0], size), chinese: fmt.Sprintf("%s%d毫米", noun[1], size),
		family: pick(r, families), unit: unit, price: 100 + r.Int64N(99900), grams: 10 + r.Int64N(25000),
	}
}

type company struct {
	name, tax, phone, email, street, city, region, zip string
	country                                            int // index into the lists of countries
	contact, contactEmail, contactPhone, role          string
	currency                                           string
}

// newCompany makes one up. tax is unique among those of one seed when what is.
func newCompany(seed int64, r *rand.Rand, what string) company {
	country := r.IntN(len(crmCountries))
	place := cities[country]
	c := company{
		name: pick(r, nameFirst) + " " + pick(r, nameSecond) + " " + pick(r, nameForms),
		tax:  taxNumber(seed, what), phone: fmt.Sprintf("+86 21 %08d", r.IntN(1e8)),
		street: fmt.Sprintf("%d %s", 1+r.IntN(998), pick(r, streets)), city: place[0], region: place[1], zip: place[2],
		country: country, contact: pick(r, people), role: pick(r, roles), currency: []string{"CNY", "EUR", "USD", "JPY", "SGD", "EUR"}[country],
	}
	c.email = fmt.Sprintf("office%d@example.com", r.IntN(1e6))
	c.contactEmail = fmt.Sprintf("contact%d@example.com", r.IntN(1e6))
	c.contactPhone = fmt.Sprintf("+49 40 %07d", r.IntN(1e7))
	return c
}

// taxNumber is 18 characters, as a Chinese unified social credit code.
func taxNumber(seed int64, what string) string {
	const digits = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	d := digest(seed, "tax", what)
	out := []byte("91")
	for i := range 16 {
		if i < 6 {
			out = append(out, '0'+d[i]%10)
		} else {
			out = append(out, digits[int(d[i])%len(digits)])
		}
	}
	return string(out)
}

// quantityOf is a likely amount: whole pieces, or half kilograms.
func quantityOf(r *rand.Rand, p product) string {
	n := 1 + r.IntN(40)
	if p.unit == 2 {
		return fmt.Sprintf("%d.%d", n, 5*r.IntN(2))
	}
	return strconv.Itoa(n)
}
