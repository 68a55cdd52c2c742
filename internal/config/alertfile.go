package config

import (
	"time"

	"github.com/waybill-hub/waybill/internal/strictyaml"
)

// alertsFile is the part alerts of the configuration file as it is written.
type alertsFile struct {
	After      time.Duration           `yaml:"after" default:"1m" doc:"how long something must last before anybody is told; up to 24h"`
	Again      time.Duration           `yaml:"again" default:"24h" doc:"how often it is told again while it lasts; 0s: never"`
	Every      time.Duration           `yaml:"every" default:"1m" doc:"the least time between two messages to one receiver: what comes meanwhile is told in one; up to 1h"`
	ParkedOver int64                   `yaml:"parked-over" doc:"so many messages of a flow may wait for a person without anybody being told"`
	Quiet      []quietFile             `yaml:"quiet" doc:"when nobody is told but of what is urgent; what still lasts then is told at the end"`
	To         map[string]receiverFile `yaml:"to" doc:"who is told, by a name of yours"`
}

type quietFile struct {
	From     string   `yaml:"from,required" doc:"the time of day at which it begins, as 22:00"`
	To       string   `yaml:"to,required" doc:"the time of day at which it ends; not later than from: on the next day"`
	Timezone string   `yaml:"timezone" doc:"the zone of both, for example Asia/Shanghai; default UTC"`
	Days     []string `yaml:"days" doc:"the days on which it begins: mon, tue, wed, thu, fri, sat, sun; default: every day"`
}

type receiverFile struct {
	Of      []string    `yaml:"of" doc:"of what: hub, unaccounted, alarm, failing, late, silent, parked, source, down, refused, drift, not-compared, certificate; default: all"`
	Urgent  []string    `yaml:"urgent" doc:"of what also in quiet hours; default: hub, unaccounted, alarm"`
	Quiet   []quietFile `yaml:"quiet" doc:"quiet hours of its own, in place of those of all"`
	Webhook *postFile   `yaml:"webhook" doc:"an HTTP endpoint: JSON, signed as Standard Webhooks say"`
	Slack   *roomFile   `yaml:"slack" doc:"an incoming webhook of Slack, or of a chat that takes the same, such as Mattermost"`
	Ding    *postFile   `yaml:"dingtalk" doc:"a robot of a DingTalk group"`
	WeCom   *roomFile   `yaml:"wecom" doc:"a robot of a WeCom group"`
	Mail    *mailFile   `yaml:"mail" doc:"mail"`
}

type roomFile struct {
	URL strictyaml.Secret `yaml:"url,required" doc:"its address, which is a secret: whoever knows it can write there"`
}

type postFile struct {
	URL    strictyaml.Secret `yaml:"url,required" doc:"its address"`
	Secret strictyaml.Secret `yaml:"secret" doc:"what it is signed with"`
}

type mailFile struct {
	Server   string            `yaml:"server,required" doc:"the mail server, as smtp.example.com:587"`
	TLS      string            `yaml:"tls" enum:"starttls,implicit,none" default:"starttls" doc:"how the connection is encrypted; none on this machine alone"`
	User     string            `yaml:"user" doc:"the user's name, where the server asks for one"`
	Password strictyaml.Secret `yaml:"password" doc:"the user's password"`
	From     string            `yaml:"from,required" doc:"the sender's address"`
	To       []string          `yaml:"to,required" doc:"the receivers' addresses"`
}
